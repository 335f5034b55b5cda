"""Someone with full power over the database changes what is written; verification says what, and what it was."""

import asyncio
import re
import shutil
from collections.abc import Callable, Iterator

import psycopg
import pytest

from ledger.domain.note import Checkpoint, SignerKey
from ledger.domain.serial import BLOCK_SIZE
from ledger.publication import PublicationError
from tests.plugin import CLUSTER, LEDGER_KEY, Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.database_copies import duplicate
from tests.support.log import history as made
from tests.support.log.tampering import (
    NUMBERS,
    ask,
    caught,
    delete,
    edit,
    flipped,
    insert,
    leaf,
    rewrite,
    tamper,
    verify,
)
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import published, seal, sealing, state
from tests.support.processes.service import ServiceFactory

EVENTS = 800
TAIL = 20
"""Leaves that are committed and not published."""
NEWEST = "size = (SELECT max(size) FROM checkpoint)"
OLDEST = "size = (SELECT min(size) FROM checkpoint)"

type Copy = Callable[[], Database]


@pytest.fixture(scope="module")
def history(database: Database, service: ServiceFactory) -> Database:
    """Two full tiles and a partial one, four checkpoints, gaps within runs, and some leaves that nobody signed yet."""
    with ledger.reading(database.owner_url) as session:
        session.execute("ALTER TABLE issuance_event ADD CHECK (destination <> 'ZW')")
    # Two services of one process each: of two processes of one service, one may take all connections.
    both = [service(database, initialise=first, WEB_CONCURRENCY="1") for first in (True, False)]
    for poison in (0.0, 0.03, 0.0, 0.03):  # refused rows burn serials, which makes gaps
        for running in both:
            made.issue(running.port, EVENTS // 8, poison=poison)
        seal(database, ledger.count(database.owner_url))
        for running in both:
            made.issue(running.port, 16, poison=1.0)  # and between two runs
    for running in both:
        made.issue(running.port, TAIL // 2)
    commit_only(database)
    for running in both:
        running.stop()
    return database


def commit_only(database: Database) -> None:
    """Append what there is while the outside checkpoint can't be moved, so none of it is published."""
    obstacle = database.publication / "public" / "checkpoint.new"
    obstacle.mkdir()
    with sealing(database) as active, pytest.raises(PublicationError):
        active.tick()
    obstacle.rmdir()
    assert size(database) == ledger.count(database.owner_url)


@pytest.fixture
def copy(history: Database) -> Iterator[Copy]:
    """Makes copies of the history, with its publication and fence."""
    copies: list[Database] = []

    def make() -> Database:
        target = CLUSTER.database(f"{history.name}_drill_{len(copies)}")
        duplicate(history, target)
        shutil.copytree(history.publication, target.publication)
        shutil.copy(history.fence, target.fence)
        copies.append(target)
        return target

    yield make
    for each in copies:
        CLUSTER.drop(each)


def size(database: Database) -> int:
    leaves: int = state(database)["size"]
    return leaves


def gap(database: Database) -> int:
    """A serial that a run skips."""
    (serial,) = ask(
        database,
        """SELECT s FROM run, generate_series(first_serial, last_serial) AS s
            WHERE leaves < last_serial - first_serial + 1
              AND NOT EXISTS (SELECT FROM issuance_event e WHERE e.serial = s) ORDER BY s DESC LIMIT 1""",
    )
    return serial


def test_the_history_of_the_drills_fits(copy: Copy) -> None:
    database = copy()
    outcome = verify(database)
    assert (outcome.code, outcome.faults) == (0, []), outcome
    assert f"{size(database)} leaves, 3 full tiles and 4 checkpoints checked" in outcome.summary
    assert outcome.summary.endswith(" 0 events are not sealed yet. Everything fits.")


# 1. A row is edited.


@pytest.mark.parametrize(
    "change",
    [
        "weight_band = (weight_band + 1) % 11",
        "request_id = gen_random_uuid()",
        "requested_at = requested_at + interval '1 microsecond'",
        "order_created_at = order_created_at - interval '1 day'",
        "customer_tag = sha256(customer_tag)",
        "customer_key_id = 2",
        "principal = 1",
    ],
)
def test_an_edited_row_is_named(copy: Copy, change: str) -> None:
    database = copy()
    number, _ = leaf(database, 3)
    edit(database, number, change)
    caught(database, (f"Number {number}, leaf 3, was altered", "its row gives", "was signed"))


def test_an_edited_row_of_the_growing_tile_is_named(copy: Copy) -> None:
    database = copy()
    index = published(database) - 1
    number, _ = leaf(database, index)
    edit(database, number, "weight_band = (weight_band + 1) % 11")
    caught(database, (f"Number {number}, leaf {index}, was altered",))


def test_an_edited_row_that_nobody_signed_yet_is_named_by_the_committed_root(copy: Copy) -> None:
    database = copy()
    index = size(database) - 1
    assert index >= published(database)
    number, _ = leaf(database, index)
    edit(database, number, "weight_band = (weight_band + 1) % 11")
    caught(database, (f"Number {number}, leaf {index}, was altered",))


def test_edited_rows_in_the_reach_of_different_checkpoints_are_all_named_and_no_others(copy: Copy) -> None:
    database = copy()
    indices = (3, 4, 210, 500, size(database) - 1)
    numbers = [leaf(database, index).number for index in indices]
    for number in numbers:
        edit(database, number, "request_id = gen_random_uuid()")
    caught(database, *((f"Number {n}, leaf {i}, was altered",) for n, i in zip(numbers, indices, strict=True)))


def test_a_moment_that_never_was_is_no_event_and_its_number_is_named(copy: Copy) -> None:
    database = copy()
    number, serial = leaf(database, 5)
    edit(database, number, "requested_at = 'infinity'")
    caught(
        database,
        (f"Number {number} (serial {serial})", "is no event"),
        ("Leaf 5 has no event", f"serial {serial}", number[:11]),
    )


def test_a_row_with_other_fields_is_no_event_and_its_serial_is_named(copy: Copy) -> None:
    database = copy()
    number, serial = leaf(database, 5)
    with ledger.reading(database.owner_url) as session:
        session.execute("ALTER TABLE issuance_event DROP CONSTRAINT customer_tag_is_sha256")
    edit(database, number, "customer_tag = '\\x00'")
    caught(
        database,
        (f"The row of serial {serial} is no event",),
        ("Leaf 5 has no event", f"serial {serial}", number[:11]),
    )


def test_another_number_at_a_serial_is_named_with_the_one_that_belongs_there(copy: Copy) -> None:
    database = copy()
    number, serial = leaf(database, 10)
    other = NUMBERS.encode(2**40, number[11:13], number[13:15])
    edit(database, number, f"number = '{other}'")
    caught(
        database,
        (f"Number {other} stands at serial {serial}; expected is {number}.",),
        (f"Number {other}, leaf 10, was altered",),
    )


# 2. A row is deleted.


@pytest.mark.parametrize("index", [0, 300, 301, -1])
def test_a_deleted_row_is_named_by_its_serial_and_what_the_number_began_with(copy: Copy, index: int) -> None:
    database = copy()
    index %= size(database)
    number, serial = leaf(database, index)
    delete(database, number)
    (said,) = caught(database, (f"Leaf {index} has no event", "serial"))
    # A run with gaps may leave a choice of serials.
    if choice := re.search(r"one of the serials ([0-9]+) to ([0-9]+) was deleted", said):
        assert int(choice[1]) <= serial <= int(choice[2])
    else:
        assert f"serial {serial}, whose number began {number[:11]}, was deleted" in said


def test_a_deleted_row_between_two_others_of_a_run_without_gaps_leaves_no_choice(copy: Copy) -> None:
    database = copy()
    (index,) = ask(
        database, "SELECT first_leaf + 7 FROM run WHERE leaves = last_serial - first_serial + 1 AND leaves > 9"
    )
    number, serial = leaf(database, index)
    delete(database, number)
    caught(database, (f"Leaf {index} has no event: serial {serial}, whose number began {number[:11]}, was deleted.",))


def test_deleted_rows_next_to_each_other_are_all_named(copy: Copy) -> None:
    database = copy()
    for number, _ in [leaf(database, index) for index in (40, 41, 42)]:
        delete(database, number)
    caught(database, *((f"Leaf {index} has no event",) for index in (40, 41, 42)))


# 3. A row is inserted where no event can come any more.


def close_all(database: Database) -> None:
    """The writers are gone, so the next sealer closes their blocks."""
    still_open = "SELECT count(*) FROM block_cursor WHERE NOT closed"
    with sealing(database) as active:

        def none_is_open() -> bool:
            active.tick()
            return ask(database, still_open) == (0,)

        assert eventually(none_is_open), "blocks of gone writers stay open"


@pytest.mark.parametrize("closed", [False, True], ids=["of an open block", "of a closed block"])
def test_a_row_inserted_into_a_gap_is_named(copy: Copy, *, closed: bool) -> None:
    database = copy()
    if closed:
        close_all(database)
    serial = gap(database)
    (is_closed,) = ask(database, f"SELECT closed::int FROM block_cursor WHERE block = {serial} >> 10")
    assert bool(is_closed) == closed
    number = insert(database, serial)
    caught(database, (f"Number {number} (serial {serial}) is no leaf of its run", "inserted"))


def test_a_row_inserted_below_the_cursor_of_an_open_block_and_between_its_runs_is_named(copy: Copy) -> None:
    database = copy()
    (serial,) = ask(
        database,
        """SELECT r.last_serial + 1 FROM run r JOIN block_cursor c ON c.block = r.last_serial >> 10 AND NOT c.closed
            WHERE r.last_serial < c.last_serial
              AND NOT EXISTS (SELECT FROM issuance_event e WHERE e.serial = r.last_serial + 1) LIMIT 1""",
    )
    number = insert(database, serial)
    caught(database, ("should add up",), (f"Number {number} (serial {serial})", "not in the log", "behind a cursor"))


def test_a_row_inserted_at_the_end_of_a_closed_block_is_named(copy: Copy) -> None:
    database = copy()
    close_all(database)
    (last,) = ask(database, "SELECT last_serial FROM block_cursor WHERE closed ORDER BY block LIMIT 1")
    number = insert(database, last + 1)
    caught(database, ("should add up",), (f"Number {number} (serial {last + 1})", "not in the log", "closed block"))


def test_a_row_inserted_where_nothing_was_leased_is_named(copy: Copy) -> None:
    database = copy()
    (highest,) = ask(database, "SELECT max(id) FROM number_block")
    serial = (highest + 5) * BLOCK_SIZE
    number = insert(database, serial)
    caught(database, ("should add up",), (f"Number {number} (serial {serial})", "not in the log", "nothing was leased"))


def test_a_row_deleted_and_one_inserted_in_the_same_run_blame_no_other(copy: Copy) -> None:
    database = copy()
    serial = gap(database)
    (index,) = ask(database, f"SELECT first_leaf FROM run WHERE {serial} BETWEEN first_serial AND last_serial")
    number, first = leaf(database, index)
    assert serial > leaf(database, index + 1).serial, "a row that is where it belongs lies between them"
    delete(database, number)
    inserted = insert(database, serial)
    caught(
        database,
        (f"Leaf {index} has no event", f"serial {first}"),
        (f"Number {inserted} (serial {serial}) is no leaf of its run",),
    )


def test_a_number_that_its_serial_does_not_give_is_named_before_it_is_sealed(copy: Copy) -> None:
    database = copy()
    (serial,) = ask(database, "SELECT last_serial + 1 FROM block_cursor WHERE NOT closed ORDER BY block LIMIT 1")
    number = insert(database, serial)
    assert verify(database).code == 0, "a row above a cursor may still be sealed"
    other = NUMBERS.encode(2**40, "MY", "ID")
    edit(database, number, f"number = '{other}'")
    caught(database, (f"Number {other} stands at serial {serial}; expected is {number}.",))


# 4. A tile is edited.


def test_an_edited_tile_is_named_with_its_leaf(copy: Copy) -> None:
    database = copy()
    number, _ = leaf(database, 256 + 2)
    tamper(database, f"UPDATE tile SET hashes = {flipped('hashes', 70)} WHERE level = 0 AND position = 1")
    caught(database, ("Tile 0/001 was altered", "leaf 258", f"number {number}", "was signed"))


def test_an_edited_tile_and_an_edited_row_are_told_apart(copy: Copy) -> None:
    database = copy()
    number, _ = leaf(database, 3)
    edit(database, number, "request_id = gen_random_uuid()")
    tamper(database, f"UPDATE tile SET hashes = {flipped('hashes', 120 * 32)} WHERE level = 0 AND position = 1")
    caught(database, (f"Number {number}, leaf 3, was altered",), ("Tile 0/001 was altered", "leaf 376"))


def test_a_removed_tile_is_named(copy: Copy) -> None:
    database = copy()
    tamper(database, "DELETE FROM tile WHERE level = 0 AND position = 0")
    caught(database, ("Tile 0/000 is missing", "SHA-256"))


def test_a_tile_in_another_place_is_named_at_both(copy: Copy) -> None:
    database = copy()
    tamper(database, "UPDATE tile SET position = 7 WHERE level = 0 AND position = 1")
    caught(database, ("Tile 0/001 is missing",), ("Tile 0/007 is of a larger tree",))


def test_an_edited_row_whose_tile_is_gone_is_told_by_the_signatures(copy: Copy) -> None:
    database = copy()
    edit(database, leaf(database, 3).number, "request_id = gen_random_uuid()")
    tamper(database, "DELETE FROM tile WHERE level = 0 AND position = 0")
    (first,) = ask(database, "SELECT min(size) FROM checkpoint")
    faults = caught(
        database,
        ("Tile 0/000 is missing",),
        (f"The checkpoint of {first} leaves does not fit", f"leaves 0 to {first - 1}"),
        ("tree_state says",),
        ("growing tile 1/000.p/3",),
    )
    assert len(faults) == 4


# 5. The state is edited.


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("size = size + 1", [("tree_state says {more} leaves", "expected are {size}")]),
        ("size = size + 1000", [("tree_state says {far} leaves", "expected are {size}")]),
        ("size = size - 1", [("tree_state says {less} leaves", "expected are {size}")]),
        ("root = sha256(root)", [("tree_state says {size} leaves with the root", "expected are {size} with")]),
        ("edge = ARRAY[edge[1], edge[2] || edge[2]]", [("growing tile 1/000.p/3", "expected is")]),
        ("edge = ARRAY[''::bytea, edge[2]]", [("growing tile 0/003", "is 0 hashes", "expected is")]),
        ("published_root = sha256(published_root)", [("in tree_state has the root", "was signed")]),
        (
            "published_size = published_size - 1",
            [("{published_less} leaves in tree_state was swapped",), ("published {published_less}", "{published}")],
        ),
        (
            "published_size = 0, published_signature = NULL, published_root = sha256('')",
            [("has published 0 leaves", "newest checkpoint has {published}")],
        ),
        (
            f"published_signature = {flipped('published_signature', 0)}",
            [("in tree_state was swapped or altered", "root")],
        ),
        ("closed_below = 90", [("every block below 90 is closed", "is open")]),
    ],
)
def test_an_edited_state_is_told(copy: Copy, change: str, expected: list[tuple[str, ...]]) -> None:
    database = copy()
    was, signed = size(database), published(database)
    tamper(database, f"UPDATE tree_state SET {change}")
    values = {"size": was, "more": was + 1, "far": was + 1000, "less": was - 1}
    values |= {"published": signed, "published_less": signed - 1}
    caught(database, *(tuple(part.format(**values) for part in parts) for parts in expected))


