"""What a scrape says, to whom, and that it is what happened: the counts of all processes, and the state of the log."""

import asyncio
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core import metrics
from issuance.domain.capacity import END
from ledger.domain.serial import BLOCK_SIZE, SHARD_CAPACITY
from reports.readings import forecast
from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem, readings
from tests.support.clients.load import load
from tests.support.clients.orders import GOOD, PATH, query
from tests.support.database.accounts import night, nights
from tests.support.log.tampering import insert, tamper
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, until_published
from tests.support.processes.secret_keys import key as secret_key
from tests.support.processes.service import Service, ServiceFactory, runserver

TOKEN = secret_key("METRICS_TOKEN")
NUMBERS = 600


@pytest.fixture(scope="module")
def running(database: Database, service: ServiceFactory) -> Service:
    """Two processes that count together."""
    return service(database, WEB_CONCURRENCY="2", METRICS_TOKEN=TOKEN)


def scrape(port: int) -> dict[str, float]:
    """Samples by their names and labels as a scrape writes them."""
    return {
        sample.name + "".join(f"|{name}={sample.labels[name]}" for name in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(readings(port, TOKEN))
        for sample in family.samples
    }


def becomes(port: int, **expected: float) -> None:
    """Return once a scrape has these values: some are told four times a second."""

    def holds() -> bool:
        found = scrape(port)
        return all(found.get(name) == value for name, value in expected.items())

    assert eventually(holds), {name: scrape(port).get(name) for name in expected}


def test_only_who_operates_the_service_may_scrape(database: Database, running: Service) -> None:
    port = running.port
    for wrong in (
        {},
        bearer("x" * 32),
        bearer(TOKEN[:-1]),
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {TOKEN}"},
    ):
        refused = ask(port, "/metrics", **wrong)
        assert problem(refused) == (401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "tracking_" not in refused.text
    audit, operate = make_key(database, "audit", "issue", "reports"), make_key(database, "operate")
    bound = make_key(database, "operate", customer=GOOD["customer_id"])
    assert problem(ask(port, "/metrics", **bearer(audit))) == (403, "missing-scope")
    assert problem(ask(port, "/metrics", **bearer(bound))) == (403, "other-customer")
    assert ask(port, "/metrics", **bearer(operate)).status_code == 200
    assert problem(ask(port, "/metrics?a=b", **bearer(TOKEN))) == (400, "invalid-parameters")
    assert ask(port, "/metrics", "POST", **bearer(TOKEN)).status_code == 405
    assert ask(port, "/metrics", Host="10.0.0.3:8000", **bearer(TOKEN)).status_code == 200, (
        "Prometheus comes by address"
    )


def test_without_a_token_set_only_a_key_opens_it(database: Database, running: Service) -> None:
    assert running.running
    with runserver(database) as port:
        for wrong in ("None", "x" * 32):
            assert ask(port, "/metrics", **bearer(wrong)).status_code == 401
        found = readings(port, make_key(database, "operate"))
        assert "tracking_web_processes" in found, "one process that counts for itself"


def test_what_is_issued_and_refused_is_counted_once_over_all_processes(running: Service) -> None:
    port = running.port
    before = scrape(port)
    outcome = asyncio.run(load(port, NUMBERS))
    assert len(outcome.numbers) == NUMBERS
    for _ in range(3):
        assert ask(port, f"{PATH}?{query(weight='0').decode()}").status_code == 400
    for _ in range(2):
        assert ask(port, f"{PATH}?{query().decode()}", Idempotency_Key="once").status_code == 200
    issued = before.get("tracking_issued_total|way=single", 0) + NUMBERS + 1
    becomes(
        port,
        **{
            "tracking_issued_total|way=single": issued,
            "tracking_batch_size_sum": before["tracking_batch_size_sum"] + NUMBERS + 2,
            "tracking_refused_total|reason=invalid-parameters": 3,
            f"tracking_http_requests_total|method=GET|route={PATH}|status=200": NUMBERS + 2,
            f"tracking_http_requests_total|method=GET|route={PATH}|status=400": 3,
            "tracking_queued_requests": 0,
            "tracking_web_processes": 2,
            "tracking_issuing_processes": 2,
        },
    )
    after = scrape(port)
    batches = after["tracking_batch_size_count"]
    assert batches == after["tracking_commit_seconds_count"] == after["tracking_wait_seconds_count"]
    assert 0 < after["tracking_commit_seconds_sum"] < 60
    assert after["tracking_wait_seconds_bucket|le=30.0"] == batches


def test_a_bulk_call_is_counted_by_its_numbers(database: Database, running: Service) -> None:
    order = {
        "origin_country_id": "MY",
        "destination_country_id": "ID",
        "weight": "1.5",
        "created_at": "2018-11-20T19:29:32+08:00",
        "customer_id": GOOD["customer_id"],
        "customer_name": GOOD["customer_name"],
        "customer_slug": GOOD["customer_slug"],
    }
    key = make_key(database, "issue")
    url = f"{running.base_url}/v1/tracking-numbers"
    assert httpx.post(url, json=[order] * 7, headers=bearer(key), timeout=90).status_code == 201
    assert httpx.post(url, json=[order, {}], headers=bearer(key), timeout=90).status_code == 400
    becomes(
        running.port,
        **{
            "tracking_issued_total|way=bulk": 7,
            "tracking_http_requests_total|method=POST|route=/v1/tracking-numbers|status=201": 1,
        },
    )


def test_a_route_is_a_pattern_and_no_label_holds_what_was_asked_for(running: Service) -> None:
    customer = GOOD["customer_id"]
    for path in (f"/v1/customers/{customer}/stats?by=day", f"/nothing/{customer}", f"/v1/validate/{customer}"):
        ask(running.port, path)
    ask(running.port, "/docs", "PROPFIND")
    found = readings(running.port, TOKEN)
    assert 'route="/v1/customers/<str:customer_id>/stats",status="401"' in found
    assert 'method="GET",route="none",status="404"' in found
    assert 'method="other",route="/docs"' in found
    for secret in (customer, "PROPFIND", "nothing", "RedBox", "by=day"):
        assert secret not in found


def test_what_the_log_and_the_roll_up_say(database: Database, running: Service) -> None:
    with psycopg.connect(database.owner_url) as session:
        row = session.execute("SELECT count(*), (SELECT count(*) FROM number_block) FROM issuance_event").fetchone()
    assert row is not None
    events, blocks = row
    before = scrape(running.port)
    assert before["tracking_unsealed_events"] == events
    assert 0 < before["tracking_sealer_lag_seconds"] < 3000
    assert before["tracking_tree_leaves"] == before["tracking_active_sealers"] == 0
    with Sealer(database):
        until_published(database, events)
        becomes(
            running.port,
            tracking_tree_leaves=events,
            tracking_published_leaves=events,
            tracking_unsealed_events=0,
            tracking_sealer_lag_seconds=0,
            tracking_active_sealers=1,
            tracking_rollup_lag_leaves=events,
        )
        found = scrape(running.port)
        assert 0 < found["tracking_checkpoint_age_seconds"] < 3000
        assert found["tracking_checkpoint_age_seconds"] <= found["tracking_rollup_lag_seconds"] < 3000
    becomes(running.port, tracking_active_sealers=0)
    found = scrape(running.port)
    assert found["tracking_serials_used"] == found["tracking_serials_last_day"] == blocks * BLOCK_SIZE
    assert found["tracking_serials_capacity"] == SHARD_CAPACITY
    assert found["tracking_leased_blocks_total"] == blocks, "nobody else has leased any"


def test_only_what_was_leased_within_a_day_is_in_the_forecast(database: Database, running: Service) -> None:
    """Blocks of the past can't be leased through the public way in; the triggers refuse changes, not what is new."""
    with psycopg.connect(database.owner_url) as session:
        row = session.execute("SELECT count(*), max(id) FROM number_block").fetchone()
        assert row is not None
        recent, highest = row
        # Below what was leased there is no room, so the day is moved: all that is there now is as if of yesterday.
        session.execute("ALTER TABLE number_block DISABLE TRIGGER refuse_change")
        session.execute("UPDATE number_block SET leased_at = leased_at - interval '25 hours'")
        session.execute("ALTER TABLE number_block ENABLE ALWAYS TRIGGER refuse_change")
    becomes(running.port, tracking_serials_last_day=0, tracking_serials_left_seconds=float("inf"))
    with psycopg.connect(database.owner_url) as session:
        for more in (1, 2, 5):
            session.execute(
                "INSERT INTO number_block (id, writer) SELECT generate_series(%s::bigint, %s::bigint), 0",
                [highest + 1, highest + more],
            )
            highest += more
    becomes(running.port, tracking_serials_last_day=8 * BLOCK_SIZE)
    left = SHARD_CAPACITY - (recent + 8) * BLOCK_SIZE
    assert scrape(running.port)["tracking_serials_left_seconds"] == pytest.approx(forecast(left, 8 * BLOCK_SIZE))


def test_a_forecast_is_what_is_left_at_the_rate_of_a_day() -> None:
    assert forecast(1000, 100) == 10 * 86_400
    assert forecast(1000, 0) == float("inf")
    assert forecast(0, 100) == 0


def test_what_became_of_the_leased_serials_is_told_as_the_newest_accounting_found_it(
    database: Database, running: Service
) -> None:
    assert "tracking_serials_issued" not in scrape(running.port), "nobody has looked yet"
    assert night(database) == []
    sums = nights(database)[-1].sums
    assert sums.held > 0
    becomes(
        running.port,
        tracking_serials_issued=sums.issued,
        tracking_serials_burned=sums.burned,
        tracking_serials_held=sums.held,
        tracking_account_faults=0,
    )
    assert 0 <= scrape(running.port)["tracking_account_age_seconds"] < 3000
    number = insert(database, (1 << 41) - 1)
    assert len(night(database)) == 1
    becomes(running.port, tracking_account_faults=1, tracking_serials_issued=sums.issued)
    tamper(database, f"DELETE FROM issuance_event WHERE number = '{number}'")
    assert night(database) == []
    becomes(running.port, tracking_account_faults=0)


def test_serials_run_out_at_the_rate_of_the_last_month(database: Database, running: Service) -> None:
    """The blocks' times are moved, as above, and a block goes missing, which must keep no search from its end."""
    becomes(running.port, tracking_serials_run_out_timestamp_seconds=END.timestamp())
    with psycopg.connect(database.owner_url) as session:
        highest = int((session.execute("SELECT max(id) FROM number_block").fetchone() or (0,))[0]) + 1
    old, new = range(highest, highest + 40), range(highest + 40, highest + 6_040)
    tamper(
        database,
        "UPDATE number_block SET leased_at = leased_at - interval '90 days'",
        f"INSERT INTO number_block SELECT n, 0, now() - interval '31 days' FROM generate_series({old[0]}, {old[-1]}) n",
        f"INSERT INTO number_block SELECT n, 0, now() - interval '29 days' FROM generate_series({new[0]}, {new[-1]}) n",
        f"DELETE FROM number_block WHERE id BETWEEN {highest} AND {highest + 20}",
        f"DELETE FROM number_block WHERE id BETWEEN {new[-1] - 9} AND {new[-1] - 1}",
    )
    days = (SHARD_CAPACITY - (new[-1] + 1) * BLOCK_SIZE) / (len(new) * BLOCK_SIZE / 30)
    assert eventually(lambda: scrape(running.port)["tracking_serials_used"] == (new[-1] + 1) * BLOCK_SIZE)
    found = scrape(running.port)
    assert found["tracking_serials_run_out_timestamp_seconds"] == pytest.approx(time.time() + days * 86_400, abs=60)
    assert found["tracking_serials_last_day"] == 0


def test_every_metric_that_is_declared_is_scraped_and_no_other(running: Service) -> None:
    text = readings(running.port, TOKEN)
    scraped = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    declared = {name: kind for name, kind, _ in metrics.declared()}
    assert declared.pop("tracking_check_age_seconds") == "gauge", "there was no check yet"
    for name in [name for name in declared if name.startswith("tracking_witness")]:
        assert declared.pop(name) == "gauge", "there are no witnesses; tests/api/test_witnessed.py has some"
    assert scraped == declared


def test_promtool_finds_nothing_to_complain_about(running: Service, tool: Callable[[str, str], Path]) -> None:
    text = readings(running.port, TOKEN)
    ended = subprocess.run(
        [tool("promtool", "prometheus"), "check", "metrics"], input=text, text=True, check=False, stdout=subprocess.PIPE
    )
    assert (ended.returncode, ended.stdout) == (0, "")


def test_a_worker_that_was_killed_keeps_its_counts_and_not_its_present(running: Service) -> None:
    issued = scrape(running.port)["tracking_issued_total|way=single"]
    killed = set(running.worker_pids)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: len(set(running.worker_pids) - killed) == 2)
    assert eventually(lambda: ask(running.port, "/readyz").status_code == 200)
    becomes(running.port, **{"tracking_issued_total|way=single": issued, "tracking_web_processes": 2})


def test_the_folder_in_which_processes_count_goes_with_the_service(database: Database, service: ServiceFactory) -> None:
    with tempfile.TemporaryDirectory() as place:
        with service(database, initialise=False, WEB_CONCURRENCY="1", TMPDIR=place) as started:
            (folder,) = Path(place).glob("tracking-metrics-*")
            assert any(folder.iterdir())
            before = set(started.worker_pids)
            os.kill(started.pid, signal.SIGHUP)  # which has gunicorn read its configuration again
            assert eventually(lambda: bool(started.worker_pids) and before.isdisjoint(started.worker_pids))
            assert ask(started.port, "/livez").status_code == 200
            assert list(Path(place).glob("tracking-metrics-*")) == [folder]
        assert not list(Path(place).glob("tracking-metrics-*"))
