"""Parts of a range that is far behind: counted in any order, lost, repeated or late, all comes out the same."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from ledger.log import Connection, LogError
from reports import parts, rollup
from reports.session import Turn, session, turn
from tests.plugin import Database
from tests.support.database.report_counts import counted, expected, position, roll_up
from tests.support.database.synthetic_ledger import filled
from tests.support.log.tampering import tamper

EVENTS = 40_000
MOST = 3_000


@pytest.fixture
def behind() -> Iterator[Database]:
    """A ledger from before midnight on, of UTC if not of Jakarta, in which nobody has counted anything."""
    with filled(EVENTS, moment="timestamptz '2025-12-31T22:00:00Z' + i * interval '5 s'") as made:
        yield made


@pytest.fixture
def reporter(behind: Database) -> Iterator[Connection]:
    with session(behind.reporter_url) as connection:
        yield connection


def held(database: Database) -> list[tuple[int, int]]:
    with psycopg.connect(database.owner_url) as connection:
        found = connection.execute("SELECT first_leaf, end_leaf FROM rollup_part ORDER BY 1").fetchall()
        owners = connection.execute("SELECT DISTINCT first_leaf FROM rollup_part_usage ORDER BY 1").fetchall()
        assert [first for (first,) in owners] == [first for first, _ in found], "counts without a part"
        return found


def test_parts_counted_in_any_order_are_added_in_leaf_order(behind: Database, reporter: Connection) -> None:
    while wanted := parts.missing(reporter, MOST):
        assert wanted == sorted(wanted, reverse=True), "the last comes first"
        assert len(wanted) <= parts.AHEAD
        assert all(parts.count(reporter, "UTC", *part) for part in wanted)
        assert parts.missing(reporter, MOST) == []
        before = position(behind)
        with turn(reporter, Turn.COUNTING):
            place = rollup.step(reporter, "UTC", MOST)
            assert place.leaves == min(first for first, _ in wanted), "the first it counts itself"
            for first, end in reversed(wanted):
                assert place.leaves == first > before
                # Whatever is in the part is added: it is not counted again.
                place = rollup.step(reporter, "UTC", MOST)
                assert place.leaves == end
        assert held(behind) == []
    assert counted(behind) != expected(behind)
    roll_up(behind)
    assert counted(behind) == expected(behind)


def test_what_is_added_is_the_part_and_not_a_second_count(behind: Database, reporter: Connection) -> None:
    *_, (first, end) = parts.missing(reporter, MOST)
    parts.count(reporter, "UTC", first, end)
    tamper(behind, "DELETE FROM rollup_part_usage WHERE ctid = (SELECT min(ctid) FROM rollup_part_usage)")
    with turn(reporter, Turn.COUNTING):
        rollup.step(reporter, "UTC", MOST)
        with pytest.raises(LogError, match=f"The leaves {first} to {end - 1} have "):
            rollup.step(reporter, "UTC", MOST)


def test_the_parts_are_the_same_wherever_the_position_is_before_them(behind: Database, reporter: Connection) -> None:
    before = parts.missing(reporter, MOST)
    with turn(reporter, Turn.COUNTING):
        rollup.step(reporter, "UTC", 1024)
    assert 0 < position(behind) < MOST
    assert parts.missing(reporter, MOST) == before


def test_near_the_head_there_are_no_parts(behind: Database, reporter: Connection) -> None:
    assert parts.missing(reporter) == []
    assert parts.missing(reporter, EVENTS // 2) == []
    roll_up(behind, most=MOST)
    assert parts.missing(reporter, MOST) == []


def test_a_lost_part_is_found_again_and_else_counted_by_the_roll_up(behind: Database, reporter: Connection) -> None:
    wanted = parts.missing(reporter, MOST)
    lost = wanted[3]
    for part in wanted:
        if part != lost:
            parts.count(reporter, "UTC", *part)
    assert parts.missing(reporter, MOST) == [lost]
    roll_up(behind, most=MOST)
    assert counted(behind) == expected(behind)
    assert held(behind) == []


def test_a_repeated_and_a_late_part_change_nothing(behind: Database, reporter: Connection) -> None:
    last, *_, first = parts.missing(reporter, MOST)
    assert parts.count(reporter, "UTC", *last)
    assert not parts.count(reporter, "UTC", *last)
    roll_up(behind, most=MOST)
    assert not parts.count(reporter, "UTC", *first), "the position has passed it"
    assert held(behind) == []
    assert counted(behind) == expected(behind)


def test_a_part_that_fits_on_to_nothing_is_removed(behind: Database, reporter: Connection) -> None:
    with psycopg.connect(behind.owner_url) as connection:
        ends = [end for (end,) in connection.execute("SELECT first_leaf FROM run ORDER BY 1")]
    assert parts.count(reporter, "UTC", ends[2], ends[9])
    assert parts.count(reporter, "UTC", ends[5], ends[6])
    roll_up(behind, most=MOST)
    assert counted(behind) == expected(behind)
    assert held(behind) == []


def test_a_part_of_another_zone_is_not_added(behind: Database, reporter: Connection) -> None:
    wanted = parts.missing(reporter, MOST)
    for part in [*wanted, (0, min(first for first, _ in wanted))]:
        parts.count(reporter, "Asia/Jakarta", *part)
    assert counted(behind).usage == {}
    roll_up(behind, most=MOST)
    assert counted(behind) == expected(behind)
    assert held(behind) == []


def test_a_part_whose_rows_are_not_all_there_is_not_kept(behind: Database, reporter: Connection) -> None:
    *_, (first, end) = parts.missing(reporter, MOST)
    with pytest.raises(LogError, match=f"The leaves {first} to {end + 6} have "):
        parts.count(reporter, "UTC", first, end + 7)
    tamper(
        behind, f"DELETE FROM issuance_event WHERE serial = (SELECT last_serial FROM run WHERE first_leaf = {first})"
    )
    with pytest.raises(LogError, match=f"The leaves {first} to {end - 1} have {end - first - 1} events"):
        parts.count(reporter, "UTC", first, end)
    assert held(behind) == []


def test_parts_and_roll_ups_at_once_count_each_leaf_once(behind: Database) -> None:
    begun = threading.Event()

    def work(seed: int) -> int:
        done = 0
        with session(behind.reporter_url) as connection:
            if seed % 2 == 0:  # else all could be counted before there is a part
                assert begun.wait(120)
            while position(behind) < EVENTS:
                if seed % 2:
                    done += sum(parts.count(connection, "UTC", *part) for part in parts.missing(connection, MOST)[:2])
                    begun.set()
                with turn(connection, Turn.COUNTING) as mine:
                    if mine:
                        rollup.step(connection, "UTC", MOST)
        return done

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(work, range(4)))
    assert sum(done) > 0, "no part was counted"
    assert counted(behind) == expected(behind)
    assert held(behind) == []
