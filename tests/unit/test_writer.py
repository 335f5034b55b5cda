"""Group commit against a gate that can be told to fail: what is answered, retried, issued anew, refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from uuid_utils import uuid7

from core.session import SessionLostError
from issuance.claims import Won
from issuance.domain.errors import (
    CollisionError,
    IssuanceError,
    KeyReusedError,
    OverloadedError,
    RestoredDatabaseError,
    StoppingError,
    UnavailableError,
    UnrecordableError,
)
from issuance.domain.number import Numbering
from issuance.domain.order import Order
from issuance.request import Request
from issuance.writer import Writer
from issuance.writer_session import RowRefusedError, TryAgainError, Written
from ledger.domain.entry import Event
from ledger.domain.serial import BLOCK_SIZE, block_of
from ledger.domain.tag import Claim

PATIENCE = 60.0
"""Seconds for what takes none, however busy the machine is."""
NUMBERS = Numbering(bytes(range(32)))
POISON = "ZW"


class Database:
    """What survives sessions: events, claims, blocks; and what goes wrong, by turns."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.claims: dict[bytes, tuple[str, bytes]] = {}
        self.batches: list[list[int]] = []
        self.next_block = 0
        self.failures: list[Exception] = []
        self.unreadable: list[Exception] = []
        self.opening: list[Exception] = []
        self.waited_for: list[int] = []
        self.sessions = 0
        self.hold: asyncio.Event | None = None


class FakeGate:
    """A session of it."""

    def __init__(self, database: Database) -> None:
        database.sessions += 1
        self.database = database
        self.writer = database.sessions
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    async def wait_until_gone(self, writer: int) -> None:
        self.database.waited_for.append(writer)

    async def lease(self, count: int) -> range:
        first = self.database.next_block
        self.database.next_block += count
        return range(first, first + count)

    async def append(self, events: Sequence[Event], claims: Sequence[Sequence[Claim]]) -> Written:
        database = self.database
        await asyncio.sleep(0)
        if database.hold is not None:
            await database.hold.wait()
        failure = database.failures.pop(0) if database.failures else None
        if failure is not None and not isinstance(failure, CommittedThenLostError):
            raise failure
        if any(event.destination == POISON for event in events):
            raise RowRefusedError("22000")
        database.batches.append([event.serial for event in events])
        lost = set()
        for position, (event, each) in enumerate(zip(events, claims, strict=True)):
            if any(claim.tag in database.claims for claim in each):
                lost.add(position)
                continue
            database.claims.update({claim.tag: (event.number, claim.fingerprint) for claim in each})
            database.events[event.number] = event
        if failure is not None:
            self.close()
            raise SessionLostError("cut after the commit")
        return Written(frozenset(lost))

    async def present(self, numbers: Sequence[str]) -> set[str]:
        return {number for number in numbers if number in self.database.events}

    async def winners(self, tags: Sequence[bytes]) -> dict[bytes, Won]:
        if self.database.unreadable:
            raise self.database.unreadable.pop()
        found = {tag: self.database.claims[tag] for tag in tags if tag in self.database.claims}
        return {tag: Won(self.database.events[number], print_) for tag, (number, print_) in found.items()}


class CommittedThenLostError(Exception):
    """The wire is cut after the commit and before the reply."""


def request(destination: str = "ID", claims: tuple[Claim, ...] = ()) -> Request:
    order = Order("MY", destination, 1234, 1_542_713_372_000_000, bytes(16), "RedBox", "redbox")
    return Request(order, customer=(1, bytes(32)), requested_at=1, request_id=uuid7(), claims=claims)


@contextlib.asynccontextmanager
async def writing(database: Database, *, queue_limit: int = 100, deadline: float = PATIENCE) -> AsyncIterator[Writer]:
    async def open_session() -> FakeGate:
        if database.opening:
            raise database.opening.pop(0)
        return FakeGate(database)

    writer = Writer(open_session, NUMBERS, queue_limit=queue_limit, deadline=deadline)
    task = asyncio.get_running_loop().create_task(writer.run())
    try:
        yield writer
    finally:
        await writer.drain()
        await asyncio.wait_for(task, PATIENCE)


def issue(database: Database, requests: list[Request]) -> list[Event | BaseException]:
    """What each of the requests, submitted at once, comes to."""

    async def run() -> list[Event | BaseException]:
        async with writing(database) as writer:
            answers = [writer.submit(each) for each in requests]
            return await asyncio.gather(*answers, return_exceptions=True)

    return asyncio.run(run())


