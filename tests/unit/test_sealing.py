"""The order argument by itself: whatever writers and ticks do, every event is sealed once and none comes too late."""

from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ledger.domain.sealing import Cursor, Lease, OpenBlocks, Run, published_runs, runs
from ledger.domain.serial import BLOCK_SIZE, block_of, first_block, first_serial, last_serial

FIRST = first_block(3)
"""Not 0, where a mistake about the shard's first block would not show."""
STEPS = (1, 1, 2, 500, BLOCK_SIZE, -1, -2)
"""To a writer's next serial: the very next, one after some that were refused, or one counted from its block's end."""


class Writer:
    """One session: uses its blocks in order, commits batches in increasing serial order, until it ends."""

    def __init__(self, identity: int) -> None:
        self.identity = identity
        self.alive = True
        self.leased: list[int] = []
        """Blocks whose lease is not visible yet."""
        self.blocks: list[int] = []
        self.used = 0
        """Places used or passed over in ``blocks``, one after the other."""

    def batch(self, steps: list[int]) -> list[int]:
        """The serials of its next batch."""
        serials = []
        for step in steps:
            end = (self.used // BLOCK_SIZE + 1) * BLOCK_SIZE
            place = max(self.used, end + step) if step < 0 else self.used + step - 1
            if place >= len(self.blocks) * BLOCK_SIZE:
                break
            serials.append(first_serial(self.blocks[place // BLOCK_SIZE]) + place % BLOCK_SIZE)
            self.used = place + 1
        return serials


class Sealing(RuleBasedStateMachine):
    """Any number of writers, and a sealer that looks whenever it likes, at a part of the blocks if it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: list[Writer] = []
        self.next_block = FIRST
        self.leases: list[Lease] = []
        self.visible: set[int] = set()
        self.blocks = OpenBlocks(FIRST)
        self.gone: set[int] = set()
        self.floor = FIRST
        self.cursors: dict[int, Cursor] = {}
        self.sealed: list[int] = []

    @property
    def living(self) -> list[Writer]:
        return [writer for writer in self.writers if writer.alive]

    @rule()
    def a_writer_begins(self) -> None:
        self.writers.append(Writer(1000 - len(self.writers)))

    @precondition(lambda self: self.living)
    @rule(data=st.data(), count=st.integers(1, 3))
    def it_leases_blocks(self, data: st.DataObject, count: int) -> None:
        writer = data.draw(st.sampled_from(self.living))
        writer.leased += range(self.next_block, self.next_block + count)
        self.next_block += count

    @precondition(lambda self: any(writer.leased for writer in self.living))
    @rule(data=st.data())
    def its_lease_becomes_visible(self, data: st.DataObject) -> None:
        self.show_leases(data.draw(st.sampled_from([writer for writer in self.living if writer.leased])))

    @precondition(lambda self: any(writer.blocks for writer in self.living))
    @rule(data=st.data(), steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=5))
    def its_batch_becomes_visible(self, data: st.DataObject, steps: list[int]) -> None:
        writer = data.draw(st.sampled_from([writer for writer in self.living if writer.blocks]))
        self.visible.update(writer.batch(steps))

    @precondition(lambda self: self.living)
    @rule(data=st.data(), leased=st.booleans(), steps=st.lists(st.sampled_from(STEPS), max_size=3))
    def it_dies(self, data: st.DataObject, steps: list[int], *, leased: bool) -> None:
        """What it last did becomes visible or not; then its lock is free."""
        writer = data.draw(st.sampled_from(self.living))
        if leased:
            self.show_leases(writer)
        self.visible.update(writer.batch(steps))
        writer.alive = False

    @rule()
    def the_sealer_finds_who_is_gone(self) -> None:
        self.gone = self.blocks.writers - {writer.identity for writer in self.living}

    @rule(data=st.data())
    def the_sealer_ticks(self, data: st.DataObject) -> None:
        """Anything may have happened since it found who is gone."""
        self.discover({})
        unread = self.blocks.unread
        wanted = data.draw(st.lists(st.booleans(), min_size=len(unread), max_size=len(unread)))
        self.tick([each for each, want in zip(unread, wanted, strict=True) if want])

    @rule()
    def another_sealer_takes_over(self) -> None:
        self.blocks = OpenBlocks(self.floor)
        self.gone = set()
        self.discover({block: cursor for block, cursor in self.cursors.items() if block >= self.floor})

    @invariant()
    def nothing_appears_behind_a_cursor(self) -> None:
        for block, cursor in self.cursors.items():
            shown = {serial for serial in self.visible if block_of(serial) == block}
            behind = shown if cursor.closed else {serial for serial in shown if serial <= cursor.last}
            assert behind <= set(self.sealed)

    @invariant()
    def the_floor_passes_no_block_that_is_open_or_unknown(self) -> None:
        leased = {lease.block for lease in self.leases}
        for block in range(FIRST, self.blocks.floor):
            assert block in leased
            assert self.cursors[block].closed

    def teardown(self) -> None:
        """At last everybody ends, and two whole ticks seal and close everything."""
        for writer in self.living:
            writer.alive = False
        for _ in range(2):
            self.the_sealer_finds_who_is_gone()
            self.discover({})
            self.tick(self.blocks.unread)
        assert sorted(self.sealed) == sorted(self.visible)
        assert len(self.blocks) == 0

    def show_leases(self, writer: Writer) -> None:
        self.leases += [Lease(block, writer.identity) for block in writer.leased]
        writer.blocks += writer.leased
        writer.leased = []

    def discover(self, cursors: dict[int, Cursor]) -> None:
        self.blocks.add([lease for lease in self.leases if lease.block >= self.blocks.known_below], cursors)

    def tick(self, ranges: list[tuple[int, int]]) -> None:
        """As ledger.sealer does it, in one snapshot."""
        read = [block_of(last) for _, last in ranges]
        serials = sorted(serial for serial in self.visible if any(low <= serial <= high for low, high in ranges))
        assert not set(serials) & set(self.sealed)
        moved = self.blocks.seal(runs(len(self.sealed), serials), self.gone, read)
        self.sealed += serials
        for cursor in moved:
            assert not (self.cursors.get(cursor.block) or Cursor(0, 0)).closed
            self.cursors[cursor.block] = cursor
        if moved:
            self.floor = self.blocks.floor


def test_whatever_writers_and_ticks_do_every_visible_event_is_sealed_once_and_nothing_appears_behind_a_cursor() -> None:
    run_state_machine_as_test(Sealing, settings=settings(max_examples=200, stateful_step_count=40, deadline=None))


def opened(*leases: tuple[int, int], floor: int = 0) -> OpenBlocks:
    blocks = OpenBlocks(floor)
    blocks.add([Lease(*lease) for lease in leases], {})
    return blocks


def seal(blocks: OpenBlocks, serials: list[int], gone: set[int] = set(), read: set[int] | None = None) -> list[Cursor]:  # noqa: B006
    return blocks.seal(runs(0, serials), gone, {block_of(last) for _, last in blocks.unread} if read is None else read)


def test_a_block_of_a_living_writer_stays_open_however_long_nothing_comes() -> None:
    blocks = opened((0, 7))
    assert seal(blocks, [5, 6]) == [Cursor(0, 6)]
    assert seal(blocks, []) == []
    assert blocks.unread == [(7, last_serial(0))]
    assert blocks.floor == 0


def test_a_block_is_closed_by_its_last_serial_and_not_before() -> None:
    blocks = opened((0, 7))
    assert seal(blocks, list(range(BLOCK_SIZE - 1))) == [Cursor(0, last_serial(0) - 1)]
    assert seal(blocks, [last_serial(0)]) == [Cursor(0, last_serial(0), closed=True)]
    assert (len(blocks), blocks.floor, blocks.writers) == (0, 1, set())


def test_a_sealer_that_takes_over_goes_on_at_the_cursors() -> None:
    blocks = OpenBlocks(4)
    cursors = {5: Cursor(5, first_serial(5) + 9), 6: Cursor(6, first_serial(6) + 9, closed=True)}
    blocks.add([Lease(4, 7), Lease(5, 8), Lease(6, 9)], cursors)
    assert blocks.unread == [(first_serial(4), last_serial(4)), (first_serial(5) + 10, last_serial(5))]
    assert blocks.writers == {7, 8}


def test_a_block_whose_writer_shows_events_in_a_later_one_is_closed() -> None:
    blocks = opened((0, 7), (1, 8), (2, 7))
    assert seal(blocks, [3, first_serial(2)]) == [Cursor(0, 3, closed=True), Cursor(2, first_serial(2))]
    assert [block_of(first) for first, _ in blocks.unread] == [1, 2], "another writer's block stays open"


def test_a_block_that_was_not_read_in_this_snapshot_stays_open() -> None:
    blocks = opened((0, 7), (1, 7))
    assert seal(blocks, [first_serial(1)], gone={7}, read={1}) == [Cursor(1, first_serial(1), closed=True)]
    assert seal(blocks, [4], gone={7}) == [Cursor(0, 4, closed=True)]


def test_an_unused_block_is_closed_once_its_writer_is_gone() -> None:
    blocks = opened((0, 7))
    assert seal(blocks, [], gone={7}) == [Cursor(0, first_serial(0) - 1, closed=True)]
    assert blocks.floor == 1


def test_the_floor_waits_for_a_lease_that_is_not_visible_yet() -> None:
    blocks = opened((1, 7))
    seal(blocks, [first_serial(1)], gone={7})
    assert (blocks.floor, blocks.known_below) == (0, 0)
    blocks.add([Lease(0, 8), Lease(1, 7)], {})
    assert (blocks.floor, blocks.known_below) == (0, 2)
    assert blocks.unread == [(0, last_serial(0))], "a block that is closed is not opened again"
    seal(blocks, [], gone={8})
    blocks.add([Lease(0, 8), Lease(1, 7)], {})
    assert (blocks.floor, len(blocks)) == (2, 0), "nor one that lies below all that is unknown"


@pytest.mark.parametrize("late", [3, 6], ids=["behind the cursor", "at the cursor"])
def test_an_event_at_or_behind_a_cursor_is_refused(late: int) -> None:
    blocks = opened((0, 7))
    seal(blocks, [6])
    with pytest.raises(ValueError, match=f"Serial {late} appeared behind the cursor of block 0"):
        seal(blocks, [late])


def test_an_event_of_a_block_that_is_not_open_is_refused() -> None:
    with pytest.raises(ValueError, match="appeared behind the cursor of block 5"):
        seal(opened((0, 7)), [first_serial(5)])


serials_of_a_tick = st.sets(st.integers(first_serial(FIRST), last_serial(FIRST + 3)), max_size=60).map(sorted)


@given(serials_of_a_tick, st.integers(0, 1000))
def test_runs_are_one_for_each_block_and_hold_every_serial_once(serials: list[int], first_leaf: int) -> None:
    found = runs(first_leaf, serials)
    assert sum(run.leaves for run in found) == len(serials)
    for run, (block, group) in zip(found, groupby(serials, block_of), strict=True):
        members = list(group)
        assert (run.first_serial, run.last_serial, run.leaves) == (members[0], members[-1], len(members))
        assert block_of(run.first_serial) == block_of(run.last_serial) == block
        assert run.gapless == (members == list(range(members[0], members[-1] + 1)))
    for one, following in pairwise(found):
        assert following.first_leaf == one.first_leaf + one.leaves


@pytest.mark.parametrize("serials", [[4, 3], [4, 4], [first_serial(1), 5]])
def test_serials_that_do_not_increase_are_refused(serials: list[int]) -> None:
    with pytest.raises(ValueError, match="increase"):
        runs(0, serials)


@pytest.mark.parametrize(
    ("one", "other", "goes_on"),
    [
        (Run(0, 10, 14, 5), Run(5, 15, 20, 6), True),
        (Run(0, 10, 14, 5), Run(6, 15, 20, 6), False),
        (Run(0, 10, 14, 5), Run(5, 16, 20, 5), False),
        (Run(0, 10, 14, 4), Run(4, 15, 20, 6), False),
        (Run(0, 10, 14, 5), Run(5, 15, 20, 5), False),
        (Run(0, 1020, 1023, 4), Run(4, 1024, 1025, 2), False),
    ],
    ids=["goes on", "a leaf between", "a serial between", "a gap in the first", "a gap in the second", "another block"],
)
def test_a_run_goes_on_only_without_any_gap_and_in_its_block(one: Run, other: Run, *, goes_on: bool) -> None:
    assert one.goes_on_as(other) is goes_on


@given(st.lists(st.sets(st.integers(0, 4 * BLOCK_SIZE), min_size=1), max_size=8), st.integers(0, 1000))
def test_the_runs_of_published_leaves_hold_what_several_ticks_have_made(ticks: list[set[int]], first_leaf: int) -> None:
    serials: list[int] = []
    last: dict[int, int] = {}
    for tick in ticks:  # behind a cursor nothing comes
        for serial in sorted(tick):
            if serial > last.get(block_of(serial), -1):
                serials.append(serial)
                last[block_of(serial)] = serial
    found = published_runs(first_leaf, serials)
    assert sum(run.leaves for run in found) == len(serials)
    for run in found:
        leaves = serials[run.first_leaf - first_leaf :][: run.leaves]
        assert (leaves[0], leaves[-1]) == (run.first_serial, run.last_serial)
        assert leaves == sorted(leaves)
        assert len({block_of(serial) for serial in leaves}) == 1
    ranges = sorted((run.first_serial, run.last_serial) for run in found)
    assert all(end < begin for (_, end), (begin, _) in pairwise(ranges)), "a serial lies in one run"
