"""Every serial that was leased is accounted for, and what nobody issued is found, by the command and each night."""

import asyncio
import os
import shutil
import signal
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
import pytest
from django.core.management import CommandError

from core.embedded import postgres
from issuance import accounting, accounts
from issuance.allocator import NOBODY
from ledger.domain.serial import BLOCK_SIZE, block_of
from ledger.writers import LOCKED
from tests.plugin import CLUSTER, Database
from tests.support.clients.api_keys import make_key
from tests.support.clients.bulk import numbers, orders, post
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.accounts import Sums, account, night, nights
from tests.support.database.database_copies import duplicate
from tests.support.database.synthetic_ledger import fill
from tests.support.log.tampering import NUMBERS, edit, insert, tamper
from tests.support.processes.commands import command
from tests.support.processes.proc import eventually
from tests.support.processes.secret_keys import key
from tests.support.processes.service import Service, ServiceFactory

FOREIGN = 900_000
"""A block that nobody leases here."""


class Gone(NamedTuple):
    """A ledger whose service has ended."""

    database: Database
    issued: list[str]


@pytest.fixture(scope="module")
def origin(database: Database, service: ServiceFactory) -> Gone:
    """Single requests to two processes and a bulk call, whose writers are gone; copied for what is done to it."""
    one = service(database, WEB_CONCURRENCY="1")
    other = service(database, initialise=False, WEB_CONCURRENCY="1")
    issued = [number for each in (one, other) for number in asyncio.run(load(each.port, 1_500)).numbers]
    issued += numbers(post(one.port, make_key(database, "issue"), orders(1_500)))
    one.stop()
    stop(other, database)
    assert sorted(ledger.numbers(database.owner_url)) == sorted(issued)
    return Gone(database, issued)


@pytest.fixture
def copy(origin: Gone) -> Iterator[Database]:
    """The same ledger."""
    made = CLUSTER.database(f"{origin.database.name}_copy")
    duplicate(origin.database, made)
    shutil.copy(origin.database.fence, made.fence)
    yield made
    CLUSTER.drop(made)


def stop(running: Service, database: Database) -> None:
    """Stop it, and wait until PostgreSQL has ended its sessions: until then its writers live."""
    running.stop()
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        assert eventually(lambda: not [*session.execute(LOCKED)])


def blocks(database: Database) -> dict[int, int]:
    """Each leased block and its writer."""
    with psycopg.connect(database.owner_url) as session:
        return dict(session.execute("SELECT id, writer FROM number_block").fetchall())


def plant(session: "psycopg.Connection[tuple[Any, ...]]", serial: int, number: str) -> None:
    """Insert an event around the service, as a superuser can."""
    session.execute(
        """INSERT INTO issuance_event (serial, number, origin, destination, order_created_at, requested_at,
                  customer_key_id, weight_band, request_id, customer_tag)
           SELECT %s, %s, 'MY', 'ID', order_created_at, requested_at, customer_key_id, weight_band,
                  gen_random_uuid(), customer_tag FROM issuance_event LIMIT 1""",
        [serial, number],
    )


def unused(database: Database) -> int:
    """A serial that was leased and never issued."""
    with psycopg.connect(database.owner_url) as session:
        ((serial,),) = session.execute(
            """SELECT min(leased) FROM number_block CROSS JOIN generate_series(0, 1023) AS place,
                      LATERAL (SELECT (id << 10) + place AS leased) AS l
                WHERE NOT EXISTS (SELECT FROM issuance_event WHERE serial = leased)"""
        ).fetchall()
        return int(serial)


def test_a_database_that_issued_nothing_is_accounted_for() -> None:
    empty = CLUSTER.create()
    outcome = account(empty)
    assert (outcome.code, outcome.sums) == (0, (0, 0, 0, 0))
    assert outcome.document["runs_out"] is None
    assert night(empty) == []
    assert [each.sums for each in nights(empty)] == [(0, 0, 0, 0)]
    CLUSTER.drop(empty)


