"""The roll-up on a real ledger: each leaf is counted once, in leaf order, whatever the position lies in."""

import asyncio
from collections.abc import Iterator
from datetime import date

import psycopg
import pytest

from ledger.log import LogError
from reports import rollup
from reports.session import Turn, session, turn
from tests.plugin import CLUSTER, Database
from tests.support.clients.load import load
from tests.support.database.report_counts import counted, expected, pages, position, roll_up
from tests.support.database.synthetic_ledger import fill, filled
from tests.support.log.tampering import tamper
from tests.support.processes.sealers import sealing, state
from tests.support.processes.service import ServiceFactory

BLOCK = 1024
EVENTS = 20_000


@pytest.fixture
def fresh() -> Iterator[Database]:
    """A database for one test."""
    made = CLUSTER.create()
    yield made
    CLUSTER.drop(made)


@pytest.fixture
def days() -> Iterator[Database]:
    """A ledger of five days in which nobody has counted anything."""
    with filled(EVENTS, moment="timestamptz '2026-01-01T00:00:00Z' + i * interval '20 s'") as made:
        yield made


@pytest.fixture
def uncounted() -> Iterator[Database]:
    """A ledger of eight blocks in which nobody has counted anything."""
    with filled(8192) as made:
        yield made


def test_steps_of_any_size_count_what_one_group_by_counts(days: Database) -> None:
    steps = roll_up(days, most=3000)
    assert steps >= EVENTS // (3000 + BLOCK), "a step ends where a run ends"
    assert position(days) == state(days)["size"] == EVENTS
    assert counted(days) == expected(days)
    assert len({key[0] for key in counted(days).usage}) == 5
    assert roll_up(days) == 0


def test_what_is_issued_and_sealed_meanwhile_is_counted_once_wherever_the_position_lies(
    database: Database, service: ServiceFactory
) -> None:
    running = service(database, WEB_CONCURRENCY="2")
    with psycopg.connect(database.owner_url, autocommit=True) as session_:
        # Refused rows burn serials, so runs have gaps.
        session_.execute("ALTER TABLE issuance_event ADD CHECK (destination <> 'ZW')")
    within = 0
    with sealing(database) as sealer:
        for round_ in range(12):
            asyncio.run(load(running.port, 150 + 70 * round_, poison=0.03 * (round_ % 2)))
            sealer.tick()
            assert counted(database).usage != expected(database).usage
            roll_up(database)
            assert counted(database) == expected(database), round_
            within += run_goes_on_at(database, position(database))
    with psycopg.connect(database.owner_url) as session_:
        gaps, blocks = session_.execute(
            "SELECT count(*) FILTER (WHERE leaves <= last_serial - first_serial), count(DISTINCT first_serial >> 10)"
            "  FROM run"
        ).fetchall()[0]
    assert gaps > 0, "no run has a gap"
    assert blocks > 2, "one writer at a time"
    assert counted(database) == expected(database)


def run_goes_on_at(database: Database, leaves: int) -> bool:
    with psycopg.connect(database.owner_url) as session_:
        return bool(session_.execute("SELECT FROM run WHERE first_leaf + leaves = %s", [leaves]).fetchone())


def test_a_position_within_a_run_that_has_gone_on_is_taken_up_there(
    database: Database, service: ServiceFactory
) -> None:
    # One writer's block, sealed bit by bit: its run simply goes on, and each position but the last lies within it.
    running = service(database, initialise=False, WEB_CONCURRENCY="1")
    inside = 0
    with sealing(database) as sealer:
        for _ in range(6):
            asyncio.run(load(running.port, 40, connections=4))
            sealer.tick()
            roll_up(database)
            before = position(database)
            asyncio.run(load(running.port, 40, connections=4))
            sealer.tick()
            with psycopg.connect(database.owner_url) as session_:
                inside += session_.execute(
                    "SELECT FROM run WHERE first_leaf < %s AND first_leaf + leaves > %s", [before, before]
                ).rowcount
            roll_up(database)
            assert counted(database) == expected(database)
    assert inside > 0, "no run has gone on"


@pytest.mark.parametrize(
    ("zone", "begin"),
    [
        ("Europe/Paris", "2026-03-27T21:00:00Z"),  # on the 29th, 2:00 is 3:00: a day of 23 hours
        ("Europe/Paris", "2026-10-23T21:00:00Z"),  # on the 25th, 3:00 is 2:00: a day of 25 hours
        ("America/Havana", "2026-10-30T21:00:00Z"),  # on November 1st, 1:00 is 0:00: midnight comes twice
        ("America/Havana", "2026-03-06T21:00:00Z"),  # on the 8th, 0:00 is 1:00: midnight never comes
    ],
)
def test_days_begin_and_end_as_the_clocks_of_the_zone_show_it(fresh: Database, zone: str, begin: str) -> None:
    fill(fresh, 8192, moment=f"timestamptz '{begin}' + i * interval '40 s'")
    roll_up(fresh, zone, 1024)
    assert counted(fresh) == expected(fresh, zone)
    assert counted(fresh) != expected(fresh)


def test_another_zone_is_refused_and_the_message_says_what_to_do(uncounted: Database) -> None:
    roll_up(uncounted, "Europe/Paris")
    before = counted(uncounted)
    with pytest.raises(
        rollup.ZoneError,
        match=r"count the days of Europe/Paris, and REPORT_TIME_ZONE is UTC. Set it back, or run `manage.py rebuild",
    ):
        step(uncounted, "UTC")
    assert counted(uncounted) == before


