"""The monthly drill: it restores a backup beside a service under load, says what it came to, and leaves nothing."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.embedded.process import Process
from ledger.publication import CHECKPOINT
from tests.conftest import Length
from tests.logs import LOGS
from tests.plugin import ROOT, Cluster, Database
from tests.support.clients.client_crowd import Crowd
from tests.support.database import ledger, physical_backups
from tests.support.database.own_cluster import OwnCluster
from tests.support.log import naive_log
from tests.support.log.checker import Checker, check_checkpoints
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published
from tests.support.processes.service import ServiceFactory

DRILL = (sys.executable, "-m", "scripts.restore_drill")


class Loaded:
    """A service under light load, its database's server, and the folder of its backups."""

    def __init__(self, cluster: Cluster, database: Database, crowd: Crowd, backups: Path, scratch: Path) -> None:
        self.cluster, self.database, self.crowd = cluster, database, crowd
        self.backups, self.scratch = backups, scratch

    def drill(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run one; what it wrote is looked at as any log is."""
        environment = {**os.environ, **self.database.settings}
        command = [*DRILL, "--scratch", self.scratch, *arguments]
        done = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True)
        LOGS.take("commands", done.stdout + done.stderr)
        return done

    def grows(self, leaves: int) -> None:
        """Return once so many more leaves are published."""
        before = published(self.database)
        assert eventually(lambda: published(self.database) > before + leaves)


@pytest.fixture(scope="module")
def loaded(service: ServiceFactory, length: Length) -> Iterator[Loaded]:
    with tempfile.TemporaryDirectory(prefix="drill-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        cluster = OwnCluster(folder / "a", durable=True)
        stack.callback(cluster.server.stop)
        database = cluster.create()
        physical_backups.archive_into(cluster.server, folder / "backups", seconds=1)
        scratch = folder / "scratch"
        scratch.mkdir()
        running = service(database, WEB_CONCURRENCY="1")
        stack.enter_context(Sealer(database))
        crowd = stack.enter_context(Crowd(running.port, folder, 7, pause=length(0.08, 0.02)))
        made = Loaded(cluster, database, crowd, folder / "backups", scratch)
        made.grows(length(100, 200))
        yield made
        assert crowd.stop()
        running.stop()


def figure(said: str, pattern: str) -> int:
    """The number that a pattern's group finds in what the drill said."""
    found = re.search(pattern, said)
    assert found, said
    return int(found[1].replace(",", ""))


def test_a_fresh_backup_is_restored_and_what_would_be_lost_is_told(loaded: Loaded) -> None:
    events = ledger.count(loaded.database.owner_url)
    done = loaded.drill()
    assert done.returncode == 0, done.stdout + done.stderr
    recovered = figure(done.stdout, r"PostgreSQL recovered it in [\d.]+ s: ([\d,]+) events")
    put_back = figure(done.stdout, r"recover_ledger put back ([\d,]+) events")
    assert recovered >= events
    assert figure(done.stdout, r"In all: ([\d,]+) events") == recovered + put_back
    assert put_back > 0, "the service went on meanwhile, and what it published is on its copy"
    assert figure(done.stdout, r"not published, (\d+) at most \(the worst of 20 looks") < recovered
    assert not list(loaded.scratch.iterdir())


def test_an_older_backup_is_restored_with_the_archived_log_and_what_was_published_since(
    loaded: Loaded, length: Length
) -> None:
    backup = physical_backups.base_backup(loaded.cluster.server, loaded.backups)
    loaded.grows(length(50, 200))
    events = ledger.count(loaded.database.owner_url)
    physical_backups.archived(loaded.cluster.server, loaded.backups)
    loaded.grows(length(50, 200))
    files = sorted(path.name for path in backup.rglob("*"))
    done = loaded.drill("--backup", backup, "--wal", loaded.backups / "wal")
    assert done.returncode == 0, done.stdout + done.stderr
    assert figure(done.stdout, r"PostgreSQL recovered it in [\d.]+ s: ([\d,]+) events") >= events
    assert sorted(path.name for path in backup.rglob("*")) == files, "the backup stays as it is"


def test_a_piece_of_the_archived_log_that_is_missing_is_noticed(loaded: Loaded, length: Length) -> None:
    backup = physical_backups.base_backup(loaded.cluster.server, loaded.backups)
    for _ in range(4):
        loaded.grows(length(5, 20))
        physical_backups.archived(loaded.cluster.server, loaded.backups)
    wal = loaded.backups / "wal"
    first = re.search(r"file ([0-9A-F]{24})", (backup / "backup_label").read_text())
    assert first
    whole = sorted(path for path in wal.iterdir() if len(path.name) == 24 and path.name > first[1])
    gone = whole[-3]
    kept = gone.rename(loaded.backups / "kept")
    try:
        done = loaded.drill("--backup", backup, "--wal", wal)
    finally:
        kept.rename(gone)
    assert done.returncode == 1
    assert "is missing, or can't be read" in done.stderr
    assert not list(loaded.scratch.iterdir())


def test_a_damaged_backup_is_noticed(loaded: Loaded) -> None:
    backup = physical_backups.base_backup(loaded.cluster.server, loaded.backups)
    table = next(path for path in sorted((backup / "base").rglob("*")) if path.is_file() and path.stat().st_size > 0)
    table.write_bytes(b"\0" * table.stat().st_size)
    done = loaded.drill("--backup", backup)
    assert done.returncode == 1
    assert "pg_verifybackup failed" in done.stderr
    assert not list(loaded.scratch.iterdir())


def test_a_drill_that_is_ended_leaves_nothing(loaded: Loaded) -> None:
    command = [*DRILL, "--scratch", str(loaded.scratch)]
    environment = {**os.environ, **loaded.database.settings}
    with Process("the drill", command, environment=environment, folder=ROOT) as drill:
        assert eventually(lambda: any(loaded.scratch.glob("*/log")))
        os.kill(drill.pid, signal.SIGTERM)
        assert drill.wait() == 130
    assert not list(loaded.scratch.iterdir())


def test_the_service_has_noticed_none_of_it(loaded: Loaded) -> None:
    seen = [*loaded.crowd.seen(), (loaded.database.publication / CHECKPOINT).read_text()]
    checker = Checker(loaded.database.owner_url)
    lines = loaded.crowd.unchecked()
    assert all(line.number for line in lines)
    checker.take(lines)
    assert not checker.faults
    assert not check_checkpoints(seen, loaded.database.owner_url, naive_log.KEY)