def test_what_ended_writers_left_is_burned(origin: Gone) -> None:
    leased = blocks(origin.database)
    outcome = account(origin.database)
    assert (outcome.code, outcome.faults) == (0, [])
    assert outcome.sums == Sums(
        len(leased) * BLOCK_SIZE, len(origin.issued), len(leased) * BLOCK_SIZE - len(origin.issued), 0
    )
    assert {each["writer"] for each in outcome.blocks.values()} <= set(leased.values())
    assert len(set(leased.values())) == 3, "two processes issued, one of them by a bulk call, too"


def test_a_killed_process_burns_what_its_blocks_had_left_and_an_idle_one_holds_it(
    copy: Database, service: ServiceFactory
) -> None:
    before = account(copy).sums
    running: Service = service(copy, WEB_CONCURRENCY="1")
    post(running.port, make_key(copy, "issue"), orders(300))
    asyncio.run(load(running.port, 700))
    alive = account(copy)
    fresh = range(before.leased // BLOCK_SIZE, alive.sums.leased // BLOCK_SIZE)  # it may lease another at any moment
    assert len(fresh) > 1
    assert alive.sums == Sums(
        before.leased + len(fresh) * BLOCK_SIZE,
        before.issued + 1000,
        before.burned,
        len(fresh) * BLOCK_SIZE - 1000,
    )
    (victim,) = running.worker_pids

    def kill(answered: int) -> None:
        if answered == 900:
            os.kill(victim, signal.SIGKILL)

    asyncio.run(load(running.port, 1_800, on_answer=kill))
    mine = {identity: writer for identity, writer in blocks(copy).items() if identity in fresh}
    assert eventually(
        lambda: not [each for each in account(copy).blocks.values() if each["held"] and each["writer"] in mine.values()]
    )
    after = account(copy)
    assert after.code == 0
    assert after.sums.issued == ledger.count(copy.owner_url)
    killed = {identity: writer for identity, writer in blocks(copy).items() if writer in mine.values()}
    with psycopg.connect(copy.owner_url) as session:
        ((issued,),) = session.execute(
            "SELECT count(*) FROM issuance_event WHERE serial >> 10 = ANY(%s)", [list(killed)]
        ).fetchall()
    assert after.sums.burned - before.burned == len(killed) * BLOCK_SIZE - issued > 0
    assert after.sums.held > 0, "the process that took its place"
    assert {each["writer"] for each in after.blocks.values() if each["held"]}.isdisjoint(mine.values())
    stop(running, copy)
    assert account(copy).sums.held == 0


@pytest.mark.timeout(600)
def test_nothing_that_is_said_to_be_closed_while_numbers_are_issued_and_processes_killed_is_issued_later(
    copy: Database, service: ServiceFactory
) -> None:
    running = service(copy, WEB_CONCURRENCY="4")
    seen: list[int] = []
    answers = 0

    def kill(answered: int) -> None:
        nonlocal answers
        answers = answered
        if answered % 1_000 == 500:
            os.kill(running.worker_pids[0], signal.SIGKILL)

    def enough() -> bool:
        return answers >= 5_000 and len(seen) > 20 and len(set(seen)) > 10

    async def work() -> None:
        busy = asyncio.create_task(
            load(running.port, 1_000_000, connections=64, seconds=240, on_answer=kill, until=enough)
        )
        while not busy.done():
            assert await asyncio.to_thread(night, copy) == []
            seen.append(nights(copy)[-1].sums.issued)
        await busy

    asyncio.run(work())
    assert enough(), "it was issued meanwhile"
    stop(running, copy)
    outcome = account(copy)
    assert (outcome.code, outcome.faults) == (0, []), "what was closed has as many events as it had then"
    assert outcome.sums.issued == ledger.count(copy.owner_url)
    assert outcome.sums.held == 0


class Interrupted(psycopg.Connection[tuple[Any, ...]]):
    """A session during which something happens."""

    left = 0
    happens: Callable[[], None]

    def execute(self, *args: Any, **options: Any) -> "psycopg.Cursor[tuple[Any, ...]]":
        """Execute a statement; after some of them it happens."""
        found = super().execute(*args, **options)
        self.left -= 1
        if self.left == 0:
            self.happens()
        return found


@pytest.mark.parametrize("statements", range(1, 6))
def test_whenever_a_writer_ends_what_it_committed_last_was_not_said_to_be_burned(
    copy: Database, statements: int
) -> None:
    block = len(blocks(copy))
    with psycopg.connect(copy.owner_url) as writer:
        writer.execute("SELECT pg_advisory_lock(4711::bigint)")
        writer.execute("INSERT INTO number_block (id, writer) VALUES (%s, 4711)", [block])
        writer.commit()
        _event(writer, block << 10)

        def ends() -> None:
            writer.commit()
            writer.close()
            with psycopg.connect(copy.owner_url, autocommit=True) as session:
                assert eventually(lambda: not [*session.execute(LOCKED)])

        _compare(copy, statements, ends)


@pytest.mark.parametrize("statements", range(1, 6))
def test_whenever_a_writer_begins_what_it_leases_is_not_said_to_be_burned(copy: Database, statements: int) -> None:
    block = len(blocks(copy))
    with psycopg.connect(copy.owner_url, autocommit=True) as writer:

        def begins() -> None:
            writer.execute("SELECT pg_advisory_lock(4711::bigint)")
            writer.execute("INSERT INTO number_block (id, writer) VALUES (%s, 4711)", [block])
            _event(writer, block << 10)

        found = _compare(copy, statements, begins, lambda: _event(writer, (block << 10) + 1))
        assert found.figures.held in {0, 1023, 1024}


def _event(session: "psycopg.Connection[tuple[Any, ...]]", serial: int) -> None:
    plant(session, serial, NUMBERS.encode(serial, "MY", "ID"))


def _compare(
    database: Database, statements: int, happens: Callable[[], None], later: Callable[[], None] = lambda: None
) -> accounting.Account:
    """Account while something happens after so many statements; what was closed then must be the same at the end."""
    with Interrupted.connect(database.url, autocommit=True) as connection:
        connection.left, connection.happens = statements, happens
        found = accounting.account(connection, NUMBERS, 0)
        assert connection.left <= 0, "it did not happen"
        later()
        noted = accounting.Noted(datetime.now(UTC), found.closed)
        assert accounting.account(connection, NUMBERS, 0, noted=noted).faults == []
    return found


def test_blocks_that_are_skipped_after_a_restore_are_burned(copy: Database) -> None:
    before = account(copy).sums
    with psycopg.connect(copy.owner_url) as session:
        session.execute("SELECT pg_advisory_lock(%s::bigint)", [NOBODY])  # nobody is nobody, whoever has this
        session.execute(
            "INSERT INTO number_block (id, writer) SELECT generate_series(%s::bigint, %s::bigint), %s",
            [before.leased // BLOCK_SIZE, before.leased // BLOCK_SIZE + 1499, NOBODY],
        )
        session.commit()
        after = account(copy)
    assert (after.code, after.sums.issued, after.sums.held) == (0, before.issued, 0)
    assert after.sums.burned == before.burned + 1500 * BLOCK_SIZE
    assert night(copy) == []
    assert nights(copy)[-1].sums == after.sums


@pytest.mark.parametrize("serial", [FOREIGN << 10, (FOREIGN << 10) + 1023, (1 << 41) - 1])
def test_an_event_of_a_block_that_was_never_leased_is_named(copy: Database, serial: int) -> None:
    sums = account(copy).sums
    number = insert(copy, serial)
    sentence = f"Number {number} (serial {serial}) lies in block {block_of(serial)}, which was never leased."
    outcome = account(copy)
    assert (outcome.code, outcome.faults, outcome.sums) == (1, [sentence], sums)
    assert night(copy) == [sentence]
    assert night(copy) == [sentence], "until it is gone"
    tamper(copy, f"DELETE FROM issuance_event WHERE number = '{number}'")
    assert night(copy) == []
    assert account(copy).code == 0


@pytest.mark.parametrize("closed", [False, True])
def test_an_event_under_another_number_is_named_with_what_the_number_decodes_to(copy: Database, closed: bool) -> None:  # noqa: FBT001
    if closed:
        assert night(copy) == []
    serial = unused(copy)
    foreign = NUMBERS.encode((FOREIGN << 10) + 5, "MY", "ID")
    with psycopg.connect(copy.owner_url) as session:
        plant(session, serial, foreign)
    sentence = (
        f"Number {foreign} stands at serial {serial}, and is that of serial {(FOREIGN << 10) + 5} in block {FOREIGN}, "
        "which was never leased."
    )
    outcome = account(copy)
    assert outcome.code == 1
    assert outcome.faults[0] == sentence
    if closed:
        assert "rows were inserted or removed since" in outcome.faults[1]
    else:
        assert outcome.faults == [sentence] == night(copy)


def test_a_number_that_is_none_of_ours_and_one_of_another_serial_are_named(copy: Database, origin: Gone) -> None:
    first, second = origin.issued[0], origin.issued[1]
    serial, other = NUMBERS.decode(first).serial, unused(copy)
    with psycopg.connect(copy.owner_url) as session:
        session.execute(
            "ALTER TABLE issuance_event DROP CONSTRAINT number_format, DROP CONSTRAINT number_names_its_route"
        )
    edit(copy, first, "number = 'none'")
    tamper(copy, f"UPDATE issuance_event SET serial = {other} WHERE number = '{second}'")
    outcome = account(copy)
    assert outcome.code == 1
    assert sorted(outcome.faults) == sorted(
        [
            f"Number none stands at serial {serial}, and is none that NUMBER_KEY gives.",
            f"Number {second} stands at serial {other}, and is that of serial {NUMBERS.decode(second).serial}.",
        ]
    )


def test_of_many_misplaced_events_some_are_named_and_all_are_counted(copy: Database, origin: Gone) -> None:
    ((fullest, _),) = Counter(block_of(NUMBERS.decode(number).serial) for number in origin.issued).most_common(1)
    tamper(copy, f"DELETE FROM number_block WHERE id = {fullest}")
    outcome = account(copy)
    gone = len(origin.issued) - outcome.sums.issued
    assert gone > 50
    assert outcome.code == 1
    assert outcome.document["wrong"] == gone
    assert len(outcome.faults) == 21
    assert outcome.faults[-1] == f"{gone - 20:,} more are not named."


@pytest.mark.parametrize("change", ["insert", "delete", "lease"])
def test_what_is_put_into_or_taken_from_a_closed_block_is_told_by_the_command(copy: Database, change: str) -> None:
    assert night(copy) == []
    assert account(copy).code == 0
    if change == "insert":
        insert(copy, unused(copy))
    elif change == "delete":
        tamper(copy, "DELETE FROM issuance_event WHERE serial = (SELECT min(serial) FROM issuance_event)")
    else:
        spare = max(blocks(copy)) + 1
        tamper(copy, f"INSERT INTO number_block (id, writer) VALUES ({spare}, {NOBODY})")
        assert night(copy) == []
        tamper(copy, f"DELETE FROM number_block WHERE id = {spare}")
    outcome = account(copy)
    assert (outcome.code, len(outcome.faults)) == (1, 1)
    assert "rows were inserted or removed since." in outcome.faults[0]


def test_each_night_looks_at_what_was_not_closed_the_night_before_and_at_nothing_else(
    copy: Database, service: ServiceFactory
) -> None:
    assert night(copy) == []
    first = nights(copy)[-1]
    assert (first.end, first.open) == (len(blocks(copy)), [])
    assert looked_at(copy, first.end) == 0
    running = service(copy, WEB_CONCURRENCY="1")
    asyncio.run(load(running.port, 100))
    assert night(copy) == []
    second, whole = nights(copy)[-1], account(copy).sums
    assert (second.sums.issued, second.sums.burned) == (whole.issued, whole.burned)
    assert second.sums.leased == second.end * BLOCK_SIZE <= whole.leased, "it may lease another at any moment"
    assert second.open, "their writer lives"
    assert looked_at(copy, second.end) == 100
    stop(running, copy)
    assert night(copy) == []
    third = nights(copy)[-1]
    assert (third.end, third.open, third.sums.held) == (len(blocks(copy)), [], 0)
    assert third.sums == account(copy).sums
    assert looked_at(copy, third.end) == 0


def looked_at(database: Database, end: int) -> int:
    """How many events the next night would read, all of them if it reads below ``end`` what it need not."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        noted = accounts.newest(connection)
        assert noted is not None
        assert noted.closed.end == end
        return accounting.account(connection, NUMBERS, 0, noted.closed).looked_at


def test_parts_of_any_size_give_the_same_and_each_is_noted(copy: Database) -> None:
    whole = account(copy).sums
    assert night(copy, 2) == []
    found = nights(copy)
    assert len(found) >= 1
    assert found[-1].sums == whole
    assert [each.end for each in found] == sorted(each.end for each in found)


def test_the_command_says_it_in_words_lists_blocks_on_demand_and_ends_with_0_or_1(copy: Database) -> None:
    sums = account(copy).sums
    fine = command(copy, "account_numbers")
    assert (fine.returncode, fine.stderr) == (0, "")
    assert fine.stdout.startswith(
        f"leased {sums.leased:,} = issued {sums.issued:,} + burned {sums.burned:,} + held 0, in "
        f"{sums.leased // BLOCK_SIZE:,} blocks.\n{sums.leased:,} of the shard's 68,719,476,736 serials are leased, "
        "less than 0.01%. At the rate of the last 30 days, "
    )
    assert f"{sums.issued:,} numbers compared with their serials in" in fine.stdout
    assert fine.stdout.endswith("Everything is accounted for.\n")
    listed = command(copy, "account_numbers", "--blocks").stdout.splitlines()
    assert listed[0].split() == ["block", "leased", "at", "(UTC)", "issued", "burned", "held"]
    assert len(listed) == 1 + len(account(copy).blocks) + len(fine.stdout.splitlines())
    number = insert(copy, FOREIGN << 10)
    wrong = command(copy, "account_numbers")
    assert wrong.returncode == 1
    assert f"Number {number} (serial {FOREIGN << 10}) lies in block {FOREIGN}" in wrong.stdout
    assert "Everything is accounted for." not in wrong.stdout
    assert "1 of what was found must not be there" in wrong.stderr


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"number_key": key("another")}, "Correct SHARD or NUMBER_KEY"),
        ({"shard": 3}, "Correct SHARD or NUMBER_KEY"),
        ({"number_key": None}, "There is no NUMBER_KEY yet."),
    ],
    ids=["another key", "another shard", "no key"],
)
def test_numbers_are_not_judged_by_another_key_than_theirs(
    origin: Gone, changes: dict[str, str], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence) as refused:
        account(origin.database, **changes)
    assert refused.value.returncode == 2


def test_without_a_ledger_or_a_database_it_ends_with_2() -> None:
    empty = CLUSTER.database("nothing_in_it")
    postgres.create_database(CLUSTER.server.url(), empty.name)
    with pytest.raises(CommandError, match="has no ledger") as refused:
        account(empty)
    assert refused.value.returncode == 2
    CLUSTER.drop(empty)
    with pytest.raises(CommandError, match="can't be read") as refused:
        account(empty)
    assert refused.value.returncode == 2


def test_memory_does_not_grow_with_the_numbers() -> None:
    own = CLUSTER.create()
    fill(own, 40_960)
    with psycopg.connect(own.owner_url, autocommit=True) as session:
        session.execute("INSERT INTO number_block (id, writer) SELECT generate_series(0, 3999), 5")
    peaks = []
    with psycopg.connect(own.url, autocommit=True) as connection:
        for most in (64, 64, 4_000):
            tracemalloc.start()
            found = accounting.account(connection, NUMBERS, 0, most=most)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert found.figures == (4_000 * BLOCK_SIZE, 40_960, 4_000 * BLOCK_SIZE - 40_960, 0)
    assert peaks[2] < 1.1 * peaks[1], peaks
    CLUSTER.drop(own)