def test_an_edited_growing_tile_is_told_with_its_leaf(copy: Copy) -> None:
    database = copy()
    number, _ = leaf(database, 768)
    tamper(database, f"UPDATE tree_state SET edge[1] = {flipped('edge[1]', 0)}")
    caught(database, ("Tile 0/003 was altered", "leaf 768", number), ("growing tile 0/003.p/", "expected is"))


def test_a_removed_state_is_told(copy: Copy) -> None:
    database = copy()
    tamper(database, "DELETE FROM tree_state")
    outcome = verify(database)
    assert (outcome.code, "tree_state has no row" in outcome.said) == (1, True), outcome


# 6. A checkpoint is swapped.


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE checkpoint SET signature = (SELECT signature FROM checkpoint WHERE {NEWEST}) WHERE {OLDEST}",
        f"UPDATE checkpoint SET signature = {flipped('signature', 5)} WHERE {OLDEST}",
        f"UPDATE checkpoint SET size = size + 1 WHERE {OLDEST}",
        f"UPDATE checkpoint SET size = size - 1 WHERE {OLDEST}",
    ],
    ids=["another's signature", "another signature", "a larger size", "a smaller size"],
)
def test_a_swapped_checkpoint_is_named(copy: Copy, change: str) -> None:
    database = copy()
    tamper(database, change)
    (first,) = ask(database, "SELECT min(size) FROM checkpoint")
    caught(database, (f"The checkpoint of {first} leaves was swapped or altered", "root", "another signature confirms"))


