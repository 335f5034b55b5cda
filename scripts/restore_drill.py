"""``python -m scripts.restore_drill``: restores a backup beside the running service, and says what it came to.

For once a month. It takes a base backup, or one that it is given with its archived log, starts it as a server of its
own in a folder that is removed in the end, on a socket that nobody else reaches, and there runs what an operator would
run after a disaster. It has the service's settings: fence and publication are read, and the service's database is asked
what would be lost if it were destroyed now. Nothing of these is changed. docs/operations.md says when and how.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import quote

import django
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.embedded import postgres, secrets
from core.embedded.postgres import PostgresError
from core.embedded.server import Server
from core.env import Env, SettingsError

ROOT: Final = Path(__file__).resolve().parents[1]
_SPARE: Final = 1.3
"""Room for a copy, by its size: recovery writes, too."""
_SEGMENT, _TIMELINE = 24, 8
"""Characters of the name of a piece of the log, and of the timeline that it begins with; the rest counts up."""
# Alone decides who gets in: the socket is in a folder that only its server's user may enter.
_LET_IN: Final = "local all all trust\n"
_ADDRESSES: Final = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_SEALER_URL", "DATABASE_REPORTER_URL")
_COUNTED: Final = "SELECT count(*), max(requested_at) FROM issuance_event"


class DrillError(Exception):
    """The drill can't go on, or failed; the message says what to do."""


class Held(NamedTuple):
    """What a database holds: events, and when the newest of them was requested."""

    events: int
    newest: datetime | None


class Scratch(Server):
    """The server of a restored cluster: it recovers for as long as it takes, archives nothing, and hears no network."""

    def prepare(self, wal: Path | None, until: str | None) -> None:
        """Give it settings of its own in place of those that came with the backup."""
        lines = ["archive_mode = off", "hot_standby = off"]  # so it needs no more memory than it takes
        if wal is not None:
            (self.data / "recovery.signal").touch()
            lines += [f'restore_command = \'cp "{wal}/%f" "%p"\'', "recovery_target_action = promote"]
            lines += [f"recovery_target_time = '{until}'"] if until else []
        (self.data / "standby.signal").unlink(missing_ok=True)
        (self.data / "postgresql.auto.conf").write_text("")
        (self.data / "postgresql.conf").write_text("\n".join([*lines, ""]))
        (self.data / "pg_hba.conf").write_text(_LET_IN)
        (self.data / "pg_ident.conf").write_text("")

    def recover(self) -> None:
        """Start it, and wait until it has recovered.

        Raises:
            DrillError: it ended instead.
        """
        self._launch(self._take_home())
        while not self._wait_until_ready():
            if not self.running:
                raise DrillError(f"The backup can't be started. PostgreSQL's log ends:\n{self._log_end()}")


class Drill:
    """One drill in a folder of its own."""

    def __init__(self, folder: Path, env: Env, owner_url: str) -> None:
        """Choose the folder, which is removed by whoever made it; ``owner_url`` is the service's database."""
        self._env = env
        self._owner_url = owner_url
        self._folder = folder
        self.server = Scratch(folder)

    def take(self) -> None:
        """Take a base backup of the service's cluster."""
        given = conninfo_to_dict(self._owner_url)
        password = given.pop("password", None)
        secret = {} if password is None else {"PGPASSWORD": str(password)}
        copy = ["--pgdata", str(self.server.data), "--checkpoint=fast", "--no-password"]
        with _timed() as seconds:
            # Not by the command line, which everybody on the machine can read.
            _run("pg_basebackup", *copy, "--dbname", make_conninfo("", **given), **secret)
        _say(f"A base backup, {_size(self.server.data) / 1e6:,.0f} MB, was taken in {seconds():.1f} s.")

    def copy(self, backup: Path, wal: Path | None) -> None:
        """Verify a backup, and copy it; it stays as it is."""
        if not (backup / "backup_manifest").is_file() or (wal is not None and not wal.is_dir()):
            raise DrillError(f"{backup} is no base backup with its manifest, or {wal} is no folder. Give others.")
        needed, free = _SPARE * _size(backup), shutil.disk_usage(self._folder).free
        if needed > free:
            raise DrillError(
                f"{self._folder} has room for {free / 1e9:.1f} GB, and {needed / 1e9:.1f} GB are needed. Give another "
                "folder: --scratch"
            )
        with _timed() as seconds:
            _run("pg_verifybackup", "--quiet", str(backup))
            shutil.copytree(backup, self.server.data)
        _say(f"{backup} is what was backed up; verified and copied in {seconds():.1f} s.")

    def start(self, wal: Path | None, until: str | None) -> Held:
        """Have PostgreSQL recover it; what it holds then."""
        self.server.prepare(wal, until)
        # As they are now: the service goes on, and archives more.
        pieces = () if wal is None else (file.name for file in wal.iterdir() if len(file.name) == _SEGMENT)
        newest = max(pieces, default="")
        with _timed() as seconds:
            self.server.recover()
            if until is None:
                self._check_end(newest)
        held = self.held()
        _say(f"PostgreSQL recovered it in {seconds():.1f} s: {_told(held)}")
        return held

    def recover(self, before: Held) -> None:
        """Put back what was published, as after a disaster."""
        with _timed() as seconds:
            self._manage("recover_ledger", "--yes")
        after = self.held()
        put_back = after.events - before.events
        _say(f"recover_ledger put back {put_back:,} events in {seconds():.1f} s: {_told(after)}")

    def verify(self) -> None:
        """Recompute the log."""
        with _timed() as seconds:
            self._manage("verify_ledger", "--database-only")
        _say(f"verify_ledger passed in {seconds():.1f} s.")

    def held(self) -> Held:
        """What the restored database holds."""
        with psycopg.connect(self._url()) as session:
            return Held(*(session.execute(_COUNTED).fetchone() or (0, None)))

    def _url(self) -> str:
        """The restored database, as the login that the service's is owned by: its logins came with the backup."""
        given = conninfo_to_dict(self._owner_url)
        user, name = given.get("user") or postgres.OWNER, given.get("dbname") or given.get("user")
        return self.server.url(user=quote(str(user), safe=""), database=quote(str(name), safe=""))

    def _manage(self, *arguments: str) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        environment = {**os.environ, **_given(self._env), **dict.fromkeys(_ADDRESSES, self._url())}
        done = subprocess.run(  # noqa: S603 - our own
            command, env=environment, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True
        )
        for line in done.stdout.splitlines():
            _say(f"    {line}")  # of the copy, not of the service's database
        if done.returncode != 0:
            raise DrillError(f"manage.py {arguments[0]} ended with {done.returncode}; what it said is above.")

    def _check_end(self, newest: str) -> None:
        """See that no piece of the archived log is missing: recovery ends without a word where it finds none."""
        with psycopg.connect(self._url()) as session:
            row = session.execute("SELECT pg_walfile_name(pg_last_wal_replay_lsn())").fetchone()
        reached = "" if row is None or row[0] is None else str(row[0])
        if reached[_TIMELINE:] < newest[_TIMELINE:]:
            raise DrillError(
                f"The archived log goes on to {newest}, but recovery came to {reached or 'none of it'} only: what "
                "follows that is missing, or can't be read by PostgreSQL's user."
            )


