"""recover_ledger: what was published is there again, leaf by leaf, and what can't be is refused and said."""

import asyncio
import dataclasses
import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import psycopg
import pytest

from issuance.domain.number import Numbering
from ledger.domain import merkle
from ledger.domain.note import SignerKey
from ledger.domain.serial import BLOCK_SIZE, block_of
from ledger.publication import Folder
from tests.plugin import CLUSTER, LEDGER_KEY, Database
from tests.support.clients.http import ask
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.accounts import account, night, nights
from tests.support.database.database_copies import backup
from tests.support.log import naive_log
from tests.support.processes.commands import command
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published, refusal, seal, sealing, state, until_published
from tests.support.processes.secret_keys import NUMBER_KEY
from tests.support.processes.service import Service, ServiceFactory

NUMBERS = Numbering(bytes.fromhex(NUMBER_KEY))


class Disaster(NamedTuple):
    """A database as it was at the time of its backup, and what came after.

    Attributes:
        restored: the backup, with the fence and the publication of the end.
        published: the numbers that were published at the end.
        answered: those that were answered, in all.
        checkpoints: published notes of before the backup and of the end.
    """

    restored: Database
    published: set[str]
    answered: set[str]
    checkpoints: list[str]


def issue(service: Service, count: int) -> set[str]:
    """Have numbers issued."""
    numbers = asyncio.run(load(service.port, count, patience=20)).numbers
    assert len(set(numbers)) == count
    return set(numbers)


def checkpoint(database: Database) -> str:
    return (database.publication / "public/checkpoint").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def history(service: ServiceFactory) -> Iterator[Disaster]:
    """At the backup 700 are sealed and 300 are not; then come 3,000 that are published, and 100 that are not."""
    database = CLUSTER.create()
    with service(database, WEB_CONCURRENCY="1") as running:
        answered = issue(running, 700)
        seal(database, 700)
        old = checkpoint(database)
        answered |= issue(running, 300)
    with backup(database) as restored:
        with service(database, initialise=False, WEB_CONCURRENCY="1") as running:
            answered |= issue(running, 3_000)
            seal(database, 4_000)
            published = set(answered)
            answered |= issue(running, 100)
        yield Disaster(restored, published, answered, [old, checkpoint(database)])
    CLUSTER.drop(database)


@pytest.fixture
def disaster(history: Disaster, tmp_path: Path) -> Iterator[Disaster]:
    """The same for each test, to do with as it likes."""
    with backup(history.restored) as restored:
        fence, publication = tmp_path / "fence", tmp_path / "published"
        shutil.copy(restored.fence, fence)
        shutil.copytree(restored.publication, publication)
        yield history._replace(restored=dataclasses.replace(restored, fence=fence, publication=publication))


@pytest.fixture
def empty(disaster: Disaster) -> Iterator[Disaster]:
    """The same, but there is no backup: only a new database that was migrated."""
    made = CLUSTER.create()
    fresh = dataclasses.replace(made, fence=disaster.restored.fence, publication=disaster.restored.publication)
    yield disaster._replace(restored=fresh)
    CLUSTER.drop(made)


