"""A wire that is cut while a batch is under way: answered if it is there, issued anew if not, never both."""

import asyncio
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin import Database
from tests.support.clients.load import Outcome, load
from tests.support.database import ledger
from tests.support.processes.service import Service, ServiceFactory
from tests.support.servers.wire import Wire, wire


@pytest.fixture(scope="module")
def cuttable(database: Database) -> Iterator[Wire]:
    with tempfile.TemporaryDirectory(prefix="wire-") as folder, wire(Path(folder), database.url) as made:
        yield made


@pytest.fixture(scope="module")
def behind_wire(database: Database, cuttable: Wire, service: ServiceFactory) -> Service:
    return service(database, WEB_CONCURRENCY="1", DATABASE_URL=cuttable.url(database.url))


@pytest.fixture(scope="module")
def two_processes(database: Database, service: ServiceFactory) -> Service:
    return service(database, WEB_CONCURRENCY="2")


@pytest.mark.parametrize("before_statement", [False, True], ids=["the reply is lost", "the statement is lost"])
def test_a_cut_batch_is_answered_once_and_recorded_once(
    database: Database, cuttable: Wire, behind_wire: Service, *, before_statement: bool
) -> None:
    cuttable.before_statement = before_statement
    already, made = ledger.count(database.owner_url), cuttable.cuts_made

    def cut_now_and_then(answered: int) -> None:
        if answered % 100 == 50:
            cuttable.cuts_left = 1

    outcome = asyncio.run(load(behind_wire.port, 800, connections=16, seconds=240, on_answer=cut_now_and_then))

    assert cuttable.cuts_made - made >= 5
    assert len(outcome.numbers) == len(set(outcome.numbers)) == 800
    assert ledger.count(database.owner_url) - already == 800, "a number was issued twice for one request, or lost"
    assert set(outcome.numbers) <= set(ledger.numbers(database.owner_url))


@pytest.mark.parametrize("function", ["pg_terminate_backend", "pg_cancel_backend"])
def test_sessions_that_the_server_ends_or_cancels_lose_nothing(
    database: Database, two_processes: Service, function: str
) -> None:
    already = ledger.count(database.owner_url)
    done = threading.Event()
    hits: list[int] = []

    def strike() -> None:
        chance = random.Random(1)
        with ledger.reading(database.owner_url) as session:
            while not done.is_set():
                rows = session.execute(
                    f"SELECT {function}(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'tracking-writer' AND datname = current_database() AND state = 'active'"
                ).fetchall()
                hits.append(len(rows))
                time.sleep(chance.random() / 20)

    striker = threading.Thread(target=strike)
    striker.start()
    outcomes: list[Outcome] = []
    try:
        while not outcomes or (
            sum(hits) <= 5 and len(outcomes) < 40
        ):  # a fast machine has answered before it is struck
            outcomes.append(asyncio.run(load(two_processes.port, 1000, connections=32)))
    finally:
        done.set()
        striker.join()

    assert sum(hits) > 5, "the server struck while batches were under way"
    assert sum(outcome.broken for outcome in outcomes) == 0
    assert {answer.status for outcome in outcomes for answer in outcome.refused} <= {503}
    recorded = ledger.numbers(database.owner_url)[-(ledger.count(database.owner_url) - already) :]
    numbers = [number for outcome in outcomes for number in outcome.numbers]
    assert len(numbers) == len(set(numbers))
    assert len(recorded) == len(numbers), "what was refused must not be in the ledger, nothing answered missing"
