"""The reports' sessions with PostgreSQL, and their turns: of all workers one counts at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.databases import OWNER_ROLE, REPORTER_ROLE
from core.session import OPTIONS, POOLED, SERVER_OPTIONS
from ledger.log import Connection

_CLASS: Final = 0x5250


class Turn(IntEnum):
    """What only one session does at a time: the second half of PostgreSQL's (int4, int4) key of an advisory lock."""

    COUNTING = 1
    """Moving the position, and what else must not move it meanwhile: closing a day, swapping what was rebuilt."""
    CHECKING = 2
    """Recomputing the leaves of a day."""
    REBUILDING = 3
    """Making the counts anew."""
    ACCOUNTING = 4
    """Accounting for the numbers of a day."""


_SETTINGS: Final = {REPORTER_ROLE: "DATABASE_REPORTER_URL", OWNER_ROLE: "DATABASE_OWNER_URL"}


class NotAReporterError(Exception):
    """The login may not write the reports; the message says what to grant."""


@contextmanager
def session(url: str, role: str = REPORTER_ROLE) -> Iterator[Connection]:
    """A session in the reporter's role, or the owner's: in autocommit, and each of its transactions sees one moment.

    Raises:
        NotAReporterError: the login is no member of the role, or the session is a pooler's.
        psycopg.Error: the database can't be reached.
    """
    given = conninfo_to_dict(url)
    options = f"{given.get('options') or ''} {SERVER_OPTIONS}"
    conninfo = make_conninfo(url, **(OPTIONS | {"options": options, "application_name": "tracking-reporter"}))
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        try:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise NotAReporterError(
                f"The login {connection.info.user} ({_SETTINGS[role]}) may not write reports. GRANT {role} TO it."
            ) from error
        ((pid,),) = connection.execute("SELECT pg_backend_pid()")
        if pid != connection.info.backend_pid:
            raise NotAReporterError(f"{_SETTINGS[role]} {POOLED}")
        yield connection


@contextmanager
def turn(connection: Connection, what: Turn) -> Iterator[bool]:
    """Whether it is this session's turn; if so, it stays so to the end of the block, or of the session."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [_CLASS, what]).fetchone()
    if row is None or not row[0]:
        yield False
        return
    try:
        yield True
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", [_CLASS, what])
