"""Both ways in to one database: the lane under gunicorn, and Django's view under runserver.

A module that leaves the log as it was says `SHARES = True`. All of them have one database and its services together;
they issue as they like, since no sealer runs: its log stays the one that `history` tells of. Others have their own.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import psycopg
import pytest

from tests.plugin import CLUSTER, Database
from tests.support.clients.api_keys import make_key
from tests.support.log import history as histories
from tests.support.log.history import TILE, History
from tests.support.processes.clocks import Clock
from tests.support.processes.service import Service, ServiceFactory, runserver


class Shared(NamedTuple):
    """A database with a log, and its service of one process."""

    database: Database
    lane_port: int
    history: History


@pytest.fixture(scope="session")
def shared() -> Iterator[Shared]:
    """What modules share."""
    made = CLUSTER.create()
    # Some tests present more wrong keys than an address may; tests/api/test_throttled.py has its own service.
    with Service(made, WEB_CONCURRENCY="1", WRONG_KEYS_PER_ADDRESS="0") as running:
        history = histories.make(made, running.port, published_events=600, committed_events=300)
        assert 2 * TILE + 1 < history.published < 3 * TILE < len(history.numbers)
        yield Shared(made, running.port, history)
    CLUSTER.drop(made)


@pytest.fixture(scope="session")
def shared_wsgi_port(shared: Shared) -> Iterator[int]:
    """The port of `manage.py runserver` on it."""
    with runserver(shared.database, WRONG_KEYS_PER_ADDRESS="0") as port:
        yield port


@pytest.fixture(scope="session")
def closed_port(shared: Shared) -> Iterator[int]:
    """The port of a service on it that is closed as far as it can be to callers without a key."""
    closed = {"LOG_ACCESS": "auditors", "ISSUANCE_REQUIRES_KEY": "1", "WRONG_KEYS_PER_ADDRESS": "0"}
    with Service(shared.database, initialise=False, WEB_CONCURRENCY="1", **closed) as running:
        yield running.port


@pytest.fixture(scope="module")
def borrowed(request: pytest.FixtureRequest) -> Shared | None:
    """What the module shares with others, if it does."""
    return request.getfixturevalue("shared") if getattr(request.module, "SHARES", False) else None


@pytest.fixture(scope="module")
def database(borrowed: Shared | None) -> Iterator[Database]:
    """The shared database, or one that is migrated and empty, and that only this module uses."""
    if borrowed:
        yield borrowed.database
        return
    made = CLUSTER.create()
    yield made
    CLUSTER.drop(made)


@pytest.fixture(scope="module")
def clock(database: Database) -> Clock:
    """The clock of the module's own lane."""
    return Clock(database)


@pytest.fixture(scope="module")
def lane_port(borrowed: Shared | None, database: Database, clock: Clock, service: ServiceFactory) -> int:
    """The port of the service as production runs it."""
    return (
        borrowed.lane_port
        if borrowed
        else service(database, initialise=True, WEB_CONCURRENCY="1", **clock.settings).port
    )


@pytest.fixture(scope="module")
def wsgi_port(
    request: pytest.FixtureRequest, borrowed: Shared | None, database: Database, lane_port: int
) -> Iterator[int]:
    """The port of `manage.py runserver`; it comes second, since starting the service makes the allocator."""
    assert lane_port
    if borrowed:
        yield request.getfixturevalue("shared_wsgi_port")
        return
    with runserver(database) as port:
        yield port


@pytest.fixture(params=["lane", "view"])
def port(request: pytest.FixtureRequest) -> int:
    """The port of each way in, in turn."""
    name = {"lane": "lane_port", "view": "wsgi_port"}[request.param]
    found: int = request.getfixturevalue(name)
    return found


@pytest.fixture(scope="module")
def history(shared: Shared) -> History:
    """The shared log: two full tiles and a part of the third are published; the third is full in the database.

    It has several checkpoints, and runs with gaps and without.
    """
    return shared.history


@pytest.fixture(scope="module")
def auditor(database: Database) -> str:
    """An auditor's key."""
    return make_key(database, "audit")


@pytest.fixture(scope="module")
def count_events(database: Database) -> Iterator[Callable[[], int]]:
    """How many events the ledger holds."""
    with psycopg.connect(database.owner_url, autocommit=True) as session:

        def count() -> int:
            row = session.execute("SELECT count(*) FROM issuance_event").fetchone()
            assert row is not None
            return int(row[0])

        yield count
