"""Runs a private PostgreSQL: one folder, one unix socket, no network, gone when the process that started it goes.

The folder belongs to the server's user, mode 0700, and holds the socket, ``data/`` (the cluster) and ``log``.
"""

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from core.embedded import child, postgres
from core.embedded.postgres import PostgresError
from core.embedded.private import PrivateServer

START_SECONDS: Final = 300.0  # recovery after a crash reads up to max_wal_size of log
LEAVING_SECONDS: Final = 20.0
STOP_SECONDS: Final = 60.0

SETTINGS: Final = {
    "listen_addresses": "",
    "port": str(postgres.PORT),
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",  # each checkpoint makes the next change of a page log the whole page
    "checkpoint_timeout": "15min",
    "wal_compression": "on",  # by pglz: the wheel is built without lz4
    "log_min_messages": "warning",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
FAST_AND_LOSE: Final = {"fsync": "off", "full_page_writes": "off"}
"""For tests, which throw the cluster away: a crash of the machine may damage it."""


class Server(PrivateServer):
    """One PostgreSQL. Unless ``durable`` is false, what was committed survives every way to die."""

    name = "PostgreSQL"
    failure = PostgresError

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        """Choose the folder; nothing is made or started yet.

        Raises:
            PostgresError: the folder's path is too long for a socket.
        """
        super().__init__(home, home.absolute() / f".s.PGSQL.{postgres.PORT}")
        self.data = self.home / "data"
        self.durable = durable

    def url(self, *, user: str = postgres.OWNER, database: str = "postgres") -> str:
        """The libpq address of one of its databases."""
        return postgres.url(self.home, user=user, database=database)

    def start(self) -> None:
        """Make the cluster if there is none, start the server and wait until it answers.

        Raises:
            PostgresError: it does not start; the message has the end of its log.
        """
        if self.running:
            return
        user = self._take_home()
        if not self.data.exists():
            self._make_cluster(user)
        patience = time.monotonic() + LEAVING_SECONDS
        while True:
            left_over = (self.data / "postmaster.pid").exists()
            self._launch(user)
            if self._wait_until_ready():
                return
            self.stop()
            # A server whose parent was killed may still be on its way out, and keeps the folder until it is.
            if not left_over or time.monotonic() > patience:
                raise PostgresError(f"PostgreSQL does not start in {self.home}. Its log ends:\n{self._log_end()}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop in order: sessions end, a checkpoint is written. Stopping twice is fine."""
        if self._process is None:
            return
        for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
            self._process.send_signal(how)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            break
        self._process = None

    def _take_home(self) -> tuple[int, int] | None:
        """Make the folder, and say whose it is if the server must run as somebody else than we are: (uid, gid)."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.geteuid() != 0:
            return None
        found = self.home.stat()
        user = (found.st_uid, found.st_gid) if found.st_uid != 0 else unprivileged_user()
        for path in (self.home, *self.home.rglob("*")):  # a copy that root made is root's until here
            if path.lstat().st_uid != user[0]:
                os.chown(path, *user, follow_symlinks=False)
        return user

    def _make_cluster(self, user: tuple[int, int] | None) -> None:
        """Run initdb under another name first, so that one that was interrupted leaves no half of a cluster."""
        new = self.home / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        arguments = ["-D", str(new), "-U", postgres.OWNER, "--auth=trust", "--encoding=UTF8", "--locale=C"]
        # Trust: the folder's mode is what keeps others out, and a password would add nothing to it.
        arguments += ["--data-checksums", *([] if self.durable else ["--no-sync"])]
        if self._spawn("initdb", arguments, user, signal.SIGKILL).wait() != 0:
            raise PostgresError(f"A new PostgreSQL cannot be made in {self.home}:\n{self._log_end()}")
        new.rename(self.data)

    def _launch(self, user: tuple[int, int] | None) -> None:
        settings = SETTINGS | {"unix_socket_directories": str(self.home)} | ({} if self.durable else FAST_AND_LOSE)
        arguments = ["-D", str(self.data), *(f"--{name}={value}" for name, value in settings.items())]
        # SIGINT is PostgreSQL's fast shutdown: when we are killed, it still stops in order.
        self._process = self._spawn("postgres", arguments, user, signal.SIGINT)

    def _spawn(
        self, program: str, arguments: list[str], user: tuple[int, int] | None, end: signal.Signals
    ) -> subprocess.Popen[bytes]:
        command = child.command([str(postgres.binaries() / program), *arguments], signal=end, user=user)
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own programs and arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # the terminal's Ctrl-C is for us: it stops last
            )

    def _wait_until_ready(self) -> bool:
        """Read the server's own status file, as pg_ctl does: only there is it sure that it is *this* server."""
        deadline = time.monotonic() + START_SECONDS
        while self.running and time.monotonic() < deadline:
            try:
                lines = (self.data / "postmaster.pid").read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if lines and lines[0] == str(self.pid) and lines[-1].strip() == "ready":
                return True
            time.sleep(0.02)
        return False


def _environment() -> dict[str, str]:
    """What the shell has, passed on unread, but for what would change the server: a PG… variable, a language."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def unprivileged_user() -> tuple[int, int]:
    """The uid and gid that PostgreSQL runs under when we are root: it refuses root, and initdb a uid without a name.

    Raises:
        PostgresError: the machine has neither of the users.
    """
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise PostgresError("PostgreSQL refuses to run as root, and there is no user `nobody`. Run this as another user.")