def test_a_checkpoint_by_another_key_is_named(copy: Copy) -> None:
    database = copy()
    found = state(database)
    text = Checkpoint("log.test/tracking", found["published_size"], found["published_root"]).text
    forged = SignerKey("log.test/tracking", bytes(32)).sign(text).hex()
    tamper(database, f"UPDATE checkpoint SET signature = '\\x{forged}' WHERE {NEWEST}")
    caught(database, (f"The checkpoint of {found['published_size']} leaves was swapped or altered",))


def test_a_removed_newest_checkpoint_is_told(copy: Copy) -> None:
    database = copy()
    tamper(database, f"DELETE FROM checkpoint WHERE {NEWEST}")
    caught(database, (f"published {published(database)} leaves; the newest checkpoint has",))


def test_a_checkpoint_of_a_tree_that_never_was_is_told(copy: Copy) -> None:
    database = copy()
    tamper(database, "INSERT INTO checkpoint SELECT 10000, signature FROM checkpoint LIMIT 1")
    caught(database, ("1 checkpoints are of more than", "10000"), ("the newest checkpoint has 10000",))


def test_an_edited_row_is_named_though_the_next_checkpoint_is_swapped(copy: Copy) -> None:
    database = copy()
    number, _ = leaf(database, 3)
    edit(database, number, "request_id = gen_random_uuid()")
    tamper(database, f"UPDATE checkpoint SET signature = {flipped('signature', 5)} WHERE {OLDEST}")
    (first,) = ask(database, "SELECT min(size) FROM checkpoint")
    caught(database, (f"Number {number}, leaf 3, was altered",), (f"checkpoint of {first} leaves was swapped",))


