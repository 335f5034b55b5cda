"""The lane's look-up of keys: one query for many requests, and no wait without end while the database stands still."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime

import pytest
from django.db import OperationalError

from core import problems
from core.keys.callers import Callers
from core.keys.domain import Caller, Scope
from core.keys.store import InvalidKeyError
from core.problems import ProblemError
from issuance.callers import LoopCallers

CALLER = Caller(7, frozenset({Scope.ISSUE}), None)
DEADLINE, PATIENCE = 0.3, 30.0
"""Of those who wait for a database that stands still, and of the others: what is slow must not be late."""
MOST = 5
ADDRESS = "192.0.2.1"


class Database:
    """Stands still until it is let go on."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.moves = threading.Event()
        self.outcome: Exception | None = None

    def find(self, text: str) -> tuple[Caller, datetime | None]:
        self.asked.append(text)
        assert self.moves.wait(2 * PATIENCE)
        if self.outcome is not None:
            raise self.outcome
        return CALLER, None


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database()
    yield made
    made.moves.set()


async def refused(asking: "asyncio.Future[Caller | None]") -> problems.Problem:
    with pytest.raises(ProblemError) as error:
        await asking
    return error.value.problem


type Scenario = Callable[[LoopCallers], Coroutine[None, None, None]]


def play(database: Database, scenario: Scenario, deadline: float = PATIENCE) -> None:
    """Run a scenario on a loop of its own; what is remembered of keys stays fresh."""
    remembered = Callers(database.find, lambda: 1000.0)
    callers = LoopCallers(deadline=deadline, most=MOST, callers=remembered, find=database.find)
    try:
        asyncio.run(scenario(callers))
    finally:
        database.moves.set()
        callers.close()


def test_many_requests_with_one_key_ask_once(database: Database) -> None:
    async def scenario(callers: LoopCallers) -> None:
        asking = [asyncio.ensure_future(callers(b"Bearer good", ADDRESS)) for _ in range(50)]
        await asyncio.sleep(0.05)
        database.moves.set()
        assert await asyncio.gather(*asking) == [CALLER] * 50
        assert await callers(b"Bearer good", ADDRESS) == CALLER
        assert database.asked == ["good"]

    play(database, scenario)


def test_another_scheme_is_nobody_and_a_wrong_key_unauthorized(database: Database) -> None:
    database.moves.set()
    database.outcome = InvalidKeyError()

    async def scenario(callers: LoopCallers) -> None:
        assert await callers(b"Basic good", ADDRESS) is None
        assert database.asked == []
        for header in (b"Bearer wrong", b"Bearer", b"Bearer caf\xe9"):
            assert await refused(asyncio.ensure_future(callers(header, ADDRESS))) is problems.UNAUTHORIZED

    play(database, scenario)


def test_a_client_that_goes_away_takes_no_other_with_it(database: Database) -> None:
    async def scenario(callers: LoopCallers) -> None:
        first, second = (asyncio.ensure_future(callers(b"Bearer good", ADDRESS)) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0)
        database.moves.set()
        assert await second == CALLER
        assert database.asked == ["good"]

    play(database, scenario)


def test_while_the_database_stands_still_a_key_is_waited_for_as_long_as_a_commit(database: Database) -> None:
    async def scenario(callers: LoopCallers) -> None:
        begun = time.monotonic()
        asking = [asyncio.ensure_future(callers(b"Bearer %d" % n, ADDRESS)) for n in range(MOST)]
        assert [await refused(each) for each in asking] == [problems.DATABASE_UNAVAILABLE] * MOST
        assert DEADLINE <= time.monotonic() - begun < PATIENCE
        database.moves.set()
        async with asyncio.timeout(PATIENCE):
            while callers._asked:  # noqa: ASYNC110  # what it waits for has no event
                await asyncio.sleep(0.01)
        assert await callers(b"Bearer 0", ADDRESS) == CALLER, "it moves again"

    play(database, scenario, DEADLINE)


def test_no_more_keys_wait_than_requests_may_and_the_next_is_refused_at_once(database: Database) -> None:
    async def scenario(callers: LoopCallers) -> None:
        asking = [asyncio.ensure_future(callers(b"Bearer %d" % n, ADDRESS)) for n in range(MOST)]
        await asyncio.sleep(0)
        begun = time.monotonic()
        assert await refused(asyncio.ensure_future(callers(b"Bearer one more", ADDRESS))) is problems.OVERLOADED
        assert time.monotonic() - begun < PATIENCE / 2
        also = asyncio.ensure_future(callers(b"Bearer 0", ADDRESS))  # which is asked for already
        database.moves.set()
        assert await asyncio.gather(*asking, also) == [CALLER] * (MOST + 1)

    play(database, scenario)


def test_nothing_is_said_of_an_answer_that_came_too_late(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    database.outcome = OperationalError("the key is none of the log's business")

    async def scenario(callers: LoopCallers) -> None:
        assert await refused(asyncio.ensure_future(callers(b"Bearer 0", ADDRESS))) is problems.DATABASE_UNAVAILABLE
        database.moves.set()
        await asyncio.sleep(0.1)

    play(database, scenario, DEADLINE)
    assert not caplog.records
