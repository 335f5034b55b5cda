"""The fence: a database that was set back refuses to issue, and says what to do; so does one without its fence."""

import asyncio
import dataclasses
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from uuid_utils import uuid7

from core.embedded import postgres
from issuance.domain.number import Numbering
from issuance.fence import FileFence, Mark
from ledger.domain.serial import block_of
from tests.conftest import Length
from tests.plugin import Cluster, Database, HeardServer
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.own_cluster import OwnCluster
from tests.support.drills.disaster import lease
from tests.support.processes.commands import command, manage
from tests.support.processes.secret_keys import key
from tests.support.processes.service import Service, ServiceFactory

SOME_THOUSANDS = 3000
NUMBERS = Numbering(bytes.fromhex(os.environ["NUMBER_KEY"]))


def answer(service: Service) -> tuple[int, str]:
    """Status and problem type of one request for a number."""
    outcome = asyncio.run(load(service.port, 1, connections=1))
    return outcome.answers[0].status, outcome.answers[0].document.get("type", "")


@pytest.fixture
def primary() -> Iterator[tuple[Cluster, Database]]:
    """A PostgreSQL of its own, since this one is copied."""
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        cluster = OwnCluster(Path(folder) / "a")
        yield cluster, cluster.create()
        cluster.server.stop()


def test_a_database_restored_from_a_backup_refuses_until_somebody_has_recovered_it(
    primary: tuple[Cluster, Database], service: ServiceFactory, length: Length
) -> None:
    cluster, database = primary
    some = length(1_100, 3_000)  # more than a block
    before = service(database, WEB_CONCURRENCY="1")
    assert len(asyncio.run(load(before.port, 200)).numbers) == 200
    backup = cluster.folder / "restored"
    copy = [str(postgres.binaries() / "pg_basebackup"), "--pgdata", str(backup / "data"), "--checkpoint=fast"]
    subprocess.run([*copy, "--dbname", cluster.server.url()], check=True)
    lease(database, SOME_THOUSANDS)
    used_since = set(asyncio.run(load(before.port, some)).numbers)
    before.stop()
    cluster.server.stop()

    with HeardServer(backup, durable=False) as restored_server:
        restored = database.on(restored_server)
        refused = command(restored, "init_allocator")
        assert refused.returncode == 1
        assert "restored to an earlier state" in refused.stderr
        assert "manage.py recover_ledger" in refused.stderr

        after = service(restored, initialise=False, WEB_CONCURRENCY="1")
        assert answer(after) == (503, "/problems/restored-database")
        events = ledger.count(restored.owner_url)

        assert command(restored, "resolve_fence").returncode == 1
        told = command(restored, "recover_ledger")
        assert told.returncode == 0
        assert "With --yes this command would write off blocks " in told.stdout
        assert answer(after)[0] == 503, "to be told changes nothing"
        assert ledger.count(restored.owner_url) == events

        assert command(restored, "recover_ledger", "--yes").returncode == 0
        fresh = asyncio.run(load(after.port, some, patience=60)).numbers
        assert len(fresh) == some
        assert not used_since & set(fresh), "a number of before the restore came again"
        high = msgspec.json.decode(database.fence.read_bytes(), type=Mark).highest_block
        assert min(block_of(NUMBERS.decode(number).serial) for number in fresh) > SOME_THOUSANDS
        assert high > SOME_THOUSANDS
        after.stop()


def test_two_copies_of_a_database_that_share_a_fence_cannot_lease_the_same_block(tmp_path: Path) -> None:
    fence = FileFence(tmp_path / "fence")
    identity = (str(uuid7()), 0, NUMBERS.fingerprint)
    fence.create(Mark(*identity, -1))
    fence.advance(Mark(*identity, 9), 5)
    with pytest.raises(Exception, match="block 9, so block 9 was leased before"):
        fence.advance(Mark(*identity, 12), 9)
    assert fence.read() == Mark(*identity, 9)
    fence.advance(Mark(*identity, 12), 10)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"NUMBER_KEY": key("another")}, "Correct SHARD or NUMBER_KEY"),
        ({"SHARD": "3"}, "Correct SHARD or NUMBER_KEY"),
        ({"FENCE": "{folder}/nowhere"}, "there is no fence at"),
        ({"FENCE": "{folder}/damaged"}, "can't be read"),
        ({"FENCE": "{folder}/foreign"}, "belongs to another database"),
    ],
    ids=["another key", "another shard", "no fence", "a damaged fence", "another database's fence"],
)
def test_a_side_that_does_not_agree_keeps_the_service_from_issuing(
    database: Database, service: ServiceFactory, tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    manage(database, "init_allocator")
    (tmp_path / "damaged").write_bytes(database.fence.read_bytes()[:-5])
    foreign = Mark(str(uuid7()), 0, NUMBERS.fingerprint, 7)
    (tmp_path / "foreign").write_bytes(msgspec.json.encode(foreign))
    wrong = {name: value.format(folder=tmp_path) for name, value in settings.items()}

    refused = command(database, "init_allocator", **wrong)
    assert refused.returncode == 1
    assert sentence in refused.stderr

    running = service(database, initialise=False, WEB_CONCURRENCY="1", **wrong)
    assert answer(running) == (503, "/problems/issuing-refused")
    running.stop()


def test_a_lost_fence_is_made_anew_only_when_somebody_says_so(
    database: Database, service: ServiceFactory, tmp_path: Path
) -> None:
    manage(database, "init_allocator")
    elsewhere = {"FENCE": str(tmp_path / "fence")}
    assert "do so only if this database was never set back" in command(database, "resolve_fence", **elsewhere).stdout
    assert not (tmp_path / "fence").exists()
    assert command(database, "resolve_fence", "--yes", **elsewhere).returncode == 0
    running = service(database, initialise=False, WEB_CONCURRENCY="1", **elsewhere)
    assert answer(running)[0] == 200
    running.stop()


def test_a_fence_that_cannot_be_written_stops_issuing_and_nothing_is_lost(
    database: Database, service: ServiceFactory
) -> None:
    running = service(database, WEB_CONCURRENCY="1")
    assert answer(running)[0] == 200
    events = ledger.count(database.owner_url)
    obstacle = database.fence.with_name(database.fence.name + ".new")
    obstacle.mkdir()
    try:
        outcome = asyncio.run(load(running.port, 3000, connections=8))
        assert {problem.document["type"] for problem in outcome.refused} == {"/problems/issuing-refused"}
        assert ledger.count(database.owner_url) - events == len(outcome.numbers)
    finally:
        obstacle.rmdir()
    assert len(asyncio.run(load(running.port, 100, patience=60)).numbers) == 100
    running.stop()


def test_a_new_database_takes_over_a_used_fence_only_when_somebody_says_so(
    primary: tuple[Cluster, Database], service: ServiceFactory, length: Length
) -> None:
    cluster, database = primary
    some = length(1_100, 2_000)  # more than a block
    used = service(database, WEB_CONCURRENCY="1")
    numbers = set(asyncio.run(load(used.port, some)).numbers)
    used.stop()
    empty = dataclasses.replace(cluster.create(), fence=database.fence)

    refused = command(empty, "init_allocator")
    assert refused.returncode == 1
    assert "the database knows of no allocator" in refused.stderr
    assert "take the fence's allocator into this database" in command(empty, "recover_ledger").stdout
    assert command(empty, "recover_ledger", "--yes").returncode == 0

    running = service(empty, initialise=False, WEB_CONCURRENCY="1")
    fresh = asyncio.run(load(running.port, some, patience=60)).numbers
    assert len(fresh) == some
    assert not numbers & set(fresh)
    running.stop()