def events(outcomes: list[Event | BaseException]) -> list[Event]:
    assert all(isinstance(outcome, Event) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Event)]


def test_requests_that_wait_together_are_committed_together() -> None:
    database = Database()
    answered = events(issue(database, [request() for _ in range(50)]))
    assert len({event.number for event in answered}) == 50
    assert [len(batch) for batch in database.batches] == [50]


def test_serials_increase_over_batches_and_blocks() -> None:
    async def run(database: Database) -> None:
        async with writing(database, queue_limit=4 * BLOCK_SIZE) as writer:
            await asyncio.gather(*(writer.submit(request()) for _ in range(3 * BLOCK_SIZE)))

    database = Database()
    asyncio.run(run(database))
    serials = [serial for batch in database.batches for serial in batch]
    assert serials == sorted(set(serials))
    assert len({block_of(serial) for serial in serials}) >= 3


def test_a_row_that_the_database_refuses_fails_alone() -> None:
    database = Database()
    outcomes = issue(database, [request(POISON if place == 13 else "ID") for place in range(40)])
    assert isinstance(outcomes[13], UnrecordableError)
    assert len(events(outcomes[:13] + outcomes[14:])) == 39
    serials = [serial for batch in database.batches for serial in batch]
    assert serials == sorted(set(serials)), "serials keep increasing while the batch is halved"


def test_a_batch_that_was_committed_before_the_wire_was_cut_is_answered_and_not_issued_anew() -> None:
    database = Database()
    database.failures = [CommittedThenLostError()]
    answered = events(issue(database, [request() for _ in range(5)]))
    assert {event.number for event in answered} == set(database.events)
    assert len(database.events) == 5
    assert database.waited_for == [1], "the old session's lock must be had before the outcome is read"


def test_a_batch_that_was_lost_is_issued_anew_with_serials_of_a_new_block() -> None:
    database = Database()
    database.failures = [SessionLostError("cut before the commit")]
    answered = events(issue(database, [request() for _ in range(5)]))
    assert {event.number for event in answered} == set(database.events)
    assert {block_of(event.serial) for event in answered} == {1}
    assert database.sessions == 2


def test_a_batch_rolled_back_for_no_fault_of_its_own_is_tried_three_times() -> None:
    database = Database()
    database.failures = [TryAgainError("57014"), TryAgainError("40P01")]
    assert len(events(issue(database, [request()]))) == 1
    database.failures = [TryAgainError("57014")] * 3
    (outcome,) = issue(database, [request()])
    assert isinstance(outcome, UnavailableError)


def test_a_collision_is_answered_to_nobody_and_stops_issuing() -> None:
    async def run(database: Database) -> None:
        async with writing(database) as writer:
            answer = writer.submit(request())
            with pytest.raises(CollisionError):
                await answer
            await asyncio.sleep(0.5)
            with pytest.raises(CollisionError):
                writer.submit(request())

    database = Database()
    database.failures = [CollisionError("issuance_event_pkey")]
    asyncio.run(run(database))
    assert database.sessions == 1, "no other session is opened"


@pytest.mark.parametrize("error", [UnavailableError("down"), RestoredDatabaseError("behind the fence")])
def test_while_nothing_can_be_issued_requests_are_refused_at_once_and_then_served_again(error: IssuanceError) -> None:
    async def run(database: Database) -> None:
        async with writing(database) as writer:
            waiting = writer.submit(request())
            with pytest.raises(type(error)):
                await waiting
            with pytest.raises(type(error)):
                writer.submit(request())
            await until(lambda: writer.refusal is None)
            assert (await writer.submit(request())).number in database.events

    database = Database()
    database.opening = [error]
    asyncio.run(run(database))


def test_a_session_that_dies_between_batches_is_replaced() -> None:
    async def run(database: Database) -> None:
        gates: list[FakeGate] = []

        async def open_session() -> FakeGate:
            gates.append(FakeGate(database))
            return gates[-1]

        writer = Writer(open_session, NUMBERS, queue_limit=10, deadline=PATIENCE)
        task = asyncio.get_running_loop().create_task(writer.run())
        first = await writer.submit(request())
        gates[0].close()
        second = await writer.submit(request())
        assert block_of(second.serial) > block_of(first.serial)
        await writer.drain()
        await task

    asyncio.run(run(Database()))


