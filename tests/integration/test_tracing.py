"""Traces as a collector gets them: requests, the batches that answer them, ticks and tasks, and no customer."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.embedded.valkey import Valkey
from tests.logs import LOGS
from tests.plugin import ROOT, Database
from tests.support.clients.orders import GOOD, PATH, query
from tests.support.processes import celery_workers
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, until_published
from tests.support.processes.service import ServiceFactory
from tests.support.servers.otlp_collector import Collector, Span, collector

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
REQUEST_ID = "019376f3-3c1e-7cc0-b5a1-6d0f7c0b1f52"
CUSTOMER = GOOD["customer_id"]
LANE = f"GET {PATH}"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="tr-") as made:
        yield Path(made)
        LOGS.read()


@pytest.fixture(scope="module")
def traces(database: Database, service: ServiceFactory, folder: Path) -> Iterator[Collector]:
    """What a collector was sent of some requests, of a sealer and of a worker, all of which have ended."""
    LOGS.know(CUSTOMER)
    LOGS.follow("Valkey", folder / "v/log")
    with collector() as made:
        endpoint = made.endpoint
        running = service(database, WEB_CONCURRENCY="1", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        with (
            Sealer(database, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint),
            Valkey(folder / "v") as broker,
            # Not the quick one, to which a task of more than a second is lost, and given once more.
            celery_workers.worker(database, broker, app="core.celery", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint),
        ):
            ask(running.base_url)
            until_published(database, 2)
            celery_workers.send(broker, "roll_up")
            celery_workers.until_counted(database, 2)
            # They send what they have every few seconds, and have no more than ten of them to stop.
            assert eventually(lambda: sealed(made) == 2 and bool(made.named("reports.tasks.roll_up")))
        running.stop()
        yield made


def sealed(traces: Collector) -> int:
    """How many events the ticks have sealed."""
    return sum(tick.attributes["tracking.appended"] for tick in traces.named("seal"))


def get(url: str, **headers: str) -> int:
    """The status that a request is answered with."""
    return httpx.get(url, headers=headers, timeout=60).status_code


def ask(base: str) -> None:
    """Two requests that get a number, and what does not."""
    order = f"{base}{PATH}?{query().decode()}"
    assert get(order, **TRACEPARENT, **{"X-Request-ID": REQUEST_ID}) == 200
    assert get(order, traceparent=f"00-{CUSTOMER}") == 200
    assert get(f"{base}{PATH}?{query(weight='0').decode()}") == 400
    assert get(order, Host="other") == 400
    assert get(f"{base}/v1/customers/{CUSTOMER}/stats?by=day", **TRACEPARENT) == 401
    assert get(f"{base}/no-such-place/{CUSTOMER}") == 404


def only(spans: list[Span]) -> Span:
    """The one there is."""
    assert len(spans) == 1, spans
    return spans[0]


def test_a_request_of_the_lane_is_a_span_within_its_caller_s_trace(traces: Collector) -> None:
    span = only([each for each in traces.named(LANE) if each.attributes["tracking.request_id"] == REQUEST_ID])
    assert (span.trace, span.parent) == (TRACE, CALLER)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": PATH,
        "http.response.status_code": 200,
        "tracking.request_id": REQUEST_ID,
    }
    assert not span.failed
    assert 0 < span.seconds < 100


def test_a_request_without_a_readable_traceparent_begins_a_trace(traces: Collector) -> None:
    others = [each for each in traces.named(LANE) if each.trace != TRACE]
    assert sorted(each.attributes["http.response.status_code"] for each in others) == [200, 400]
    assert {each.parent for each in others} == {""}
    assert len({each.trace for each in others}) == 2


def test_a_commit_is_linked_to_the_requests_that_it_answered(traces: Collector) -> None:
    issued = {each.id for each in traces.named(LANE) if each.attributes["http.response.status_code"] == 200}
    commits = traces.named("commit")
    assert {link for commit in commits for link in commit.links} == issued
    assert sum(commit.attributes["tracking.batch_size"] for commit in commits) == 2


def test_what_goes_to_django_is_a_span_by_its_route(traces: Collector) -> None:
    span = only(traces.named("GET /v1/customers/<str:customer_id>/stats"))
    assert (span.trace, span.parent, span.attributes["http.response.status_code"]) == (TRACE, CALLER, 401)
    assert {each.attributes["http.response.status_code"] for each in traces.named("GET none")} == {400, 404}


def test_a_tick_that_sealed_and_a_task_are_spans(traces: Collector) -> None:
    assert sealed(traces) == 2
    task = only(traces.named("reports.tasks.roll_up"))
    assert task.attributes["celery.state"] == "SUCCESS"
    assert task.seconds > 0


def test_no_span_has_a_customer_a_query_or_an_event(traces: Collector) -> None:
    assert len(traces.spans) >= 9
    for secret in (
        CUSTOMER,
        CUSTOMER.replace("-", ""),
        "RedBox",
        "redbox",
        "customer_name",
        "weight=",
        "no-such-place",
    ):
        assert secret not in traces.text, secret
    assert not any(span.events for span in traces.spans), "an exception's message could hold anything"


def test_without_an_endpoint_no_module_of_opentelemetry_is_imported() -> None:
    program = """
import sys, django
django.setup()
import core.asgi, core.celery, core.urls, ledger.management.commands.seal_ledger, reports.tasks
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "core.settings", "REDIS_URL": "redis://nowhere"}

    def imported(**given: str) -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(
            command, cwd=ROOT, env=environment | given, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    assert imported() == "[]"
    assert "opentelemetry.sdk" in imported(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"), "else this shows nothing"


def test_a_collector_that_is_away_costs_no_request(database: Database, service: ServiceFactory) -> None:
    with service(database, WEB_CONCURRENCY="1", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as running:
        for _ in range(3):
            assert get(f"{running.base_url}{PATH}?{query().decode()}") == 200
        assert eventually(lambda: get(f"{running.base_url}/readyz") == 200)
