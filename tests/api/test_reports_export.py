"""Files of counts: any length in flat memory, no transaction that waits for a slow reader, never half a file."""

import re
import socket
from collections.abc import Generator
from contextlib import ExitStack, closing

import httpx
import psycopg
import pytest

from core import streaming
from core.server import SEND_SECONDS
from tests.plugin import Database
from tests.support.clients import stats
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.daily_reports import PATH, ask_reports, step
from tests.support.clients.http import ask, problem
from tests.support.database import synthetic_ledger
from tests.support.processes.proc import eventually, resident
from tests.support.processes.service import Service, ServiceFactory

EVENTS = 200_000
MOMENT = "timestamptz '2026-01-01T00:00:00Z' + i * interval '10 minutes'"
"""So nearly every event is a line."""
WHOLE = f"{PATH}?from=1970-01-01&to=9999-12-31&format=csv"
MEGABYTES = 8
LINES = 150_000


@pytest.fixture(scope="module")
def running(database: Database, service: ServiceFactory) -> Service:
    """One process over counts of many days, half of them rolled up."""
    synthetic_ledger.fill(database, EVENTS, moment=MOMENT)
    step(database, EVENTS // 2)
    return service(database, WEB_CONCURRENCY="1")


@pytest.fixture(scope="module")
def key(database: Database, running: Service) -> str:
    assert running.running
    return make_key(database, "reports")


def lines(running: Service, key: str, path: str = WHOLE, *, narrow: bool = False) -> Generator[str]:
    """The lines of a file, as they come; ``narrow`` is for one that is not read on: the kernel takes little in."""
    options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)] if narrow else []
    with (
        httpx.Client(transport=httpx.HTTPTransport(socket_options=options), headers=bearer(key), timeout=60) as client,
        client.stream("GET", running.base_url + path) as answer,
    ):
        assert answer.status_code == 200
        assert "content-length" not in answer.headers
        yield from answer.iter_lines()


def test_a_file_holds_everything_in_flat_memory(database: Database, running: Service, key: str) -> None:
    (worker,) = running.worker_pids
    sum(1 for _ in lines(running, key, WHOLE.replace("9999-12-31", "2026-01-03")))
    before = most = resident(worker)
    count = total = 0
    for count, line in enumerate(lines(running, key)):
        if count % 2_000 == 0:
            most = max(most, resident(worker))
        total += int(line.rpartition(",")[2]) if count else 0
    assert total == EVENTS
    with psycopg.connect(database.owner_url) as session:
        cells = "SELECT DISTINCT (requested_at AT TIME ZONE 'UTC')::date, origin, destination, weight_band"
        assert session.execute(f"SELECT count(*) FROM ({cells} FROM issuance_event) AS c").fetchone() == (count,)
    assert count > LINES
    assert most - before < MEGABYTES << 20, f"{(most - before) >> 20} MB more"


def test_a_customers_file_has_every_count(running: Service, key: str) -> None:
    path = stats.path(synthetic_ledger.LARGE_CUSTOMER, "format=csv")
    total = ask(running.port, path.replace("format=csv", "by=weight_band"), **bearer(key)).json()["total"]
    found = list(lines(running, key, path))
    assert total > 3_000
    assert sum(int(line.rpartition(",")[2]) for line in found[1:]) == total


def test_a_slow_reader_keeps_no_transaction_open(database: Database, running: Service, key: str) -> None:
    not_idle = """
        SELECT state, backend_xmin FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'tracking_web' AND state <> 'idle'"""
    with (
        closing(lines(running, key, narrow=True)) as reading,
        psycopg.connect(database.owner_url, autocommit=True) as session,
    ):
        next(reading)
        assert eventually(lambda: session.execute(not_idle).fetchall() == [], SEND_SECONDS - 5), (
            "once the kernel takes no more in, and before the reader is given up"
        )


def test_only_a_few_files_are_made_at_once_and_who_leaves_makes_room(running: Service, key: str) -> None:
    few = stats.path(synthetic_ledger.SMALL_CUSTOMER, "format=csv")
    with ExitStack() as taken:
        readers = [taken.enter_context(closing(lines(running, key, narrow=True))) for _ in range(streaming.MOST)]
        for each in readers:
            next(each)  # and then it is not read on
        for path in (WHOLE, few):
            refused = ask(running.port, path, **bearer(key))
            assert problem(refused) == (503, "overloaded")
        assert ask_reports(running.port, key, "?from=2026-01-01&to=2026-02-01").status_code == 200, "others go on"
        readers[0].close()
        assert eventually(lambda: ask(running.port, few, **bearer(key)).status_code == 200)


def test_a_file_whose_rest_cannot_be_read_breaks_off(database: Database, running: Service, key: str) -> None:
    with closing(lines(running, key, narrow=True)) as reading:
        next(reading)
        with psycopg.connect(database.owner_url, autocommit=True) as session:
            session.execute("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                                WHERE datname = current_database() AND usename = 'tracking_web'""")
        with pytest.raises(httpx.TransportError):
            for _ in reading:
                pass
    january = "?from=2026-01-01&to=2026-02-01"
    assert eventually(lambda: ask_reports(running.port, key, january).status_code == 200)
    assert sum(1 for _ in lines(running, key)) > LINES


def test_what_cannot_be_counted_is_a_problem(database: Database, running: Service, key: str) -> None:
    paths = [f"{PATH}?from=2026-01-01&to=2026-02-01", f"{PATH}/2026-01-01", f"{PATH}/2026-01-01/corrections"]
    paths += [WHOLE, stats.path(synthetic_ledger.CUSTOMER), stats.path(synthetic_ledger.CUSTOMER, "format=csv")]
    tables = ("run", "daily_total, daily_usage, daily_report, daily_correction")
    for table in tables:
        with psycopg.connect(database.owner_url, autocommit=True) as session:
            session.execute(f"REVOKE SELECT ON {table} FROM tracking_app")
            try:
                for path in paths if table != "run" else paths[3:]:
                    for _ in range(2 * streaming.MOST):
                        answer = ask(running.port, path, **bearer(key))
                        assert problem(answer) == (503, "database-unavailable")
                        assert not re.search("attachment", answer.headers.get("content-disposition", ""))
            finally:
                session.execute(f"GRANT SELECT ON {table} TO tracking_app")
    for path in paths:
        assert ask(running.port, path, **bearer(key)).status_code == 200