def main() -> int:
    """Read the command line, and run the drill; the exit code is 0 if all of it passed."""
    parser = argparse.ArgumentParser(prog="python -m scripts.restore_drill", description="Restore a backup for trial.")
    parser.add_argument(
        "--backup", type=Path, help="a base backup, as deploy/base-backup.sh takes it (default: take one)"
    )
    parser.add_argument("--wal", type=Path, help="the folder of the log that was archived since")
    parser.add_argument("--until", help="stop there in the archived log: a time, as PostgreSQL reads it")
    parser.add_argument("--scratch", type=Path, help="a folder with room for a copy (default: where TMPDIR says)")
    options = parser.parse_args()
    if (options.wal and not options.backup) or (options.until and not options.wal):
        parser.error("--wal goes with --backup, and --until with --wal.")
    signal.signal(signal.SIGTERM, _stop)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
    try:
        folder = Path(tempfile.mkdtemp(prefix="restore-drill-", dir=options.scratch))
    except OSError as error:
        print(f"{error.filename} can't be made: {error.strerror}. Give another folder: --scratch", file=sys.stderr)
        return 1
    try:
        django.setup()
        # They read the settings, and say what is wrong with them.
        from django.conf import settings  # noqa: PLC0415

        from scripts import unpublished  # noqa: PLC0415

        drill = Drill(folder, settings.ENV, settings.DATABASE_OWNER_URL)
        try:
            _run_through(drill, options)
        finally:
            drill.server.stop()
        _say(unpublished.told(settings.ENV, settings.DATABASE_URL))
    except (DrillError, PostgresError, SettingsError, psycopg.Error, OSError) as error:
        print(f"The drill failed: {str(error).strip()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _run_through(drill: Drill, options: argparse.Namespace) -> None:
    with _timed() as seconds:
        if options.backup is None:
            drill.take()
        else:
            drill.copy(options.backup.absolute(), options.wal)
        held = drill.start(options.wal and options.wal.absolute(), options.until)
        drill.recover(held)
        drill.verify()
    events = drill.held().events
    _say(f"In all: {events:,} events in {seconds():.1f} s. What is no event (API keys, logins, Idempotency-Keys) is")
    _say(f"restored as it was at the end of the backup or of the archived log, about {_moment(held.newest)}.")


def _given(env: Env) -> dict[str, str]:
    """The settings of the service, those included that `make run` keeps in files."""
    names = (*secrets.KINDS, "fence", "publication")
    kept = {"fence": env.data_dir.absolute() / "fence", "publication": secrets.publication(env.data_dir.absolute())}
    given = {name: getattr(env, name) or kept.get(name, "") for name in names}
    # Fence and publication may share the scratch folder's volume: they are read only.
    unsafe = {"ALLOW_UNSAFE_DATABASE": "1", "DATABASE_REPLICA_URL": ""}
    return {name.upper(): str(value) for name, value in given.items()} | unsafe


def _run(program: str, *arguments: str, **given: str) -> None:
    """Run one of PostgreSQL's programs; DrillError where it fails, and it has said why."""
    command = [str(postgres.binaries() / program), *arguments]
    if subprocess.run(command, env=os.environ | given, check=False).returncode != 0:  # noqa: S603 - PostgreSQL's
        raise DrillError(f"{program} failed; what it said is above.")


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    """Gives what tells the seconds since the block began."""
    began = time.monotonic()
    yield lambda: time.monotonic() - began


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*"))


def _told(held: Held) -> str:
    return f"{held.events:,} events, the newest of {_moment(held.newest)}."


def _moment(when: datetime | None) -> str:
    if when is None:
        return "no time at all"
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, {(datetime.now(UTC) - when).total_seconds():.0f} s ago"


def _say(line: str) -> None:
    print(line, flush=True)


def _stop(*_: Any) -> NoReturn:
    """End as Ctrl-C does: what was made is removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
