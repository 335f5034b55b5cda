"""Which serials are issued, burned or held, by the blocks and who lives; and how long a shard's serials last."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.domain.account import Block, Closed, Figures, Recount, Tally, Writers, nothing
from issuance.domain.capacity import END, Space
from ledger.domain.serial import BLOCK_SIZE, BLOCKS_PER_SHARD, SHARD_CAPACITY, first_serial, last_serial

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ADA, BOB = 7, 8


def block(identity: int, writer: int, *places: int) -> Block:
    """One of whose serials those at some places are issued."""
    return Block(identity, writer, len(places), first_serial(identity) + places[-1] if places else None)


@pytest.mark.parametrize(
    ("of", "alive", "figures"),
    [
        (block(0, ADA), True, Figures(1024, 0, 0, 1024)),
        (block(0, ADA), False, Figures(1024, 0, 1024, 0)),
        (block(0, ADA, 0, 1, 2), True, Figures(1024, 3, 0, 1021)),
        (block(0, ADA, 0, 1, 2), False, Figures(1024, 3, 1021, 0)),
        (block(0, ADA, 0, 5), True, Figures(1024, 2, 4, 1018)),
        (block(0, ADA, *range(1024)), True, Figures(1024, 1024, 0, 0)),
        (block(0, ADA, 1023), True, Figures(1024, 1, 1023, 0)),
    ],
    ids=["untouched", "left untouched", "begun", "left", "with a gap", "full", "full with a gap"],
)
def test_what_a_block_has_left_is_held_as_long_as_its_writer_lives(of: Block, alive: bool, figures: Figures) -> None:  # noqa: FBT001
    writers = Writers(0, {ADA} if alive else set(), {ADA: 0})
    tally = Tally(nothing(0), 0)
    assert tally.add(of, holds=writers.hold(of)) == tally.figures == figures


def test_a_writer_that_went_on_to_another_block_holds_nothing_of_the_one_before() -> None:
    writers = Writers(9, {ADA, BOB}, {ADA: 3})
    assert not writers.hold(block(2, ADA, 0))
    assert writers.hold(block(3, ADA, 0))
    assert writers.hold(block(4, ADA))
    assert writers.hold(block(2, BOB)), "who has issued nothing yet"


def test_of_a_block_that_was_leased_after_the_writers_were_looked_for_nobody_is_said_to_be_gone() -> None:
    writers = Writers(3, set(), {})
    assert not writers.hold(block(3, ADA, 0))
    assert writers.hold(block(4, ADA, 0))
    assert not writers.hold(block(4, ADA, 1023))


def test_what_is_closed_is_taken_over_and_what_is_open_is_looked_at_again() -> None:
    writers = Writers(3, {ADA}, {ADA: 3})
    first = Tally(nothing(0), 0)
    for each in (block(0, BOB, 0, 1), block(1, ADA, 0), block(2, BOB, 0), block(3, ADA, 0)):
        first.add(each, holds=writers.hold(each))
    assert first.closed == Closed(4, (3,), 4)
    assert first.figures == Figures(4096, 5, 4091 - 1023, 1023)
    second = Tally(first.closed, 0)
    for each in (block(3, ADA, 0, 1, 2), block(4, ADA)):
        second.add(each, holds=True)
    assert second.closed == Closed(5, (3, 4), 4)
    assert second.figures == Figures(5120, 7, 5120 - 7 - 1021 - 1024, 1021 + 1024)


def test_what_lies_beyond_an_id_that_is_not_leased_is_counted_and_not_closed() -> None:
    tally = Tally(nothing(0), 0)
    for each in (block(0, BOB, 0), block(2, BOB, 0)):
        tally.add(each, holds=False)
    assert tally.figures == Figures(2048, 2, 2046, 0)
    assert tally.closed == Closed(1, (), 1)


def test_a_shard_begins_with_its_own_first_block() -> None:
    first = 3 * BLOCKS_PER_SHARD
    tally = Tally(nothing(3), 3)
    tally.add(block(first, ADA, 0), holds=True)
    assert tally.figures == Figures(1024, 1, 0, 1023)
    assert tally.closed == Closed(first + 1, (first,), 0)
    assert tally.closed.blocks(3) == 0


def test_a_recount_differs_where_a_closed_block_has_more_or_less_and_nowhere_else() -> None:
    closed = Closed(3, (1,), 3)
    for blocks, same in (
        ([block(0, ADA, 0, 1), block(1, ADA, 0), block(2, BOB, 5), block(3, BOB, 5)], True),
        ([block(0, ADA, 0, 1, 2), block(1, ADA), block(2, BOB, 5)], False),
        ([block(0, ADA, 0, 1), block(1, ADA), block(2, BOB)], False),
        ([block(0, ADA, 0, 1, 2), block(1, ADA)], False),
    ):
        recount = Recount(closed)
        for each in blocks:
            recount.see(each)
        assert recount.same(0) == same


@given(st.lists(st.tuples(st.sampled_from([ADA, BOB]), st.sets(st.integers(0, 1023))), max_size=6), st.booleans())
def test_night_by_night_gives_the_same_as_all_at_once(leased: list[tuple[int, set[int]]], lives: bool) -> None:  # noqa: FBT001
    blocks = [block(identity, writer, *sorted(places)) for identity, (writer, places) in enumerate(leased)]
    fronts = {each.writer: each.id for each in blocks if each.issued}
    writers = Writers(len(blocks), {ADA, BOB} if lives else {BOB}, fronts)
    whole = Tally(nothing(0), 0)
    for each in blocks:
        whole.add(each, holds=writers.hold(each))
    closed = nothing(0)
    for end in range(len(blocks) + 1):
        part = Tally(closed, 0)
        for each in [blocks[identity] for identity in closed.open] + blocks[closed.end : end]:
            part.add(each, holds=writers.hold(each))
        closed = part.closed
    assert part.figures == whole.figures
    assert part.closed == whole.closed
    assert sum(whole.figures[1:]) == whole.figures.leased == len(blocks) * BLOCK_SIZE
    held = 0
    for each in filter(writers.hold, blocks):
        held += last_serial(each.id) - (first_serial(each.id) - 1 if each.last is None else each.last)
    assert whole.figures.held == held


def test_serials_run_out_when_the_rest_is_leased_at_the_rate_of_the_last_month() -> None:
    space = Space(SHARD_CAPACITY - 3_000, 77, 300, 90 * 86_400)
    assert (space.rate, space.days_left) == (10, 300)
    assert space.runs_out(NOW) == NOW + timedelta(days=300)


@pytest.mark.parametrize(
    ("age", "rate"), [(0.0, 3000), (60.0, 3000), (86_400.0, 3000), (3 * 86_400.0, 1000), (300 * 86_400.0, 100)]
)
def test_the_rate_of_a_young_shard_is_that_of_its_days_and_of_a_day_at_least(age: float, rate: float) -> None:
    assert Space(3000, 0, 3000, age).rate == rate


@pytest.mark.parametrize(
    "space", [Space(0, 0, 0, 0.0), Space(5000, 0, 0, 1e9), Space(1024, 0, 1, 1e9), Space(1024, 1024, 1024, 1e12)]
)
def test_what_lasts_beyond_the_year_9999_has_no_date(space: Space) -> None:
    assert space.runs_out(NOW) is None


def test_the_last_date_is_one_before_the_year_10000() -> None:
    days = (END - NOW).days
    soon = Space(SHARD_CAPACITY - (days - 1) * 100, 0, 3000, 1e9).runs_out(NOW)
    assert soon is not None
    assert soon.year == 9999
    assert Space(SHARD_CAPACITY - (days + 1) * 100, 0, 3000, 1e9).runs_out(NOW) is None


def test_a_shard_that_is_used_up_runs_out_now() -> None:
    assert Space(SHARD_CAPACITY, 1024, 1024, 1e9).runs_out(NOW) == NOW
    assert Space(SHARD_CAPACITY, 1024, 1024, 1e9).percent == "100.00%"
    assert Space(SHARD_CAPACITY // 8, 1024, 1024, 1e9).percent == "12.50%"
    assert Space(1024, 1024, 1024, 1e9).percent == "less than 0.01%"