# 7. Yesterday's backup is restored.


def test_yesterdays_backup_is_told_by_the_published_checkpoint(copy: Copy, service: ServiceFactory) -> None:
    yesterday, today = copy(), copy()
    running = service(today, WEB_CONCURRENCY="1", initialise=False)
    asyncio.run(load(running.port, 50))
    running.stop()
    before = size(yesterday)
    seal(today, before + 50)
    shutil.rmtree(yesterday.publication)
    shutil.copytree(today.publication, yesterday.publication)
    caught(yesterday, (f"has {before} leaves, but a checkpoint of {before + 50} was published", "set back"))


def test_a_publication_that_was_set_back_is_told(copy: Copy) -> None:
    database, ahead = copy(), copy()
    seal(ahead, size(ahead))
    shutil.rmtree(ahead.publication)
    shutil.copytree(database.publication, ahead.publication)
    caught(ahead, (f"has a checkpoint of {published(database)} leaves", f"published {size(ahead)}"))


def test_a_lost_publication_is_told(copy: Copy) -> None:
    database = copy()
    shutil.rmtree(database.publication)
    caught(database, ("has no checkpoint", f"published {published(database)}"))


def test_a_damaged_published_checkpoint_is_told(copy: Copy) -> None:
    database = copy()
    file = database.publication / "public" / "checkpoint"
    file.write_text(file.read_text().replace(f"\n{published(database)}\n", f"\n{published(database) - 1}\n"))
    caught(database, ("is not one of the log", "signature does not fit"))