def test_sessions_that_are_lost_before_they_serve_are_opened_ever_more_slowly() -> None:
    async def run(database: Database) -> None:
        database.opening = [SessionLostError("cut while opening")] * 1000
        async with writing(database) as writer:
            waiting = writer.submit(request())
            await asyncio.sleep(1.0)
            tries = 1000 - len(database.opening)
            assert 2 <= tries <= 5, "0.1 s, 0.2 s, 0.4 s apart, not as fast as the server says no"
            database.opening.clear()
            await waiting

    asyncio.run(run(Database()))


def test_an_outage_after_a_session_that_served_starts_with_the_shortest_pause_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    pause = Writer._pause

    async def pausing(self: Writer, seconds: float) -> None:
        pauses.append(seconds)
        await pause(self, seconds)

    monkeypatch.setattr(Writer, "_pause", pausing)

    async def run(database: Database) -> None:
        async with writing(database) as writer:
            for _ in range(3):
                assert (await writer.submit(request())).number in database.events
                database.failures = [UnavailableError("away")]
                with pytest.raises(UnavailableError):
                    await writer.submit(request())
                await until(lambda: writer.refusal is None)

    asyncio.run(run(Database()))
    assert pauses == [0.1] * 3


def test_a_full_queue_refuses_at_once() -> None:
    async def run(database: Database) -> None:
        database.hold = asyncio.Event()
        async with writing(database, queue_limit=3) as writer:
            answers = [writer.submit(request()) for _ in range(3)]
            with pytest.raises(OverloadedError):
                writer.submit(request())
            database.hold.set()
            await asyncio.gather(*answers)

    asyncio.run(run(Database()))


def test_a_request_past_its_deadline_is_told_so_and_its_batch_goes_on() -> None:
    async def run(database: Database) -> None:
        database.hold = asyncio.Event()
        async with writing(database, deadline=1.0) as writer:  # in which it has its turn
            answer = writer.submit(request())
            with pytest.raises(UnavailableError):
                await answer
            database.hold.set()
            database.hold = None
            await until(lambda: len(database.events) == 1)

    asyncio.run(run(Database()))


def test_a_client_that_went_away_while_waiting_gets_no_number() -> None:
    async def run(database: Database) -> None:
        database.hold = asyncio.Event()
        async with writing(database) as writer:
            first = writer.submit(request())
            await asyncio.sleep(0.05)
            gone, kept = writer.submit(request()), writer.submit(request())
            gone.cancel()
            database.hold.set()
            await asyncio.gather(first, kept)
        assert len(database.events) == 2

    asyncio.run(run(Database()))


def test_draining_answers_those_who_wait_and_refuses_those_who_come() -> None:
    async def run(database: Database) -> None:
        async with writing(database) as writer:
            answers = [writer.submit(request()) for _ in range(5)]
            await writer.drain()
            with pytest.raises(StoppingError):
                writer.submit(request())
            assert len(await asyncio.gather(*answers)) == 5

    asyncio.run(run(Database()))


def test_the_same_key_gives_the_same_event_also_within_one_batch() -> None:
    claims = (Claim(bytes(32), b"f" * 32),)
    requests = [request(claims=claims) for _ in range(3)]
    answered = events(issue(Database(), requests))
    assert len({event.number for event in answered}) == 1
    assert sorted(each.replayed for each in requests) == [False, True, True]


def test_the_same_key_with_another_order_is_refused() -> None:
    first, second = request(claims=(Claim(bytes(32), b"f" * 32),)), request(claims=(Claim(bytes(32), b"g" * 32),))
    outcomes = issue(Database(), [first, second])
    assert isinstance(outcomes[0], Event)
    assert isinstance(outcomes[1], KeyReusedError)


def test_a_first_answer_that_can_not_be_read_is_a_503_and_the_next_retry_gets_it() -> None:
    async def run(database: Database) -> None:
        claims = (Claim(bytes(32), b"f" * 32),)
        async with writing(database) as writer:
            first = await writer.submit(request(claims=claims))
            database.unreadable = [UnavailableError("57014 cancelled")]
            with pytest.raises(UnavailableError):
                await writer.submit(request(claims=claims))
            await until(lambda: writer.refusal is None)
            assert await writer.submit(request(claims=claims)) == first

    asyncio.run(run(Database()))


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.01)
