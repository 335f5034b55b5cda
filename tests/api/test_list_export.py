"""Files of everything: any size in flat memory, and never half a file that looks whole."""

import csv
from collections.abc import Generator

import httpx
import psycopg
import pytest

from core import streaming
from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem
from tests.support.database import synthetic_ledger
from tests.support.log.lists import PATH, path
from tests.support.processes.proc import eventually, resident
from tests.support.processes.service import Service, ServiceFactory

EVENTS = 200_000
MEGABYTES = 8
"""What a process may grow by: the pieces that wait to be sent, and what Python keeps of one batch."""


@pytest.fixture(scope="module")
def running(database: Database, service: ServiceFactory) -> Service:
    """One process over a ledger of many events."""
    synthetic_ledger.fill(database, EVENTS)
    return service(database, WEB_CONCURRENCY="1")


@pytest.fixture(scope="module")
def auditor(database: Database, running: Service) -> str:
    assert running.running
    return make_key(database, "audit")


def lines(running: Service, auditor: str, form: str) -> Generator[str]:
    """The lines of a file, as they come."""
    with httpx.stream("GET", running.base_url + path(format=form), headers=bearer(auditor), timeout=60) as answer:
        assert answer.status_code == 200
        assert "content-length" not in answer.headers
        yield from answer.iter_lines()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_file_holds_everything_in_flat_memory(running: Service, auditor: str, form: str) -> None:
    (worker,) = running.worker_pids
    ask(running.port, path(limit=1000), **bearer(auditor))
    before = most = resident(worker)
    count = 0
    for count, line in enumerate(lines(running, auditor, form), start=1):
        if count % 2_000 == 0:
            most = max(most, resident(worker))
            index = next(csv.reader([line]))[11] if form == "csv" else line.partition('"leaf_index":')[2].split(",")[0]
            assert int(index) == count - (2 if form == "csv" else 1), "filling seals in the order of issue"
    assert count == EVENTS + (form == "csv")
    assert most - before < MEGABYTES << 20, f"{(most - before) >> 20} MB more"


def test_only_a_few_files_are_made_at_once_and_who_leaves_makes_room(running: Service, auditor: str) -> None:
    taken = [lines(running, auditor, "csv") for _ in range(streaming.MOST)]
    for each in taken:
        next(each)  # and then it is not read on
    refused = ask(running.port, path(format="csv"), **bearer(auditor))
    assert problem(refused) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    for _ in range(5):
        assert ask(running.port, PATH, **bearer(auditor)).status_code == 200, "pages go on"
    taken.pop().close()
    few = path(format="csv", customer_id=synthetic_ledger.SMALL_CUSTOMER)
    assert eventually(lambda: ask(running.port, few, **bearer(auditor)).status_code == 200)
    for each in taken:
        each.close()


def test_a_file_whose_rest_cannot_be_read_breaks_off(database: Database, running: Service, auditor: str) -> None:
    reading = lines(running, auditor, "jsonl")
    next(reading)
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                            WHERE datname = current_database() AND usename = 'tracking_web'""")
    with pytest.raises(httpx.TransportError):
        for _ in reading:
            pass
    assert eventually(lambda: ask(running.port, PATH, **bearer(auditor)).status_code == 200)
    assert sum(1 for _ in lines(running, auditor, "jsonl")) == EVENTS


def test_a_file_that_cannot_be_begun_is_a_problem(database: Database, running: Service, auditor: str) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute("REVOKE SELECT ON run FROM tracking_app")
        try:
            for form in ("csv", "jsonl", "json"):
                for _ in range(2 * streaming.MOST):
                    answer = ask(running.port, path(format=form), **bearer(auditor))
                    assert problem(answer) == (503, "database-unavailable")
                    assert "content-disposition" not in answer.headers
        finally:
            session.execute("GRANT SELECT ON run TO tracking_app")
    assert ask(running.port, path(format="csv", weight_band=1), **bearer(auditor)).status_code == 200
