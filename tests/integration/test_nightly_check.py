"""The nightly check finds what was altered among the leaves that are new, names it, and goes on from where it was."""

import asyncio
import shutil
import tracemalloc
from collections.abc import Iterator

import psycopg
import pytest

from ledger import verify_range
from ledger.domain.note import SignerKey
from reports.checking import check_leaves
from reports.session import Turn, session, turn
from tests.plugin import CLUSTER, LEDGER_KEY, Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.database_copies import duplicate
from tests.support.database.report_counts import checks
from tests.support.log.history import commit_only
from tests.support.log.tampering import NUMBERS, Leaf, delete, edit, flipped, leaf, tamper
from tests.support.processes.sealers import published, seal, sealing
from tests.support.processes.service import Service, ServiceFactory

KEY = SignerKey.parse(LEDGER_KEY).verifier
CHECKED, NEW = 700, 900
"""Leaves that one check has passed, and leaves that are there since."""


@pytest.fixture(scope="module")
def origin(database: Database, service: ServiceFactory) -> Database:
    """A real ledger of two nights: the first one's leaves are checked. It is copied for each drill."""
    running: Service = service(database, WEB_CONCURRENCY="2")
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE issuance_event ADD CHECK (destination <> 'ZW')")
    grow(database, running, CHECKED)
    assert check(database) == []
    assert checks(database) == [(0, published(database), None, [])]
    grow(database, running, NEW)
    running.stop()
    return database


def grow(database: Database, running: Service, count: int) -> None:
    """Issue and seal in many ticks, so that there are many checkpoints, runs with gaps, and one that goes on."""
    with sealing(database) as sealer:
        for part in range(5):
            asyncio.run(load(running.port, count // 5, poison=0.03 * (part % 2)))
            sealer.tick()
    assert published(database) == ledger.count(database.owner_url)


@pytest.fixture
def copy(origin: Database) -> Iterator[Database]:
    """The same ledger, to be tampered with."""
    made = CLUSTER.database(f"{origin.name}_copy")
    duplicate(origin, made)
    shutil.copytree(origin.publication, made.publication)
    shutil.copy(origin.fence, made.fence)
    yield made
    CLUSTER.drop(made)


def check(database: Database, most: int = verify_range.MOST_LEAVES) -> list[str]:
    with session(database.reporter_url) as connection, turn(connection, Turn.CHECKING) as mine:
        assert mine
        return check_leaves(connection, KEY, NUMBERS.encode, most)


def begin(database: Database) -> int:
    return max(end for _, end, _, faults in checks(database) if not faults)


def assert_found(database: Database, *parts: str) -> None:
    """One sentence has all parts; it is noted, nothing counts as checked, and the next night finds it again."""
    before = begin(database)
    faults = check(database)
    assert len(faults) == 1, faults
    assert all(part in faults[0] for part in parts), faults
    assert checks(database)[-1][0] == before
    assert checks(database)[-1][3] == faults
    assert begin(database) == before
    assert check(database) == faults


def new_leaf(database: Database) -> tuple[int, Leaf]:
    """A leaf since the last check, and its index; the serials beside its own are leaves, so its own is certain."""
    index = begin(database) + 300
    while leaf(database, index + 1).serial - leaf(database, index - 1).serial != 2:
        index += 1
    return index, leaf(database, index)


def test_what_was_not_altered_fits_and_is_checked_once(copy: Database) -> None:
    before, size = begin(copy), published(copy)
    assert 0 < before < size
    assert check(copy) == []
    assert checks(copy)[-1] == (before, size, None, [])
    assert check(copy) == []
    assert checks(copy)[-1] == (size, size, None, [])


def test_a_check_in_small_ranges_goes_from_one_published_tree_to_the_next(copy: Database) -> None:
    before, size = begin(copy), published(copy)
    assert check(copy, 250) == []
    ranges = [(first, end) for first, end, _, _ in checks(copy)[1:]]
    assert len(ranges) > 2
    assert [first for first, _ in ranges] == [before, *(end for _, end in ranges[:-1])]
    assert ranges[-1][1] == size


def test_an_edited_row_is_named(copy: Database) -> None:
    index, (number, _) = new_leaf(copy)
    edit(copy, number, "weight_band = (weight_band + 1) % 11")
    assert_found(copy, number, f"leaf {index}", "its row gives", "was signed")


def test_a_deleted_row_is_named(copy: Database) -> None:
    index, (number, serial) = new_leaf(copy)
    delete(copy, number)
    assert_found(copy, f"Leaf {index} has no event: serial {serial}", number[:11], "was deleted")


def test_an_edited_leaf_of_a_tile_is_named(copy: Database) -> None:
    position = (begin(copy) + 300) // 256
    tamper(copy, f"UPDATE tile SET hashes = {flipped('hashes', 40)} WHERE level = 0 AND position = {position}")
    assert_found(copy, f"Tile 0/{position:03} was altered")


def test_an_edited_leaf_of_the_growing_tile_is_named(copy: Database) -> None:
    size = published(copy)
    tamper(copy, f"UPDATE tree_state SET edge[1] = {flipped('edge[1]', 8191 % (size % 256 * 32))}")
    assert len(faults := check(copy)) == 2, faults
    assert f"Tile 0/{size // 256:03} was altered" in faults[0]
    assert f"The growing tile 0/{size // 256:03}.p/{size % 256} in tree_state" in faults[1]


def test_an_edited_tile_that_the_check_starts_from_is_named(copy: Database) -> None:
    # The leaves of the first night that share a tile with the second's.
    position = begin(copy) // 256
    tamper(copy, f"UPDATE tile SET hashes = {flipped('hashes', 3)} WHERE level = 0 AND position = {position}")
    assert_found(copy, f"The tiles of the first {begin(copy)} leaves do not give the root", f"0/{position:03}")


def test_a_missing_tile_is_named(copy: Database) -> None:
    position = begin(copy) // 256 + 1
    tamper(copy, f"DELETE FROM tile WHERE level = 0 AND position = {position}")
    assert_found(copy, f"Tile 0/{position:03} is missing")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("root = sha256('other')", "The table tree_state says"),
        ("published_root = sha256('other')", "has the root "),
        (f"published_signature = {flipped('published_signature', 5)}", "in tree_state was swapped or altered"),
    ],
)
@pytest.mark.parametrize("nothing_new", [False, True])
def test_an_edited_state_is_told(copy: Database, change: str, said: str, nothing_new: object) -> None:
    if nothing_new:
        assert check(copy) == []
    tamper(copy, f"UPDATE tree_state SET {change}")
    assert_found(copy, said)


