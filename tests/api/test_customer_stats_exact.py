"""A customer's statistics are exact at the size that they name, whatever is issued and sealed meanwhile."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from tests.plugin import Database
from tests.support.clients import stats
from tests.support.clients.api_keys import make_key
from tests.support.clients.http import ask
from tests.support.clients.load import load
from tests.support.clients.orders import PATH, query
from tests.support.clients.stats import ask_stats
from tests.support.database import ledger
from tests.support.log import history as histories
from tests.support.processes.sealers import Sealer, seal, state, until_published
from tests.support.processes.service import ServiceFactory

WRITERS = 3
LOAD = 2500
CUSTOMERS = [f"de619854-b59b-425e-9db4-{customer:012x}" for customer in (0, 1, 250)]
BY = ("day", "route", "weight_band")


@pytest.fixture(scope="module")
def ports(database: Database, service: ServiceFactory) -> list[int]:
    """Services of one writer each, which have some rows refused, so that serials have gaps."""
    found = [service(database, WEB_CONCURRENCY="1").port for _ in range(WRITERS)]
    with ledger.reading(database.owner_url) as session:
        session.execute("ALTER TABLE issuance_event ADD CHECK (destination <> 'ZW')")
    return found


@pytest.fixture(scope="module")
def port(ports: list[int]) -> int:
    """One of them."""
    return ports[0]


@pytest.fixture(scope="module")
def reporter(database: Database, port: int) -> str:
    """A key that may see every customer's reports, and read the log."""
    assert port
    return make_key(database, "reports", "audit")


def issue(port: int, customer: str, count: int) -> None:
    for _ in range(count):
        assert ask(port, f"{PATH}?{query(customer_id=customer).decode()}").status_code == 200


def issue_many(port: int, enough: Event) -> list[int]:
    """How many numbers each round of a load comes to; one at least, and until there is ``enough``.

    A machine that is fast answers all of a round before the log has grown a few times.
    """
    rounds: list[int] = []
    while not rounds or not enough.is_set():
        rounds.append(len(asyncio.run(load(port, LOAD, poison=0.01)).numbers))
    return rounds


def total(port: int, customer: str, key: str) -> tuple[int, int]:
    answer = ask_stats(port, customer, key).json()
    return answer["size"], answer["total"]


def test_a_number_is_counted_once_it_is_a_leaf_and_not_before(
    database: Database, service: ServiceFactory, port: int, reporter: str
) -> None:
    customer = str(uuid4())
    begun = ledger.count(database.owner_url)
    issue(port, customer, 5)
    assert total(port, customer, reporter) == (begun, 0), "no block has a cursor"
    seal(database, begun + 5)
    assert total(port, customer, reporter) == (begun + 5, 5)
    with service(database, WEB_CONCURRENCY="1") as another:
        issue(another.port, customer, 3)
        assert total(port, customer, reporter) == (begun + 5, 5), "its block is one that the sealer has not seen"
    issue(port, customer, 4)
    assert total(port, customer, reporter) == (begun + 5, 5), "their blocks are open, and have cursors"
    seal(database, begun + 12)
    assert total(port, customer, reporter) == (begun + 12, 12)


def test_what_is_committed_to_the_log_is_counted_before_it_is_published(
    database: Database, port: int, reporter: str
) -> None:
    customer = str(uuid4())
    issue(port, customer, 2)
    size = ledger.count(database.owner_url)
    histories.commit_only(database, size)
    assert state(database)["published_size"] < size
    assert total(port, customer, reporter) == (size, 2)


def test_statistics_are_what_an_auditor_counts_in_the_log_of_that_size(
    database: Database, ports: list[int], port: int, reporter: str
) -> None:
    """While several writers issue and a sealer seals, each answer is held to the entries that it says it counted."""
    answers: list[dict[str, Any]] = [ask_stats(port, CUSTOMERS[0], reporter, "by=day").json()]
    ahead = 0
    enough = Event()
    with Sealer(database), ThreadPoolExecutor(WRITERS) as threads:
        loading = [threads.submit(issue_many, each, enough) for each in ports]
        questions = cycle([(customer, by) for customer in CUSTOMERS for by in BY])
        try:
            while not all(each.done() for each in loading):
                customer, by = next(questions)
                answers.append(ask_stats(port, customer, reporter, f"by={by}").json())
                ahead += ledger.count(database.owner_url) > answers[-1]["size"]
                if ahead >= 5 and len({answer["size"] for answer in answers}) >= 6:
                    enough.set()
        finally:
            enough.set()
        assert all(count > LOAD * 0.9 for each in loading for count in each.result())
        size = ledger.count(database.owner_url)
        until_published(database, size)
    for customer in CUSTOMERS:
        answers += [ask_stats(port, customer, reporter, f"by={by}").json() for by in BY]
    assert {answer["size"] for answer in answers[-len(CUSTOMERS) * len(BY) :]} == {size}

    log = stats.entries(port, reporter, size)
    for answer in answers:
        expected = stats.counted(log[: answer["size"]], answer["customer_id"], answer["by"])
        assert answer["rows"] == expected, f"at size {answer['size']}"
        assert answer["total"] == sum(row["count"] for row in expected)
    sizes = {answer["size"] for answer in answers}
    assert len(sizes) >= 5, "the log grew meanwhile"
    assert ahead >= 5, "there were events that were not leaves yet"
    assert {bool(answer["total"]) for answer in answers if answer["customer_id"] == CUSTOMERS[0]} == {False, True}


def test_several_writers_took_part(database: Database) -> None:
    with ledger.reading(database.owner_url) as session:
        writers = session.execute("""
            SELECT count(DISTINCT writer) FROM number_block b
             WHERE EXISTS (SELECT FROM issuance_event WHERE serial >> 10 = b.id)""").fetchone()
    assert writers is not None
    assert writers[0] >= WRITERS + 1, "one whose session was lost has become another"