# Everything but the signatures.


def test_a_history_rewritten_in_rows_tiles_and_state_is_caught_by_the_signatures(copy: Copy) -> None:
    database = copy()
    edit(database, leaf(database, 3).number, "customer_tag = sha256(customer_tag)")
    rewrite(database)
    (first,) = ask(database, "SELECT min(size) FROM checkpoint")
    caught(database, (f"The checkpoint of {first} leaves does not fit", f"leaves 0 to {first - 1} were altered"))


def test_a_rewritten_history_is_narrowed_to_what_lies_between_two_checkpoints(copy: Copy) -> None:
    database = copy()
    (second, third) = ask(database, "SELECT s[2], s[3] FROM (SELECT array_agg(size ORDER BY size) s FROM checkpoint)")
    edit(database, leaf(database, second).number, "weight_band = (weight_band + 1) % 11")
    rewrite(database)
    caught(database, (f"The checkpoint of {third} leaves does not fit", f"leaves {second} to {third - 1} were altered"))


def test_another_key_fits_nothing(copy: Copy) -> None:
    database = copy()
    outcome = verify(database, "--key", str(SignerKey("log.test/tracking", bytes(32)).verifier))
    assert (outcome.code, len(outcome.faults)) == (1, 2), outcome
    assert "is not one of the log" in outcome.faults[0]
    assert "does not fit the rows" in outcome.faults[1]
    assert "another key" in outcome.faults[1]
    assert verify(database, "--key", str(SignerKey.parse(LEDGER_KEY).verifier)).code == 0