def test_a_swapped_checkpoint_is_named(copy: Database) -> None:
    with psycopg.connect(copy.owner_url) as connection:
        ((size,),) = connection.execute("SELECT min(size) FROM checkpoint WHERE size > %s", [begin(copy)]).fetchall()
    tamper(copy, f"UPDATE checkpoint SET signature = {flipped('signature', 9)} WHERE size = {size}")
    assert_found(copy, f"The checkpoint of {size} leaves was swapped or altered")


def test_a_database_behind_what_was_checked_is_told(copy: Database) -> None:
    size = begin(copy)
    tamper(copy, "UPDATE tree_state SET published_size = 10")
    assert_found(copy, f"The first {size} leaves were checked once, and only 10 are published")


def test_an_altered_run_is_told(copy: Database) -> None:
    with psycopg.connect(copy.owner_url) as connection:
        ((first,),) = connection.execute(
            "SELECT min(first_leaf) FROM run WHERE first_leaf > %s", [begin(copy)]
        ).fetchall()
    tamper(copy, f"DELETE FROM run WHERE first_leaf = {first}")
    assert_found(copy, f"Leaf {first} should begin the next run", "the table run was altered")


def test_a_row_of_no_form_is_told(copy: Database) -> None:
    _, (number, serial) = new_leaf(copy)
    with psycopg.connect(copy.owner_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE issuance_event DROP CONSTRAINT customer_tag_is_sha256")
    edit(copy, number, "customer_tag = 'short'")
    faults = check(copy)
    assert any(f"The row of serial {serial} is no event" in fault for fault in faults), faults


def test_a_check_that_has_found_enough_stops_and_leaves_the_session_in_order(
    copy: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(copy.owner_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE issuance_event DROP CONSTRAINT customer_tag_is_sha256")
        ((serial,),) = connection.execute(
            "SELECT first_serial FROM run WHERE first_leaf >= %s AND leaves > 60 LIMIT 1", [begin(copy)]
        ).fetchall()
    tamper(copy, f"UPDATE issuance_event SET customer_tag = 'short' WHERE serial BETWEEN {serial} AND {serial + 40}")
    faults = check(copy)
    assert len(faults) == 21
    assert faults[-1].startswith("Stopped after 20 faults")
    assert checks(copy)[-1][3] == faults
    assert {each.name for each in caplog.records} == {"reports.checking"}, (
        "psycopg says so where a session is left in the middle of a COPY"
    )


def test_what_is_sealed_and_not_published_is_checked_when_it_is(copy: Database, service: ServiceFactory) -> None:
    running = service(copy, initialise=False, WEB_CONCURRENCY="1")
    size = published(copy)
    asyncio.run(load(running.port, 60))
    commit_only(copy, size + 60)
    assert check(copy) == []
    assert begin(copy) == size
    seal(copy, size + 60)
    running.stop()
    assert check(copy) == []
    assert begin(copy) == size + 60


def test_a_check_goes_on_within_a_run_that_went_on(copy: Database, service: ServiceFactory) -> None:
    # One writer's block is sealed bit by bit, so its run simply goes on.
    running = service(copy, initialise=False, WEB_CONCURRENCY="1")
    assert check(copy) == []
    within = 0
    with sealing(copy) as sealer:
        for _ in range(5):
            asyncio.run(load(running.port, 30, connections=2))
            sealer.tick()
            with psycopg.connect(copy.owner_url) as connection:
                within += connection.execute(
                    "SELECT FROM run WHERE first_leaf < %s AND first_leaf + leaves > %s", [begin(copy)] * 2
                ).rowcount
            assert check(copy) == []
            assert begin(copy) == published(copy)
        assert within > 0, "no run went on"
        asyncio.run(load(running.port, 30, connections=2))
        sealer.tick()
    running.stop()
    # In small ranges too, whose ends lie within it.
    with psycopg.connect(copy.owner_url) as connection:
        assert not verify_range.verify(connection, KEY, NUMBERS.encode, begin(copy) - 60, 40).faults
    number = leaf(copy, begin(copy) + 1).number
    edit(copy, number, "weight_band = (weight_band + 1) % 11")
    assert_found(copy, number, f"leaf {begin(copy) + 1}", "its row gives")


def test_memory_does_not_grow_with_the_leaves(copy: Database) -> None:
    peaks = []
    for most in (300, 10_000):
        with psycopg.connect(copy.owner_url) as connection:
            tracemalloc.start()
            verify_range.verify(connection, KEY, NUMBERS.encode, 0, most)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 12_000_000, peaks