@pytest.mark.parametrize("zone", ["Europe/Pariss", "Foo5", "europe/paris"])
def test_a_zone_that_there_is_not_is_refused(days: Database, zone: str) -> None:
    with pytest.raises(rollup.ZoneError, match=f"REPORT_TIME_ZONE is {zone}, and there is no such time zone"):
        step(days, zone)
    assert position(days) == 0


def test_a_range_whose_rows_are_not_all_there_is_not_counted(uncounted: Database) -> None:
    step(uncounted, "UTC", 4096)
    before = counted(uncounted)
    tamper(
        uncounted, "DELETE FROM issuance_event WHERE serial = (SELECT first_serial FROM run WHERE first_leaf = 5120)"
    )
    with pytest.raises(LogError, match="The leaves 4096 to 8191 have 4095 events; 4096 were sealed"):
        step(uncounted, "UTC")
    assert (counted(uncounted), position(uncounted)) == (before, 4096)


def test_a_row_too_many_is_not_counted(uncounted: Database) -> None:
    tamper(
        uncounted,
        "DELETE FROM issuance_event WHERE serial = 7",
        "UPDATE run SET leaves = leaves - 1 WHERE first_serial = 0",
        "UPDATE run SET first_leaf = first_leaf - 1 WHERE first_serial > 0",
        "UPDATE tree_state SET size = size - 1, published_size = size - 1",
    )
    roll_up(uncounted, most=1024)
    assert counted(uncounted) == expected(uncounted)
    tamper(
        uncounted,
        "INSERT INTO issuance_event SELECT 7, order_created_at, requested_at, principal, customer_key_id, weight_band,"
        " request_id, customer_tag, '00000000007' || substr(number, 12), origin, destination"
        " FROM issuance_event WHERE serial = 8",
        "UPDATE rollup_state SET leaves = 0",
    )
    with pytest.raises(LogError, match="The leaves 0 to 2046 have 2048 events; 2047 were sealed"):
        step(uncounted, "UTC", 1024)


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "0044-03-15 BC", "12026-01-01"])
def test_a_time_that_no_calendar_of_ours_has_stops_the_count_and_is_told(uncounted: Database, moment: str) -> None:
    tamper(uncounted, f"UPDATE issuance_event SET requested_at = '{moment}' WHERE serial = 3")
    with pytest.raises(LogError, match="Of the leaves 0 to 8191, 1 have a time that no writer of ours has written"):
        step(uncounted, "UTC")
    assert (counted(uncounted).usage, position(uncounted)) == ({}, 0)


def test_a_database_behind_its_counts_is_told(uncounted: Database) -> None:
    roll_up(uncounted)
    tamper(uncounted, "UPDATE tree_state SET size = 100, published_size = 100")
    with pytest.raises(LogError, match="The reports count 8192 leaves, and the log has 100"):
        step(uncounted, "UTC")


def test_an_empty_log_has_nothing_to_count(fresh: Database) -> None:
    assert step(fresh, "UTC") == (0, 0)
    assert position(fresh) == 0


def test_of_two_sessions_one_has_the_turn(days: Database) -> None:
    with session(days.reporter_url) as one, session(days.reporter_url) as other:
        with turn(one, Turn.COUNTING) as first, turn(other, Turn.COUNTING) as second:
            assert (first, second) == (True, False)
            with turn(other, Turn.CHECKING) as third:
                assert third
        with turn(other, Turn.COUNTING) as first:
            assert first


def test_a_step_reads_what_it_counts_and_not_the_ledger(fresh: Database) -> None:
    fill(fresh, 98_304)
    with psycopg.connect(fresh.owner_url, autocommit=True) as superuser:
        step(fresh, "UTC", 95 * BLOCK)
        before = pages(superuser)
        assert step(fresh, "UTC", BLOCK) == (96 * BLOCK, 96 * BLOCK)
        read = pages(superuser)
        ((whole,),) = superuser.execute("SELECT pg_relation_size('issuance_event') / 8192").fetchall()
    assert read["run"] - before["run"] <= 5
    assert read["issuance_event"] - before["issuance_event"] < whole / 8, "a block of each writer lies amid the others"


def test_without_a_turn_two_steps_at_once_do_not_both_count(uncounted: Database) -> None:
    # The turn keeps them apart; if it ever does not, the database does.
    with session(uncounted.reporter_url) as one, session(uncounted.reporter_url) as other, one.transaction():
        rollup.position(one)
        rollup.step(other, "UTC")
        with pytest.raises(psycopg.errors.SerializationFailure):
            rollup.step(one, "UTC")
    assert counted(uncounted) == expected(uncounted)


def test_a_leaf_is_counted_on_the_day_it_was_requested_not_ordered(days: Database) -> None:
    roll_up(days)
    assert min(key[0] for key in counted(days).total) == date(2026, 1, 1)


def step(database: Database, zone: str, most: int = rollup.MOST_LEAVES) -> rollup.Position:
    with session(database.reporter_url) as connection, turn(connection, Turn.COUNTING) as mine:
        assert mine
        return rollup.step(connection, zone, most)
