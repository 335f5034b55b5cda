"""The reports' sessions with PostgreSQL, and their turns: of all workers one counts at a time."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import IntEnum
from typing import Final

from core.databases import REPORTER_ROLE
from ledger import role_session
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


def session(url: str, role: str = REPORTER_ROLE) -> AbstractContextManager[Connection]:
    """A session in the reporter's role, or the owner's; raises as ledger.role_session does."""
    return role_session.session(url, role, "tracking-reporter")


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
