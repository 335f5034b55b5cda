"""Both ways in to one database: the lane under gunicorn, and Django's view under runserver."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.plugin import Database
from tests.support.processes.service import ServiceFactory, runserver


@pytest.fixture(scope="module")
def lane_port(database: Database, service: ServiceFactory) -> int:
    """The port of the service as production runs it."""
    return service(database, WEB_CONCURRENCY="1").port


@pytest.fixture(scope="module")
def wsgi_port(database: Database, lane_port: int) -> Iterator[int]:
    """The port of `manage.py runserver`; it comes second, since starting the service makes the allocator."""
    assert lane_port
    with runserver(database) as port:
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
