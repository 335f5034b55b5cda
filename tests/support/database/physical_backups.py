"""Backups of a cluster, and new clusters made of them: by base backup, with or without archived log, and by dump."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from core.embedded import postgres
from core.embedded.server import Server
from tests.plugin import ROOT, Database, HeardServer
from tests.support.database import ledger
from tests.support.processes.proc import eventually

ARCHIVE_WAL = ROOT / "deploy/archive-wal.sh"
BASE_BACKUP = ROOT / "deploy/base-backup.sh"


def program(*arguments: str | Path, **given: str) -> "subprocess.CompletedProcess[bytes]":
    """Run one of PostgreSQL's programs, or what needs them in its PATH; variables are libpq's."""
    environment = os.environ | {"PATH": f"{postgres.binaries()}{os.pathsep}{os.environ['PATH']}"} | given
    return subprocess.run([str(each) for each in arguments], env=environment, check=True)


def address(server: Server) -> dict[str, str]:
    """libpq's variables that lead to a server, as the superuser."""
    found = conninfo_to_dict(server.url())
    names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGDATABASE": "dbname"}
    return {variable: str(found[name]) for variable, name in names.items()}


def archive_into(server: Server, folder: Path, *, seconds: int = 60) -> None:
    """Have a server archive its log there, each piece after so many seconds at most; it is restarted."""
    wal = folder / "wal"
    wal.mkdir(parents=True)
    for path in (folder, wal):
        shutil.chown(path, server.data.stat().st_uid)
    settings = {
        "archive_mode": "on",
        "archive_command": f'sh {ARCHIVE_WAL} {wal} "%p" "%f"',
        "archive_timeout": str(seconds),
    }
    with ledger.reading(server.url()) as session:
        for name, value in settings.items():
            session.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    server.stop()
    server.start()


def archived(server: Server, folder: Path) -> None:
    """Return once all that was committed until now is archived."""
    with ledger.reading(server.url()) as session:
        (name,) = session.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone() or ("",)
    assert eventually((folder / "wal" / name).exists), f"{name} is not archived"


def base_backup(server: Server, folder: Path) -> Path:
    """Take one as an operator does, and return where it is."""
    (folder / "wal").mkdir(parents=True, exist_ok=True)
    while (folder / "base" / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())).exists():
        time.sleep(0.1)  # a backup is called by the second
    program("sh", BASE_BACKUP, folder, **address(server))
    return max((folder / "base").iterdir())


def restored(home: Path, backup: Path, *, wal: Path | None = None, until: str = "") -> HeardServer:
    """A new cluster of a base backup, to be started; with ``wal`` it goes on with the archived log.

    Args:
        home: of the new server.
        backup: stays as it is.
        wal: the archive.
        until: a time at which to stop, as PostgreSQL reads it.
    """
    server = HeardServer(home)
    shutil.copytree(backup, server.data)
    lines = ["archive_mode = off"]
    if wal is not None:
        (server.data / "recovery.signal").touch()
        lines += [f"restore_command = 'cp {wal}/%f \"%p\"'", "recovery_target_action = promote"]
        lines += [f"recovery_target_time = '{until}'"] if until else []
    with (server.data / "postgresql.auto.conf").open("a") as file:
        file.write("\n".join(["", *lines, ""]))
    return server


def dump(server: Server, database: Database, folder: Path) -> Path:
    """Dump a database, and the roles of its cluster, which a dump of the database has not."""
    folder.mkdir(parents=True)
    program("pg_dumpall", "--globals-only", f"--file={folder / 'globals.sql'}", **address(server))
    program("pg_dump", "--format=custom", f"--file={folder / 'tracking.dump'}", database.name, **address(server))
    return folder


def load_dump(server: Server, database: Database, folder: Path) -> None:
    """Make the database again of its dump, on a server that has just been made."""
    given = address(server)
    # The superuser is there already: that one statement fails.
    program("psql", "--quiet", "--no-psqlrc", "--output=/dev/null", f"--file={folder / 'globals.sql'}", **given)
    program("createdb", "--template=template0", database.name, **given)
    program(
        *("pg_restore", "--exit-on-error", "--single-transaction", f"--dbname={database.name}"),
        folder / "tracking.dump",
        **given,
    )
