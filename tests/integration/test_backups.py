"""What archives the log and takes backups: whole pieces, none over another, and as many as the kept ones need."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logs import Heard
from tests.plugin import Cluster, HeardServer
from tests.support.database import ledger, physical_backups
from tests.support.processes.proc import eventually

NAME = "000000010000000000000007"
CONTENT = b"log" * 10_000


class Archiving:
    """A server that archives its log, and a table to write to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backups = folder / "backups"
        self.server = HeardServer(folder / "a")
        self.cluster = Cluster(folder, self.server)

    def write(self, text: str) -> None:
        """Commit something."""
        with ledger.reading(self.server.url()) as session:
            session.execute("CREATE TABLE IF NOT EXISTS written (text text, at timestamptz DEFAULT clock_timestamp())")
            session.execute("INSERT INTO written VALUES (%s)", [text])

    def back_up(self) -> Path:
        return physical_backups.base_backup(self.server, self.backups)

    def written(self, server: HeardServer) -> list[str]:
        with ledger.reading(server.url()) as session:
            return [text for (text,) in session.execute("SELECT text FROM written ORDER BY at")]

    @property
    def pieces(self) -> list[str]:
        """What is archived of the log."""
        return sorted(path.name for path in (self.backups / "wal").iterdir())


@pytest.fixture(scope="module")
def archiving() -> Iterator[Archiving]:
    with tempfile.TemporaryDirectory(prefix="backups-") as folder:
        Path(folder).chmod(0o755)
        made = Archiving(Path(folder))
        made.server.start()
        physical_backups.archive_into(made.server, made.backups)
        yield made
        made.server.stop()


def archive(folder: Path, source: Path, name: str = NAME) -> "subprocess.CompletedProcess[bytes]":
    """Have one file archived."""
    return subprocess.run(["sh", str(physical_backups.ARCHIVE_WAL), str(folder), str(source), name], check=False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "segment"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "wal"
    made.mkdir()
    return made


def test_what_is_archived_already_may_be_archived_again(folder: Path, source: Path) -> None:
    """The server may have died before it was told."""
    assert archive(folder, source).returncode == 0
    assert archive(folder, source).returncode == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {NAME: CONTENT}


def test_nothing_is_archived_over_something_else(folder: Path, source: Path) -> None:
    assert archive(folder, source).returncode == 0
    source.write_bytes(b"of another cluster")
    assert archive(folder, source).returncode == 1
    assert (folder / NAME).read_bytes() == CONTENT


def test_what_was_begun_and_not_ended_is_no_archived_piece(folder: Path, source: Path) -> None:
    (folder / f".{NAME}.new").write_bytes(CONTENT[:100])
    assert archive(folder, source).returncode == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {NAME: CONTENT}


def test_a_folder_that_is_not_mounted_is_not_made(tmp_path: Path, source: Path) -> None:
    assert archive(tmp_path / "nowhere", source).returncode == 1
    assert not (tmp_path / "nowhere").exists()


def test_an_archive_that_can_not_be_written_costs_nothing_and_is_caught_up_with(archiving: Archiving) -> None:
    wal = archiving.backups / "wal"
    away = wal.rename(archiving.backups / "away")
    archiving.write("while the archive was away")
    with ledger.reading(archiving.server.url()) as session:
        (name,) = session.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone() or ("",)
        failed = "SELECT failed_count > 0 FROM pg_stat_archiver"
        assert eventually(lambda: session.execute(failed).fetchone() == (True,))
    away.rename(wal)
    archiving.write("when it was there again")
    assert eventually((wal / name).exists, 200)  # the server may pause for a minute


def test_a_database_is_restored_as_it_was_at_a_time(archiving: Archiving) -> None:
    archiving.write("before")
    backup = archiving.back_up()
    archiving.write("in time")
    with ledger.reading(archiving.server.url()) as session:
        (until,) = session.execute("SELECT clock_timestamp()::text").fetchone() or ("",)
    archiving.write("too late")
    physical_backups.archived(archiving.server, archiving.backups)
    wal = archiving.backups / "wal"
    with physical_backups.restored(archiving.folder / "then", backup, wal=wal, until=until) as server:
        assert eventually(lambda: not _in_recovery(server))
        assert archiving.written(server)[-2:] == ["before", "in time"]
    with physical_backups.restored(archiving.folder / "now", backup, wal=wal) as server:
        assert eventually(lambda: not _in_recovery(server))
        assert archiving.written(server)[-1] == "too late"


def test_backups_that_are_too_old_go_and_so_does_the_log_that_only_they_need(archiving: Archiving) -> None:
    base = archiving.backups / "base"
    first = archiving.back_up()
    needed_by_it = archiving.pieces
    (base / "20200101T000000Z.new").mkdir()
    for text in ("one", "two"):
        archiving.write(text)
        physical_backups.archived(archiving.server, archiving.backups)
        newest = archiving.back_up()
    left = sorted(path.name for path in base.iterdir())
    assert len(left) == 2
    assert first.name not in left
    assert newest.name in left
    assert needed_by_it[0] not in archiving.pieces
    wal = archiving.backups / "wal"
    with physical_backups.restored(archiving.folder / "oldest", base / left[0], wal=wal) as server:
        assert eventually(lambda: not _in_recovery(server))
        assert archiving.written(server)[-1] == "two", "the oldest that is kept has all of the log after it"


@pytest.mark.parametrize(("arguments", "sentence"), [((), "say where to"), (("{}", "0"), "0 is not how many")])
def test_a_backup_that_is_asked_for_wrongly_is_not_taken(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str, heard: Heard
) -> None:
    given = [argument.format(tmp_path) for argument in arguments]
    assert subprocess.run(["sh", str(physical_backups.BASE_BACKUP), *given], check=False).returncode == 1
    assert sentence in heard.read()
    assert not list(tmp_path.iterdir())


def test_a_backup_where_no_log_is_archived_is_not_taken(tmp_path: Path) -> None:
    assert subprocess.run(["sh", str(physical_backups.BASE_BACKUP), str(tmp_path)], check=False).returncode == 1
    assert not list(tmp_path.iterdir())


def _in_recovery(server: HeardServer) -> bool:
    with ledger.reading(server.url()) as session:
        return session.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
