"""Whether a process is ready, and what it says where it is not: to whoever asks, by whatever name, and in time."""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.test import RequestFactory
from psycopg.conninfo import make_conninfo

from core import draining, health
from tests.logs import Heard
from tests.plugin import Cluster, Database
from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask, problem
from tests.support.clients.orders import PATH, query
from tests.support.clients.raw_http import exchange
from tests.support.processes.proc import eventually, standing_still
from tests.support.processes.secret_keys import key
from tests.support.processes.service import Service, ServiceFactory

TOKEN = key("METRICS_TOKEN")
MANY = 160
"""So many that Django's eight threads would need 40 seconds for them if each waited by itself."""
CHECKS = ["serving", "database", "role", "schema", "lease", "fence"]


def missing(answer: httpx.Response) -> list[str]:
    """The checks that an answer names; [] where it says that all is well."""
    if answer.status_code == 200:
        assert answer.json() == {"ready": True, "checks": dict.fromkeys(CHECKS, "ok")}
        return []
    assert problem(answer) == (503, "not-ready")
    assert answer.headers["retry-after"] == "1"
    errors: list[dict[str, Any]] = answer.json()["errors"]
    assert all(each["detail"].endswith(".") for each in errors)
    return [each["parameter"] for each in errors]


def until(port: int, *checks: str) -> httpx.Response:
    """The answer of /readyz, once exactly these are missing."""
    assert eventually(lambda: missing(ask(port, "/readyz")) == list(checks)), ask(port, "/readyz").text
    return ask(port, "/readyz")


