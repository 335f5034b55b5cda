"""Sessions with PostgreSQL that take on a role: the sealer's, the reporter's, or the owner's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.databases import OWNER_ROLE, REPORTER_ROLE, SEALER_ROLE
from core.session import OPTIONS, POOLED, SERVER_OPTIONS
from ledger.log import Connection

_SETTINGS: Final = {
    SEALER_ROLE: "DATABASE_SEALER_URL",
    REPORTER_ROLE: "DATABASE_REPORTER_URL",
    OWNER_ROLE: "DATABASE_OWNER_URL",
}


class RoleError(Exception):
    """The login may not act in the role; the message says what to grant."""


@contextmanager
def session(url: str, role: str, application: str, options: str = "") -> Iterator[Connection]:
    """A session in a role: in autocommit, and each of its transactions sees one moment.

    Args:
        url: where it leads.
        role: which it takes on.
        application: its name in PostgreSQL's list of sessions.
        options: PostgreSQL's, in addition to those of every session.

    Raises:
        RoleError: the login is no member of the role, or the session is a pooler's.
        psycopg.Error: the database can't be reached.
    """
    given = conninfo_to_dict(url)
    options = f"{given.get('options') or ''} {SERVER_OPTIONS} {options}"
    conninfo = make_conninfo(url, **(OPTIONS | {"options": options, "application_name": application}))
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        try:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise RoleError(
                f"The login {connection.info.user} ({_SETTINGS[role]}) may not act as {role}. GRANT {role} TO it."
            ) from error
        ((pid,),) = connection.execute("SELECT pg_backend_pid()")
        if pid != connection.info.backend_pid:
            raise RoleError(f"{_SETTINGS[role]} {POOLED}")
        yield connection
