"""Calls against a gate that can be told to fail: all or nothing, in turns, settled, replayed, refused."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from uuid_utils import uuid7

from core.session import SessionLostError
from issuance.bulk_writer import BulkWriter
from issuance.call import Call, Issued
from issuance.claims import Won
from issuance.domain.bulk import MOST
from issuance.domain.errors import (
    CollisionError,
    ExhaustedError,
    IssuanceError,
    KeyReusedError,
    RestoredDatabaseError,
    StoppingError,
    UnavailableError,
    UnrecordableError,
)
from issuance.domain.number import Numbering
from issuance.domain.order import Order
from issuance.writer_session import RowRefusedError, TryAgainError
from ledger import rows
from ledger.domain.entry import Event
from ledger.domain.serial import BLOCK_SIZE, block_of
from ledger.domain.tag import Claim

PATIENCE = 60.0
"""Seconds for what takes none, however busy the machine is."""
NUMBERS = Numbering(bytes(range(32)))
POISON = "ZW"


class CommittedThenLostError(Exception):
    """The wire is cut after the commit and before the reply."""

    def __init__(self, *, missing: int = 0) -> None:
        super().__init__()
        self.missing = missing
        """As many of the events, the first ones, are not in the ledger after that."""


class Database:
    """What survives sessions: events, claims, blocks; and what goes wrong, by turns."""

    def __init__(self) -> None:
        self.events: dict[int, Event] = {}
        self.claims: dict[bytes, tuple[int, bytes]] = {}
        self.leases: list[range] = []
        self.blocks_left = 1000
        self.failures: list[Exception] = []
        self.opening: list[Exception] = []
        self.waited_for: list[int] = []
        self.gates: list[FakeGate] = []
        self.hold: asyncio.Event | None = None
        self.held = 0
        self.appended: list[list[int]] = []


class FakeGate:
    """A session of it."""

    def __init__(self, database: Database) -> None:
        database.gates.append(self)
        self.database = database
        self.writer = len(database.gates)
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    async def wait_until_gone(self, writer: int) -> None:
        self.database.waited_for.append(writer)

    async def lease(self, count: int) -> range:
        database = self.database
        first = database.leases[-1].stop if database.leases else 0
        database.leases.append(range(first, first + min(count, database.blocks_left)))
        return database.leases[-1]

    async def append_whole(self, made: Sequence[bytes], number: str, claims: Sequence[Claim]) -> bool:
        database = self.database
        await asyncio.sleep(0)
        if self.lost.done():
            raise SessionLostError("closed")
        if database.hold is not None:
            database.held += 1
            await database.hold.wait()
        failure = database.failures.pop(0) if database.failures else None
        if failure is not None and not isinstance(failure, CommittedThenLostError):
            raise failure
        events = [rows.event(each) for each in made]
        if any(event.destination == POISON for event in events):
            raise RowRefusedError("22000")
        assert events[0].number == number
        if any(claim.tag in database.claims for claim in claims):
            return False
        database.appended.append([event.serial for event in events])
        database.claims.update({claim.tag: (events[0].serial, claim.fingerprint) for claim in claims})
        database.events.update({event.serial: event for event in events})
        if failure is not None:
            for event in events[: failure.missing]:
                del database.events[event.serial]
            self.close()
            raise SessionLostError("cut after the commit")
        return True

    async def present(self, numbers: Sequence[str]) -> set[str]:
        return {event.number for event in self.database.events.values()} & set(numbers)

    async def winners(self, tags: Sequence[bytes]) -> dict[bytes, Won]:
        found = {tag: self.database.claims[tag] for tag in tags if tag in self.database.claims}
        return {tag: Won(self.database.events[serial], print_) for tag, (serial, print_) in found.items()}

    async def between(self, first: int, last: int) -> list[Event]:
        return [event for serial, event in sorted(self.database.events.items()) if first <= serial <= last]


def call(count: int, *, claims: tuple[Claim, ...] = (), poison: int | None = None) -> Call:
    """A call of so many orders; the one at ``poison`` is what the database refuses."""
    orders = [
        Order("MY", POISON if place == poison else "ID", 1 + place, 1_542_713_372_000_000, bytes(16), "RedBox", "red")
        for place in range(count)
    ]
    return Call(orders, [(1, bytes(32))] * count, 1, uuid7(), 7, claims)


@asynccontextmanager
async def writing(database: Database, *, deadline: float = PATIENCE) -> AsyncIterator[BulkWriter]:
    async def open_session() -> FakeGate:
        if database.opening:
            raise database.opening.pop(0)
        return FakeGate(database)

    writer = BulkWriter(open_session, NUMBERS, deadline=deadline)
    try:
        yield writer
    finally:
        await asyncio.wait_for(writer.drain(), PATIENCE)


def issue(database: Database, *calls: Call) -> list[Issued | BaseException]:
    """What each of the calls, made at once, comes to."""

    async def run() -> list[Issued | BaseException]:
        async with writing(database) as writer:
            return await asyncio.gather(*map(writer.issue, calls), return_exceptions=True)

    return asyncio.run(run())


def serials(outcome: Issued | BaseException) -> list[int]:
    assert isinstance(outcome, Issued), outcome
    return [event.serial for event in outcome.events]


def claim(tag: bytes = b"t", fingerprint: bytes = b"f") -> Claim:
    return Claim(tag * 32, fingerprint * 32)


def test_a_call_is_one_batch_of_serials_that_follow_on_each_other_in_the_order_given() -> None:
    database = Database()
    (outcome,) = issue(database, call(2500))
    given = serials(outcome)
    assert given == list(range(given[0], given[0] + 2500))
    assert database.appended == [given]
    assert isinstance(outcome, Issued)
    assert [event.weight_band for event in outcome.events] == sorted(event.weight_band for event in outcome.events)
    assert not outcome.replayed
    assert len(set(map(block_of, given))) == 3


def test_calls_take_turns_in_the_order_they_came_and_serials_increase() -> None:
    database = Database()
    outcomes = issue(database, *(call(count) for count in (100, 2000, 1, 1024, 30)))
    assert [len(each) for each in database.appended] == [100, 2000, 1, 1024, 30]
    assert [serials(outcome) for outcome in outcomes] == database.appended
    flat = [serial for each in database.appended for serial in each]
    assert flat == sorted(set(flat))
    assert len(database.gates) == 1, "one session serves them all"


def test_no_session_is_opened_before_the_first_call() -> None:
    async def run(database: Database) -> None:
        async with writing(database) as writer:
            await asyncio.sleep(0.05)
            assert not database.gates
            await writer.issue(call(1))
        assert database.gates[0].lost.done(), "draining closes it"

    asyncio.run(run(Database()))


def test_the_rest_of_a_block_serves_the_next_call_and_is_burned_where_it_is_too_short() -> None:
    database = Database()
    database.leases = [range(4, 5)]  # somebody else's: the writer's own blocks do not follow on each other
    outcomes = issue(database, call(600), call(400))
    assert len(database.leases) == 2
    assert serials(outcomes[1])[0] == serials(outcomes[0])[-1] + 1


def test_a_refused_row_fails_the_whole_call_and_no_other() -> None:
    database = Database()
    outcomes = issue(database, call(50), call(50, poison=49), call(50))
    assert isinstance(outcomes[1], UnrecordableError)
    assert sorted(database.events) == sorted(serials(outcomes[0]) + serials(outcomes[2]))


def test_a_call_that_was_committed_before_the_wire_was_cut_is_answered_and_not_issued_anew() -> None:
    database = Database()
    database.failures = [CommittedThenLostError()]
    (outcome,) = issue(database, call(50))
    assert serials(outcome) == sorted(database.events)
    assert database.waited_for == [1], "the old session's lock must be had before the outcome is read"


def test_a_call_that_was_lost_is_issued_anew_with_serials_of_a_new_block() -> None:
    database = Database()
    database.failures = [SessionLostError("cut before the commit")]
    (outcome,) = issue(database, call(50))
    assert serials(outcome) == sorted(database.events)
    assert set(map(block_of, database.events)) == {1}
    assert database.waited_for == [1]


def test_a_call_of_which_a_part_is_in_the_ledger_is_an_alarm_and_stops_calls() -> None:
    async def run(database: Database) -> None:
        async with writing(database) as writer:
            for count in (50, 1):
                with pytest.raises(CollisionError):
                    await writer.issue(call(count))

    database = Database()
    database.failures = [CommittedThenLostError(missing=1)]
    asyncio.run(run(database))
    assert len(database.events) == 49


def test_a_session_that_is_lost_between_calls_is_replaced() -> None:
    async def run(database: Database) -> None:
        async with writing(database) as writer:
            first = await writer.issue(call(5))
            database.gates[0].close()
            second = await writer.issue(call(5))
            assert block_of(second.events[0].serial) > block_of(first.events[-1].serial)

    asyncio.run(run(Database()))


def test_a_call_rolled_back_for_no_fault_of_its_own_is_tried_three_times() -> None:
    database = Database()
    database.failures = [TryAgainError("57014"), TryAgainError("40P01")]
    (outcome,) = issue(database, call(5))
    assert serials(outcome) == sorted(database.events)
    database.failures = [TryAgainError("57014")] * 3
    (outcome,) = issue(database, call(5))
    assert isinstance(outcome, UnavailableError)


@pytest.mark.parametrize("error", [UnavailableError("down"), RestoredDatabaseError("behind the fence")])
def test_a_call_that_can_not_be_issued_is_told_at_once_and_the_next_is_tried_anew(error: IssuanceError) -> None:
    async def run(database: Database) -> None:
        async with writing(database) as writer:
            with pytest.raises(type(error)):
                await writer.issue(call(5))
            assert len((await writer.issue(call(5))).events) == 5

    database = Database()
    database.opening = [error]
    asyncio.run(run(database))


def test_a_collision_is_answered_to_nobody_and_stops_calls() -> None:
    async def run(database: Database) -> None:
        async with writing(database) as writer:
            outcomes = await asyncio.gather(writer.issue(call(5)), writer.issue(call(5)), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [CollisionError, CollisionError]
            with pytest.raises(CollisionError):
                await writer.issue(call(5))

    database = Database()
    database.failures = [CollisionError("issuance_event_pkey")]
    asyncio.run(run(database))
    assert not database.events


def test_a_shard_that_has_no_room_for_a_call_refuses_it() -> None:
    database = Database()
    database.blocks_left = 1
    outcomes = issue(database, call(BLOCK_SIZE + 1), call(BLOCK_SIZE))
    assert isinstance(outcomes[0], ExhaustedError)
    assert len(serials(outcomes[1])) == BLOCK_SIZE


def test_a_call_past_its_deadline_is_told_so_and_goes_on_while_one_that_never_had_its_turn_is_dropped() -> None:
    async def run(database: Database) -> None:
        database.hold = asyncio.Event()
        async with writing(database, deadline=1.0) as writer:  # in which the first has its turn
            outcomes = await asyncio.gather(writer.issue(call(3)), writer.issue(call(4)), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [UnavailableError, UnavailableError]
            database.hold.set()
            await until(lambda: len(database.events) == 3)
            database.hold = None
        assert len(database.events) == 3

    asyncio.run(run(Database()))


def test_the_largest_call_may_take_twice_as_long_as_the_smallest() -> None:
    async def once(count: int) -> float:
        database = Database()
        database.hold = asyncio.Event()
        async with writing(database, deadline=0.5) as writer:
            begun = asyncio.get_running_loop().time()
            with pytest.raises(UnavailableError):
                await writer.issue(call(count))
            database.hold.set()
            return asyncio.get_running_loop().time() - begun

    def seconds(count: int, expected: float) -> float:
        """When it is told, at best: a busy machine has several tries, of which none may be too early."""
        found: list[float] = []
        while len(found) < 20 and min(found, default=expected + 1) > expected + 0.3:
            found.append(asyncio.run(once(count)))
            assert found[-1] >= expected
        return min(found)

    assert seconds(1, 0.5) < 0.8
    assert seconds(MOST, 1.0) < 1.3


def test_draining_brings_the_calls_that_were_taken_to_their_end_and_refuses_those_that_come() -> None:
    async def run(database: Database) -> None:
        database.hold = asyncio.Event()
        async with writing(database) as writer:
            taken = [asyncio.ensure_future(writer.issue(call(3))) for _ in range(2)]
            await until(lambda: database.gates != [])
            draining = asyncio.ensure_future(writer.drain())
            await asyncio.sleep(0.05)
            with pytest.raises(StoppingError):
                await writer.issue(call(1))
            assert not draining.done()
            database.hold.set()
            await draining
            assert [len((await each).events) for each in taken] == [3, 3]
        assert database.gates[0].lost.done()

    asyncio.run(run(Database()))


def test_the_same_key_gives_the_same_events_and_leases_nothing_for_them() -> None:
    database = Database()
    first, second, third = issue(database, *(call(1500, claims=(claim(),)) for _ in range(3)))
    assert serials(first) == serials(second) == serials(third) == sorted(database.events)
    assert [outcome.replayed for outcome in (first, second, third) if isinstance(outcome, Issued)] == [
        False,
        True,
        True,
    ]
    assert len(database.leases) == 1


def test_the_same_key_with_other_orders_is_refused() -> None:
    outcomes = issue(Database(), call(3, claims=(claim(),)), call(3, claims=(claim(fingerprint=b"g"),)))
    assert isinstance(outcomes[0], Issued)
    assert isinstance(outcomes[1], KeyReusedError)


def test_a_claim_that_another_process_wins_meanwhile_is_replayed() -> None:
    async def run(database: Database) -> None:
        async with writing(database) as writer, writing(database) as other:
            database.hold = asyncio.Event()
            slow = asyncio.ensure_future(writer.issue(call(9, claims=(claim(),))))
            await until(lambda: database.held == 1)
            held, database.hold = database.hold, None
            first = await other.issue(call(9, claims=(claim(),)))
            held.set()
            again = await slow
            assert (first.replayed, again.replayed) == (False, True)
            assert again.events == first.events
            assert sorted(database.events) == serials(first)

    asyncio.run(run(Database()))


def test_an_answer_that_is_not_there_whole_any_more_is_not_replayed() -> None:
    async def run(database: Database) -> None:
        async with writing(database) as writer:
            issued = await writer.issue(call(300, claims=(claim(),)))
            del database.events[issued.events[-1].serial]
            with pytest.raises(UnavailableError):
                await writer.issue(call(300, claims=(claim(),)))

    asyncio.run(run(Database()))


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.01)