def test_a_process_that_has_issued_nothing_becomes_ready_in_either_way_in(port: int) -> None:
    answer = until(port)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert ask(port, "/livez").text == "alive\n"


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_head_says_the_same_and_other_methods_are_refused(port: int, path: str) -> None:
    until(port)
    head = ask(port, path, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == ask(port, path).headers["content-length"]
    for method in ("POST", "DELETE", "OPTIONS"):
        refused = ask(port, path, method)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.fixture(scope="module")
def strict_port(database: Database, lane_port: int, service: ServiceFactory) -> int:
    """The port of a service that has one name and wants HTTPS."""
    assert lane_port
    strict = {"HTTPS_ONLY": "1", "ALLOWED_HOSTS": "tracking.example"}
    return service(database, initialise=False, WEB_CONCURRENCY="1", **strict).port


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_platform_s_probe_gets_exactly_200_by_any_name_and_without_https(strict_port: int, path: str) -> None:
    until(strict_port)
    for host in ("healthcheck.railway.app", "10.0.0.3:8000", "tracking.example", "[::1]"):
        assert ask(strict_port, path, Host=host).status_code == 200, host
    assert exchange(strict_port, b"GET %s HTTP/1.0\r\n\r\n" % path.encode()).status == 200, "without any Host"
    assert ask(strict_port, "/docs", Host="healthcheck.railway.app").status_code == 400, "nothing else is open to it"
    assert ask(strict_port, "/docs", Host="tracking.example").status_code == 301, "nor without HTTPS"


def test_a_process_that_drains_says_so_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> dict[str, str | None]:
        raise AssertionError("it must answer at once")

    view = health.readyz(never)
    monkeypatch.setattr(draining, "_begun", False)
    draining.begin()
    answer = view(RequestFactory().get("/readyz"))
    assert answer.status_code == 503
    assert b'"parameter":"serving"' in answer.content


def test_a_migration_that_is_missing_is_named(database: Database, lane_port: int) -> None:
    until(lane_port)
    with psycopg.connect(database.owner_url) as session:
        forgotten = session.execute(
            "DELETE FROM django_migrations WHERE app = 'reports' RETURNING id, app, name, applied"
        ).fetchall()
        session.commit()
        assert "manage.py migrate" in until(lane_port, "schema").json()["errors"][0]["detail"]
        session.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('reports', '9999_to_come', now())")
        for row in forgotten:
            session.execute("INSERT INTO django_migrations (id, app, name, applied) VALUES (%s, %s, %s, %s)", row)
    until(lane_port)


def test_a_login_that_may_not_serve_is_named(database: Database, lane_port: int, service: ServiceFactory) -> None:
    assert lane_port
    login = "tracking_stranger"
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(f"DROP ROLE IF EXISTS {login}")
        session.execute(f"CREATE ROLE {login} LOGIN")
    url = make_conninfo(database.url, user=login)
    strange = service(database, initialise=False, WEB_CONCURRENCY="1", DATABASE_URL=url)
    answer = until(strange.port, "role", "lease")
    assert "GRANT tracking_app" in answer.json()["errors"][0]["detail"]
    assert login not in answer.text
    strange.stop()
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(f"DROP ROLE {login}")


def test_a_fence_that_is_ahead_is_named(database: Database, lane_port: int, service: ServiceFactory) -> None:
    """As after a restore: the database has forgotten the blocks that the fence remembers."""
    assert lane_port
    held = database.fence.read_bytes()
    document = held.replace(b'"highest_block":', b'"highest_block":9')
    assert document != held
    database.fence.write_bytes(document)
    behind = service(database, initialise=False, WEB_CONCURRENCY="1")
    answer = until(behind.port, "fence")
    assert str(database.fence) not in answer.text
    assert ask(behind.port, f"{PATH}?{query().decode()}").status_code == 503
    assert ask(behind.port, "/livez").status_code == 200, "a restart would not help"
    database.fence.write_bytes(held)
    until(behind.port)
    behind.stop()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that may be stopped."""
    with tempfile.TemporaryDirectory(prefix="h-") as folder:
        made = Cluster(Path(folder) / "c")
        yield made
        made.server.stop()


@pytest.fixture(scope="module")
def own(cluster: Cluster, service: ServiceFactory) -> Service:
    """A service on it."""
    return service(cluster.create(), WEB_CONCURRENCY="1", METRICS_TOKEN=TOKEN)


def scraped(port: int) -> str:
    """What a scrape says of the database, beside what the process knows by itself."""
    scrape = ask(port, "/metrics", **bearer(TOKEN))
    assert scrape.status_code == 200
    assert "\ntracking_web_processes 1.0\n" in scrape.text
    return scrape.text.partition("\ntracking_database_up ")[2].partition("\n")[0]


def test_a_database_that_hangs_is_said_within_seconds_and_all_else_is_answered(own: Service, cluster: Cluster) -> None:
    until(own.port)
    with standing_still(cluster.server.pid):
        time.sleep(0.6)  # an answer is good for half a second
        limits = httpx.Limits(max_connections=MANY)
        with httpx.Client(timeout=120, limits=limits) as client, ThreadPoolExecutor(MANY) as threads:
            began = time.monotonic()
            answers = list(threads.map(lambda _: client.get(f"{own.base_url}/readyz"), range(MANY)))
            assert time.monotonic() - began < 30, "one waits for two seconds, and the others with it"
        assert {tuple(missing(answer)) for answer in answers} == {("database",)}
        assert scraped(own.port) == "0.0"
        assert ask(own.port, "/livez").status_code == 200
    until(own.port)
    assert eventually(lambda: scraped(own.port) == "1.0")


def test_a_database_that_is_away_is_said_and_readiness_comes_back_by_itself(
    own: Service, cluster: Cluster, heard: Heard
) -> None:
    until(own.port)
    cluster.server.stop()
    answer = until(own.port, "database", "lease")
    assert "DATABASE_URL" in answer.json()["errors"][0]["detail"]
    assert str(cluster.folder) not in answer.text, "no address is told"
    assert eventually(lambda: scraped(own.port) == "0.0")
    heard.read()
    until(own.port, "database", "lease")
    assert "readyz" not in heard.read(), "a probe a second must not fill the log"
    cluster.server.start()
    until(own.port)
