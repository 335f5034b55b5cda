"""rebuild_reports makes the same tables with the right counts, says what was wrong, and leaves reports alone."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from reports import closing, rebuild, rollup
from reports.session import Turn, session, turn
from tests.logs import LOGS
from tests.plugin import ROOT, Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.report_counts import counted, documents, expected, position, roll_up
from tests.support.database.synthetic_ledger import filled
from tests.support.processes.commands import command
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, seal
from tests.support.processes.service import ServiceFactory

DAYS = "timestamptz '2026-01-01T00:00:00Z' + i * interval '20 s'"
CATALOGUE = """
    SELECT c.relname, c.relowner::regrole::text, c.relacl::text, c.reloptions, c.relpersistence::text,
           (SELECT array_agg((a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation,
                              pg_get_expr(d.adbin, d.adrelid), a.attacl)::text ORDER BY a.attnum)
              FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
             WHERE a.attrelid = c.oid AND a.attnum > 0),
           (SELECT array_agg(conname || ' ' || pg_get_constraintdef(k.oid) ORDER BY conname)
              FROM pg_constraint k WHERE k.conrelid = c.oid),
           (SELECT array_agg(pg_get_indexdef(indexrelid) ORDER BY 1) FROM pg_index WHERE indrelid = c.oid),
           (SELECT array_agg(tgname::text ORDER BY 1) FROM pg_trigger WHERE tgrelid = c.oid)
      FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname"""
SCHEMAS = (
    "SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')"
)


class Said(NamedTuple):
    """Exit code and all that was said."""

    code: int
    text: str


@pytest.fixture
def days() -> Iterator[Database]:
    """A ledger of five days, all counted."""
    with filled(20_000, moment=DAYS, then=in_steps) as made:
        yield made


def in_steps(database: Database) -> None:
    roll_up(database, most=4096)


def start(database: Database) -> "subprocess.Popen[str]":
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "rebuild_reports"],
        env=os.environ | database.settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(database: Database, **settings: str) -> Said:
    done = command(database, "rebuild_reports", **settings)
    return Said(done.returncode, done.stdout + done.stderr)


def ask(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_counts_that_are_right_are_the_same_afterwards_in_the_same_tables(days: Database) -> None:
    before, counts = ask(days, CATALOGUE), counted(days)
    found = run(days)
    assert found.code == 0, found.text
    assert "20000 leaves counted in " in found.text
    assert "The live counts were the same." in found.text
    assert ask(days, CATALOGUE) == before
    assert counted(days) == counts
    assert position(days) == 20_000
    assert ask(days, SCHEMAS) == []
    # And the workers go on with them.
    assert roll_up(days) == 0


def test_counts_that_were_wrong_are_told_and_put_right(days: Database) -> None:
    right = counted(days)
    (key, count), *_ = sorted(right.total.items())
    day, origin, destination, band = key
    with psycopg.connect(days.owner_url) as connection:
        connection.execute(
            "UPDATE daily_total SET count = count + 7 WHERE (day, origin, destination, weight_band) = (%s, %s, %s, %s)",
            key,
        )
        connection.execute("DELETE FROM daily_usage WHERE ctid = (SELECT min(ctid) FROM daily_usage)")
        connection.execute("UPDATE daily_usage SET count = count + 1 WHERE ctid = (SELECT max(ctid) FROM daily_usage)")
    found = run(days)
    assert found.code == 1, found.text
    assert f"{day}, {origin} to {destination}, weight band {band}: {count + 7} live, {count} rebuilt." in found.text
    assert "2 counts of customers differ in daily_usage, from 2026-01-01 to 2026-01-05." in found.text
    assert counted(days) == right
    assert run(days).code == 0


def test_many_differences_are_not_all_listed(days: Database) -> None:
    with psycopg.connect(days.owner_url) as connection:
        differing = connection.execute("UPDATE daily_total SET count = count + 1").rowcount
    found = run(days)
    assert found.text.count(" live, ") == rebuild.MOST_SHOWN
    assert f"{differing} counts differ in daily_total; these are the first." in found.text


def test_a_position_that_was_altered_is_told_and_put_right(days: Database) -> None:
    right = counted(days)
    with psycopg.connect(days.owner_url) as connection:
        connection.execute("UPDATE rollup_state SET leaves = leaves - 100")
    found = run(days)
    assert found.code == 1
    assert counted(days) == right
    with psycopg.connect(days.owner_url) as connection:
        connection.execute("UPDATE rollup_state SET leaves = leaves + 100")
    found = run(days)
    assert found.code == 1
    assert "The live counts stood at leaf 20100, and could not go on: The reports count 20100 leaves" in found.text
    assert (counted(days), position(days)) == (right, 20_000)


def test_live_counts_that_are_gone_are_made_anew(days: Database) -> None:
    right = counted(days)
    with psycopg.connect(days.owner_url) as connection:
        for table in ("rollup_state", "daily_usage", "daily_total"):
            connection.execute(f"TRUNCATE {table}".encode())
    found = run(days)
    assert found.code == 1
    assert "could not go on: The table rollup_state or tree_state has no row." in found.text
    assert (counted(days), position(days)) == (right, 20_000)


def test_another_time_zone_is_taken_as_long_as_no_day_is_closed(days: Database) -> None:
    found = run(days, REPORT_TIME_ZONE="Asia/Tokyo")
    assert found.code == 1
    assert "The live counts were of the days of UTC, so they were not compared." in found.text
    assert counted(days) == expected(days, "Asia/Tokyo") != expected(days)
    with session(days.reporter_url) as connection, turn(connection, Turn.COUNTING):
        rollup.step(connection, "Asia/Tokyo")
        with pytest.raises(rollup.ZoneError):
            rollup.step(connection, "UTC")
        # Once a report is out, the zone is that of all reports.
        closing.close_days(connection, "Asia/Tokyo", 0, "log.test/tracking", datetime(2026, 1, 3, tzinfo=UTC))
    before = counted(days), documents(days, "daily_report")
    found = run(days, REPORT_TIME_ZONE="UTC")
    assert found.code == 2
    assert "Reports of days of Asia/Tokyo are out, and stay; days of UTC would overlap them." in found.text
    assert (counted(days), documents(days, "daily_report")) == before
    assert run(days, REPORT_TIME_ZONE="Asia/Tokyo").code == 0
    assert documents(days, "daily_report") == before[1]


def test_it_can_t_be_done_with_rows_missing_or_no_such_zone(days: Database) -> None:
    before = counted(days)
    found = run(days, REPORT_TIME_ZONE="Mars/Olympus")
    assert (found.code, "there is no such time zone" in found.text) == (2, True)
    with psycopg.connect(days.owner_url) as connection:
        connection.execute("ALTER TABLE issuance_event DISABLE TRIGGER ALL")
        connection.execute("DELETE FROM issuance_event WHERE serial = 3")
    found = run(days)
    assert found.code == 2
    assert "The leaves 0 to 19999 have 19999 events; 20000 were sealed. Nothing is changed." in found.text
    assert counted(days) == before
    assert ask(days, SCHEMAS) == []


def test_a_login_that_lacks_something_is_told_what(days: Database) -> None:
    with psycopg.connect(days.owner_url, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE plain_owner LOGIN")
        plain = make_conninfo(days.owner_url, user="plain_owner")
        found = run(days, DATABASE_OWNER_URL=plain)
        assert (found.code, "GRANT tracking_owner TO it" in found.text) == (2, True), found.text
        superuser.execute("GRANT tracking_owner TO plain_owner")
        found = run(days, DATABASE_OWNER_URL=plain)
        assert found.code == 2
        advice = found.text.partition("Have a superuser run: ")[2].strip()
        assert advice == f'GRANT CREATE ON DATABASE "{days.name}" TO "plain_owner";'
        superuser.execute(advice.encode())
        assert run(days, DATABASE_OWNER_URL=plain).code == 0
        superuser.execute("DROP OWNED BY plain_owner")
        superuser.execute("DROP ROLE plain_owner")
    found = run(days, DATABASE_OWNER_URL=make_conninfo(days.owner_url, host="/nowhere"))
    assert (found.code, "The reports can't be rebuilt, and are as they were" in found.text) == (2, True)


def test_two_rebuilds_at_once_are_one(days: Database) -> None:
    with session(days.owner_url, "tracking_owner") as connection, turn(connection, Turn.REBUILDING) as mine:
        assert mine
        found = run(days)
        assert (found.code, "being rebuilt by somebody else" in found.text) == (2, True)


def test_it_swaps_only_with_the_turn_to_count(days: Database) -> None:
    there = f"SELECT to_regclass('{rebuild.SCHEMA}.rollup_state') IS NOT NULL"
    filled = f"SELECT leaves FROM {rebuild.SCHEMA}.rollup_state"
    with session(days.reporter_url) as connection, turn(connection, Turn.COUNTING):
        running = start(days)
        assert eventually(lambda: ask(days, there) == [(True,)] and ask(days, filled) == [(20_000,)])
        time.sleep(2)
        assert running.poll() is None, "it did not wait"
        assert ask(days, filled) == [(20_000,)]
    said, _ = running.communicate(timeout=240)
    LOGS.take("commands", said)
    assert running.returncode == 0, said


def test_killed_at_any_moment_it_leaves_what_was_live(days: Database) -> None:
    chance = random.Random(7)
    before = ask(days, CATALOGUE), counted(days)
    for round_ in range(10):
        there = ask(days, SCHEMAS)  # what the last one left
        with ExitStack() as held:
            if round_ == 0:  # it can't end before it is killed
                assert held.enter_context(turn(held.enter_context(session(days.reporter_url)), Turn.COUNTING))
            running = start(days)
            assert eventually(lambda: ask(days, SCHEMAS) not in (there, []) or running.poll() is not None)  # noqa: B023
            time.sleep(chance.uniform(0, 0.6))
            running.send_signal(signal.SIGKILL)
            LOGS.take("commands", running.communicate()[0])
        left = ask(days, SCHEMAS)
        assert left or round_ > 0, "not killed in the middle"
        assert counted(days) == before[1]
    assert run(days).code == 0
    assert (ask(days, CATALOGUE), counted(days)) == before
    assert ask(days, SCHEMAS) == []


def test_what_is_issued_and_counted_meanwhile_is_in_it(database: Database, service: ServiceFactory) -> None:
    running = service(database, WEB_CONCURRENCY="1")
    asyncio.run(load(running.port, 500))
    stop = threading.Event()

    def count() -> None:
        with session(database.reporter_url) as connection:
            while not stop.is_set():
                with turn(connection, Turn.COUNTING) as mine:
                    if mine:
                        rollup.step(connection, "UTC")

    worker = threading.Thread(target=count)
    with Sealer(database):
        worker.start()
        issuing = threading.Thread(target=lambda: asyncio.run(load(running.port, 3000, connections=8)))
        issuing.start()
        try:
            codes = [run(database).code for _ in range(3)]
        finally:
            issuing.join()
            stop.set()
            worker.join()
    assert codes == [0, 0, 0]
    seal(database, ledger.count(database.owner_url))
    roll_up(database)
    assert counted(database) == expected(database)
    # Whoever closes days meanwhile does so with the turn, and finds the new counts.
    with session(database.reporter_url) as connection, turn(connection, Turn.COUNTING):
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        assert closing.close_days(connection, "UTC", 0, "log.test/tracking", tomorrow)


def test_a_reader_of_counts_and_position_finds_what_belongs_together(days: Database) -> None:
    stop = threading.Event()
    wrong: list[tuple[Any, ...]] = []
    reads = 0

    def read() -> None:
        nonlocal reads
        with psycopg.connect(days.url, autocommit=True) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            while not stop.is_set():
                with reader.transaction():
                    reader.execute("SET LOCAL ROLE tracking_app")
                    ((leaves,),) = reader.execute("SELECT leaves FROM rollup_state").fetchall()
                    ((total,),) = reader.execute("SELECT coalesce(sum(count), 0) FROM daily_total").fetchall()
                    ((usage,),) = reader.execute("SELECT coalesce(sum(count), 0) FROM daily_usage").fetchall()
                reads += 1
                if not leaves == total == usage:
                    wrong.append((leaves, total, usage))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    codes: list[int] = []
    try:
        while len(codes) < 3 or reads <= 100:
            codes.append(run(days).code)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert (set(codes), wrong) == ({0}, [])