def recovered(database: Database, *arguments: str, **settings: str) -> str:
    """What the command says, which succeeds."""
    done = command(database, "recover_ledger", "--yes", *arguments, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(database: Database, *arguments: str, **settings: str) -> str:
    """What the command says, which fails."""
    done = command(database, "recover_ledger", *arguments, **settings)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def run_here(database: Database) -> str:
    """The same, whatever it comes to."""
    done = command(database, "recover_ledger", "--yes")
    return done.stderr if done.returncode else done.stdout


def goes_on(disaster: Disaster, service: ServiceFactory) -> None:
    """Numbers are issued and sealed again, none for a second time; the log fits, and all that it ever signed."""
    database = disaster.restored
    with service(database, initialise=False, WEB_CONCURRENCY="2") as running:
        fresh = issue(running, 2_000)
        assert not disaster.answered & fresh
        seal(database, ledger.count(database.owner_url))
    log = naive_log.check(database)
    naive_log.check_published(database, log)
    for note in disaster.checkpoints:
        naive_log.check_checkpoint(note, log)
    verified = command(database, "verify_ledger")
    assert (verified.returncode, "Everything fits." in verified.stdout) == (0, True), verified


def test_a_restored_database_is_refused_and_says_which_command_helps(
    disaster: Disaster, service: ServiceFactory
) -> None:
    verified = command(disaster.restored, "verify_ledger")
    assert verified.returncode == 1
    assert "manage.py recover_ledger" in verified.stdout
    assert "manage.py recover_ledger" in command(disaster.restored, "init_allocator").stderr
    with service(disaster.restored, initialise=False, WEB_CONCURRENCY="1") as running:
        outcome = asyncio.run(load(running.port, 1, connections=1))
        assert [(each.status, each.document["type"]) for each in outcome.answers] == [
            (503, "/problems/restored-database")
        ]


def test_what_is_missing_is_said_first_and_nothing_is_changed(disaster: Disaster) -> None:
    before = state(disaster.restored)
    told = command(disaster.restored, "recover_ledger").stdout
    assert "The database's log has 700 leaves, 4000 were published; blocks " in told
    assert "With --yes this command would put back the leaves 700 to 3999, write off" in told
    assert (state(disaster.restored), ledger.count(disaster.restored.owner_url)) == (before, 1_000)


def test_every_published_number_is_there_again_and_the_log_goes_on(disaster: Disaster, service: ServiceFactory) -> None:
    told = recovered(disaster.restored)
    assert "Put back leaves 700 to 3999 of the published log; 3000 of their events were not in the database." in told
    assert "The root is the published one." in told
    assert set(ledger.numbers(disaster.restored.owner_url)) == disaster.published
    assert "Nothing is missing" in command(disaster.restored, "recover_ledger").stdout
    goes_on(disaster, service)


@pytest.mark.parametrize("grown", [10, 300], ids=["the last tile is wider", "the last tile is full"])
def test_a_copy_is_recovered_while_the_log_goes_on(
    database: Database, service: ServiceFactory, tmp_path: Path, grown: int
) -> None:
    """The bundle that the checkpoint's tree ended with is replaced by a wider one before it is read."""
    with service(database, WEB_CONCURRENCY="1") as running:
        issue(running, 10)
    with backup(database) as copy, service(database, initialise=False, WEB_CONCURRENCY="1") as running:
        issue(running, 20)
        size = ledger.count(database.owner_url)
        seal(database, size)
        seen, numbers = checkpoint(database), ledger.numbers(database.owner_url)
        issue(running, grown)
        seal(database, size + grown)
        publication = tmp_path / "published"
        shutil.copytree(database.publication, publication)
        (publication / "public/checkpoint").write_text(seen)
        assert "The root is the published one." in recovered(dataclasses.replace(copy, publication=publication))
        assert ledger.numbers(copy.owner_url) == numbers


def test_blocks_that_are_leased_while_a_copy_is_recovered_are_not_taken_for_a_fence_that_was_set_back(
    database: Database, service: ServiceFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service(database, WEB_CONCURRENCY="1") as running:
        issue(running, 10)
    with backup(database) as copy, service(database, initialise=False, WEB_CONCURRENCY="1") as running:

        class Busy(Folder):
            """A publication that has grown by more than a block whenever somebody looks at it."""

            def read_checkpoint(self) -> str | None:
                issue(running, BLOCK_SIZE + 1)
                seal(database, ledger.count(database.owner_url))
                return super().read_checkpoint()

        monkeypatch.setattr("ledger.runtime.place", lambda _: Busy(database.publication))
        assert "The root is the published one." in run_here(copy)
        assert ledger.numbers(copy.owner_url) == ledger.numbers(database.owner_url)


def test_a_new_database_gets_all_of_it_from_the_publication(empty: Disaster, service: ServiceFactory) -> None:
    told = recovered(empty.restored)
    assert "Put back leaves 0 to 3999 of the published log; 4000 of their events were not in the database." in told
    assert set(ledger.numbers(empty.restored.owner_url)) == empty.published
    goes_on(empty, service)


def test_answered_numbers_that_are_lost_are_ranges_of_serials_that_never_come_again(disaster: Disaster) -> None:
    told = recovered(disaster.restored)
    assert "numbers may have been answered and are lost; none of them comes again: serials " in told
    with psycopg.connect(disaster.restored.owner_url) as session:
        lost = {NUMBERS.decode(number).serial for number in disaster.answered - disaster.published}
        assert len(lost) == 100
        covered = (
            "SELECT count(*) FROM unnest(%s::bigint[]) AS s WHERE s <@ (SELECT lost FROM recovery WHERE kind = %s)"
        )
        assert session.execute(covered, [list(lost), "recovered"]).fetchone() == (100,)
        mark = msgspec.json.decode(disaster.restored.fence.read_bytes())
        assert session.execute("SELECT max(id) FROM number_block").fetchone() == (mark["highest_block"],)
        assert block_of(max(lost)) <= mark["highest_block"]
        here = "SELECT count(*) FROM issuance_event WHERE serial <@ (SELECT lost FROM recovery WHERE kind = %s)"
        assert session.execute(here, ["recovered"]).fetchone() == (0,), "what is there is not lost"


def test_verify_ledger_tells_what_was_recovered(disaster: Disaster) -> None:
    recovered(disaster.restored)
    seal(disaster.restored, 4_000)
    told = command(disaster.restored, "verify_ledger").stdout
    assert "Began to put back leaves 700 to 3999" in told
    assert "Put back leaves 700 to 3999 of the published log" in told
    assert "Wrote off blocks " in told


def bundles(database: Database) -> list[Path]:
    """The full bundles of the publication, in their order."""
    return sorted(file for file in (database.publication / "private/entries").rglob("*") if file.name.isdecimal())


def rewrite(file: Path, old: bytes, new: bytes) -> None:
    """Change what a bundle holds."""
    content = gzip.decompress(file.read_bytes())
    assert old in content
    file.write_bytes(gzip.compress(content.replace(old, new, 1)))


def test_a_bundle_that_is_gone_cut_off_or_altered_is_named_and_nothing_of_it_is_believed(empty: Disaster) -> None:
    victim = bundles(empty.restored)[5]
    whole = victim.read_bytes()
    line = gzip.decompress(whole).splitlines()[7]
    serial, entry = line.split(b" ", 1)

    def said() -> str:
        return refused(empty.restored)

    victim.unlink()
    assert "The bundle of leaves 1280 to 1535, private/entries/005 is gone. Put it back from a copy." in said()
    victim.write_bytes(whole[:1_000])
    assert "private/entries/005 is damaged" in said()
    victim.write_bytes(gzip.compress(b"\n".join(gzip.decompress(whole).splitlines()[:-1]) + b"\n"))
    assert "private/entries/005 has 255 entries, not 256" in said()
    victim.write_bytes(whole)
    rewrite(victim, b'"weight_band":', b'"weight_band":1')
    assert "The bundle of leaves 1280 to 1535 holds other entries than were signed" in said()
    victim.write_bytes(whole)
    rewrite(victim, line, b"%d %b" % (int(serial) + 1, entry))
    assert "the serial beside the entry was altered" in said()
    assert ledger.count(empty.restored.owner_url) == 0


def test_either_tiles_or_bundles_may_be_damaged_since_the_other_is_asked(empty: Disaster) -> None:
    shutil.rmtree(empty.restored.publication / "public/tile/0")
    assert "The root is the published one." in recovered(empty.restored)
    assert set(ledger.numbers(empty.restored.owner_url)) == empty.published


def test_what_fits_is_put_back_and_a_second_try_goes_on_there(empty: Disaster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.recovery._BUNDLES_AT_ONCE", 2)
    victim = bundles(empty.restored)[5]
    whole = victim.read_bytes()
    victim.unlink()
    said = run_here(empty.restored)
    assert "private/entries/005 is gone" in said
    assert state(empty.restored)["size"] == 1_024, "up to the last part that is whole"
    victim.write_bytes(whole)
    assert "Put back leaves 1024 to 3999 of the published log; 2976" in run_here(empty.restored)
    assert set(ledger.numbers(empty.restored.owner_url)) == empty.published


def test_a_fence_that_was_set_back_too_is_found_out(disaster: Disaster) -> None:
    fence = disaster.restored.fence
    mark = msgspec.json.decode(fence.read_bytes())
    fence.write_bytes(msgspec.json.encode(mark | {"highest_block": 0}))
    said = refused(disaster.restored, "--yes")
    assert "but the fence stands at 0: it was set back, too." in said
    assert ledger.count(disaster.restored.owner_url) == 1_000
    told = recovered(disaster.restored, "--above", "5000")
    assert " to 5000: leased, and not known any more." in told
    assert set(ledger.numbers(disaster.restored.owner_url)) == disaster.published


def test_a_lost_fence_is_replaced_by_a_block_that_somebody_vouches_for(
    disaster: Disaster, service: ServiceFactory
) -> None:
    disaster.restored.fence.unlink()
    assert "say above which block nothing can have been issued: --above." in refused(disaster.restored)
    recovered(disaster.restored, "--above", "5000")
    assert command(disaster.restored, "resolve_fence", "--yes").returncode == 0
    goes_on(disaster, service)


def test_another_services_database_is_refused(disaster: Disaster, service: ServiceFactory) -> None:
    other = CLUSTER.create()
    with service(other, WEB_CONCURRENCY="1") as running:
        issue(running, 1_000)
        seal(other, 1_000)
    mixed = dataclasses.replace(disaster.restored, publication=other.publication)
    assert "does not give the root that was signed" in refused(mixed)
    assert "belongs to another database" in refused(dataclasses.replace(disaster.restored, fence=other.fence))
    assert "--new-log" in refused(dataclasses.replace(disaster.restored, publication=Path("/nonexistent")))
    CLUSTER.drop(other)


def test_while_a_sealer_is_active_nothing_is_done(disaster: Disaster) -> None:
    recovered(disaster.restored)
    with sealing(disaster.restored) as active:
        assert eventually(lambda: active.tick() >= 0 and published(disaster.restored) == 4_000)
        assert "Nothing is missing" in command(disaster.restored, "recover_ledger").stdout, "to ask is free"
        assert "A sealer is active in this database." in refused(disaster.restored, "--yes")


REASON = "The bucket was deleted with all that was in it."
NEW = {"LEDGER_KEY": SignerKey.make("log.test/tracking-2").export()}
OLD_KEY = ("--old-key", str(SignerKey.parse(LEDGER_KEY).verifier))


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The settings of a new log."""
    return NEW | {"PUBLICATION": str(tmp_path / "elsewhere")}


def test_where_bundles_are_gone_a_new_log_begins_with_all_that_is_left(
    disaster: Disaster, elsewhere: dict[str, str], service: ServiceFactory
) -> None:
    database = disaster.restored
    for lost in (5, 9):
        bundles(database)[lost].unlink()
    assert "private/entries/005 is gone. Put it back from a copy. If it is gone for good, a new log can begin" in (
        refused(database)
    )
    arguments = ("--new-log", REASON, *OLD_KEY, "--old-publication", str(database.publication))
    told = command(database, "recover_ledger", *arguments, **elsewhere).stdout
    assert "end the log log.test/tracking for ever, and begin a new one with the 700 leaves that are here." in told
    assert ledger.count(database.owner_url) == 1_000
    told = recovered(database, *arguments, **elsewhere)
    assert f"Why: {REASON}" in told
    there = set(ledger.numbers(database.owner_url))
    assert there < disaster.published
    assert 3_400 <= len(there) <= 3_500, "two bundles of 256 are lost, of whose events the backup had some"

    moved = dataclasses.replace(database, publication=Path(elsewhere["PUBLICATION"]))
    with (
        service(moved, initialise=False, WEB_CONCURRENCY="1", **NEW) as running,
        Sealer(moved, LEDGER_KEY=NEW["LEDGER_KEY"]),
    ):
        assert not disaster.answered & issue(running, 500), "not even those that are lost come again"
        until_published(moved, len(there) + 500)
        proof = ask(running.port, f"/v1/tracking-numbers/{ledger.numbers(moved.owner_url)[0]}/proof")
    assert proof.status_code == 200
    assert "log.test/tracking-2" in proof.text, "an old leaf is proved under the new log's checkpoint"
    verified = command(moved, "verify_ledger", **NEW)
    assert (verified.returncode, "Everything fits." in verified.stdout) == (0, True), verified
    assert f"Why: {REASON}" in verified.stdout
    with psycopg.connect(moved.owner_url) as session:
        (kept,) = session.execute("SELECT note FROM recovery WHERE kind = 'new log'").fetchone() or (None,)
        assert kept == disaster.checkpoints[-1], "the last checkpoint of the old log stays"
        sizes = session.execute("SELECT size FROM checkpoint ORDER BY size").fetchall()
        assert sizes[0] <= (700,), "and so do those that the database had"


def test_the_lost_leaves_of_a_log_that_ended_count_as_lost_serials(
    disaster: Disaster, elsewhere: dict[str, str]
) -> None:
    shutil.rmtree(disaster.restored.publication / "private")
    recovered(disaster.restored, "--new-log", REASON, *OLD_KEY, **elsewhere)
    lost = [
        NUMBERS.decode(each).serial for each in disaster.answered - set(ledger.numbers(disaster.restored.owner_url))
    ]
    assert len(lost) == 3_100
    with psycopg.connect(disaster.restored.owner_url) as session:
        covered = "SELECT count(*) FROM unnest(%s::bigint[]) AS s WHERE s <@ (SELECT lost FROM recovery)"
        assert session.execute(covered, [lost]).fetchone() == (3_100,)


def test_the_key_of_a_log_that_ended_signs_nothing_more(disaster: Disaster, elsewhere: dict[str, str]) -> None:
    recovered(disaster.restored, "--new-log", REASON, *OLD_KEY, **elsewhere)
    assert "has ended, and LEDGER_KEY is its key" in refusal(disaster.restored, PUBLICATION=elsewhere["PUBLICATION"])
    said = refused(disaster.restored, PUBLICATION=elsewhere["PUBLICATION"])
    assert "has ended. Set LEDGER_KEY" in said


def test_a_new_log_has_another_name_an_empty_place_and_an_old_key(
    disaster: Disaster, elsewhere: dict[str, str]
) -> None:
    again = ("--new-log", REASON, "--yes")
    assert "Say with --old-key which log ends" in refused(disaster.restored, *again, **elsewhere)
    same = elsewhere | {"LEDGER_KEY": SignerKey.make("log.test/tracking").export()}
    assert "A new log needs a new name" in refused(disaster.restored, *again, *OLD_KEY, **same)
    there = NEW | {"PUBLICATION": str(disaster.restored.publication)}
    assert "has a checkpoint already" in refused(disaster.restored, *again, *OLD_KEY, **there)
    wrong = str(SignerKey.make("log.test/tracking").verifier)
    said = refused(disaster.restored, *again, "--old-key", wrong, **elsewhere)
    assert f"The database's log is not that of the key {wrong}" in said


def test_bundles_that_no_tile_vouches_for_are_not_believed(disaster: Disaster, elsewhere: dict[str, str]) -> None:
    publication = disaster.restored.publication
    bundles(disaster.restored)[5].unlink()
    shutil.rmtree(publication / "public/tile")
    arguments = ("--yes", "--new-log", REASON, *OLD_KEY, "--old-publication", str(publication))
    assert "none of its bundles can be believed" in refused(disaster.restored, *arguments, **elsewhere)
    assert ledger.count(disaster.restored.owner_url) == 1_000


def test_an_event_that_was_altered_before_it_was_sealed_shows(disaster: Disaster) -> None:
    with psycopg.connect(disaster.restored.owner_url) as session:
        session.execute("ALTER TABLE issuance_event DISABLE TRIGGER refuse_change")
        changed = session.execute("""
            UPDATE issuance_event SET weight_band = 10 - weight_band
             WHERE serial = (SELECT max(serial) FROM issuance_event) RETURNING number""").fetchone()
        session.execute("ALTER TABLE issuance_event ENABLE ALWAYS TRIGGER refuse_change")
        assert changed is not None
    said = refused(disaster.restored, "--yes")
    assert f"Number {changed[0]} (serial " in said
    assert "is in the database, and is not what was published of that serial" in said


def test_an_event_that_was_committed_and_never_published_follows_those_that_were(disaster: Disaster) -> None:
    spare = NUMBERS.encode(1_023, "MY", "ID")
    with psycopg.connect(disaster.restored.owner_url) as session:
        assert session.execute("SELECT max(serial) < 1020 FROM issuance_event WHERE serial < 1024").fetchone() == (
            True,
        )
        session.execute(
            """INSERT INTO issuance_event SELECT 1023, order_created_at, requested_at, principal, customer_key_id,
                      weight_band, request_id, customer_tag, %s, 'MY', 'ID' FROM issuance_event LIMIT 1""",
            [spare],
        )
    recovered(disaster.restored)
    seal(disaster.restored, 4_001)


def test_a_log_that_is_past_what_was_published_is_of_another_history(disaster: Disaster) -> None:
    with psycopg.connect(disaster.restored.owner_url) as session:
        session.execute("UPDATE block_cursor SET closed = true WHERE NOT closed")
    assert "it is of another history. Restore another backup." in refused(disaster.restored, "--yes")
    assert state(disaster.restored)["size"] == 700


def test_whoever_writes_to_the_publication_can_not_invent_an_issuance(empty: Disaster) -> None:
    victim = bundles(empty.restored)[5]
    rewrite(victim, b'"weight_band":', b'"weight_band":1')
    tile = empty.restored.publication / "public/tile/0/005"
    entries = [line.split(b" ", 1)[1] for line in gzip.decompress(victim.read_bytes()).splitlines()]
    tile.write_bytes(b"".join(merkle.leaf_hash(entry) for entry in entries))
    assert "does not give the root that was signed" in refused(empty.restored, "--yes")
    assert ledger.count(empty.restored.owner_url) == 0


def test_a_night_between_restore_and_recovery_is_not_held_against_what_is_put_back(disaster: Disaster) -> None:
    with psycopg.connect(disaster.restored.owner_url) as session:  # as of a standby that had leases, and no events yet
        session.execute("INSERT INTO number_block (id, writer) SELECT max(id) + 1, 7 FROM number_block")
    assert night(disaster.restored) == []
    recovered(disaster.restored)
    assert night(disaster.restored) == []
    assert nights(disaster.restored)[-1].sums.issued == 4_000
    outcome = account(disaster.restored)
    assert (outcome.code, outcome.sums.issued) == (0, 4_000)