# The tables that say which event is which leaf.


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE run SET first_leaf = first_leaf + 100000 WHERE first_leaf = {}",
        "UPDATE run SET leaves = leaves - 1 WHERE first_leaf < {} AND leaves > 1",
    ],
)
def test_a_run_that_does_not_follow_on_the_one_before_is_told(copy: Copy, change: str) -> None:
    database = copy()
    (middle,) = ask(database, "SELECT first_leaf FROM run ORDER BY first_leaf OFFSET 2 LIMIT 1")
    tamper(database, change.format(middle))
    outcome = verify(database)
    assert outcome.code == 1
    assert any("should begin the next run" in fault for fault in outcome.faults), outcome


def test_events_of_a_removed_run_are_named(copy: Copy) -> None:
    database = copy()
    (index, leaves) = ask(database, "SELECT first_leaf, leaves FROM run ORDER BY leaves LIMIT 1")
    numbers = [leaf(database, at).number for at in range(index, index + min(leaves, 3))]
    tamper(database, f"DELETE FROM run WHERE first_leaf = {index}")
    outcome = verify(database)
    assert outcome.code == 1
    said = "\n".join(outcome.faults)
    assert f"Leaf {index} should begin the next run" in said or f"expected are {index} with" in said
    assert all(f"Number {number}" in said for number in numbers), said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE block_cursor SET last_serial = last_serial + 1 WHERE block = {}", "The cursor of block {}"),
        ("DELETE FROM block_cursor WHERE block = {}", "Block {} has no cursor"),
        ("INSERT INTO block_cursor VALUES (77777, 77777 * 1024 - 1, true)", "Block 77777 has a cursor"),
    ],
)
def test_an_edited_cursor_is_told(copy: Copy, change: str, expected: str) -> None:
    database = copy()
    (block,) = ask(database, "SELECT max(block) FROM block_cursor WHERE last_serial < block * 1024 + 1023")
    tamper(database, change.format(block))
    outcome = verify(database)
    assert outcome.code == 1
    assert any(expected.format(block) in fault for fault in outcome.faults), outcome


def test_a_run_that_reaches_into_the_next_is_told(copy: Copy) -> None:
    database = copy()
    (first, second) = ask(
        database,
        """SELECT a.first_serial, b.first_serial FROM run a JOIN run b ON b.first_serial > a.last_serial
              AND b.first_serial >> 10 = a.first_serial >> 10 ORDER BY 1, 2 LIMIT 1""",
    )
    tamper(database, f"UPDATE run SET last_serial = {second} WHERE first_serial = {first}")
    outcome = verify(database)
    assert outcome.code == 1
    assert any(f"The run from serial {second} begins within" in fault for fault in outcome.faults), outcome


def test_verification_stops_after_twenty_faults(copy: Copy) -> None:
    database = copy()
    tamper(database, "UPDATE issuance_event SET weight_band = (weight_band + 1) % 11")
    outcome = verify(database)
    assert outcome.code == 1
    assert len(outcome.faults) == 21
    assert outcome.faults[-1] == "Stopped after 20 faults; there may be more."
    assert "not sealed yet" not in outcome.summary, "what was not counted is not said"


def test_the_guards_stand_again_after_a_drill(copy: Copy) -> None:
    database = copy()
    edit(database, leaf(database, 3).number, "request_id = gen_random_uuid()")
    with psycopg.connect(database.owner_url) as session, pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        session.execute("UPDATE issuance_event SET weight_band = 0")
