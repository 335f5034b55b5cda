"""Both ways in to one database: the lane under gunicorn, and Django's view under runserver."""

import os
import sys
from collections.abc import Callable, Iterator

import httpx
import psycopg
import pytest

from core.embedded.process import Process
from tests.plugin import ROOT, Database
from tests.support.processes import eventually
from tests.support.service import ServiceFactory, free_port


@pytest.fixture(scope="module")
def lane_port(database: Database, service: ServiceFactory) -> int:
    """The port of the service as production runs it."""
    return service(database, WEB_CONCURRENCY="1").port


@pytest.fixture(scope="module")
def wsgi_port(database: Database, lane_port: int) -> Iterator[int]:
    """The port of `manage.py runserver`; it comes second, since starting the service makes the allocator."""
    port = free_port()
    assert port != lane_port
    command = [sys.executable, str(ROOT / "manage.py"), "runserver", "--noreload", f"127.0.0.1:{port}"]
    environment = {**os.environ, **database.settings, "LOG_LEVEL": "DEBUG"}
    with Process("runserver", command, environment=environment, folder=ROOT, stop_seconds=30):
        assert eventually(lambda: answers(port)), "runserver does not answer"
        yield port


@pytest.fixture(params=["lane", "view"])
def port(request: pytest.FixtureRequest) -> int:
    """The port of each way in, in turn."""
    name = {"lane": "lane_port", "view": "wsgi_port"}[request.param]
    found: int = request.getfixturevalue(name)
    return found


@pytest.fixture(scope="module")
def count_events(database: Database) -> Iterator[Callable[[], int]]:
    """How many events the ledger holds."""
    with psycopg.connect(database.owner_url, autocommit=True) as session:

        def count() -> int:
            row = session.execute("SELECT count(*) FROM issuance_event").fetchone()
            assert row is not None
            return int(row[0])

        yield count


def answers(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/robots.txt", timeout=5)
    except httpx.TransportError:
        return False
    return True
