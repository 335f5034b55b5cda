"""Reading across shards: an instance with COORDINATOR=1, whose database is made by ledger.coordinator.

The statements name the serials or the shard that they want, and PostgreSQL asks the shards that have them.
"""

import re
from functools import lru_cache
from typing import Final

import msgspec
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils.module_loading import import_string

from core import problems
from core.problems import ProblemError
from ledger.coordinator import STATEMENT_SECONDS
from ledger.domain.note import VerifierKey
from ledger.domain.serial import shard_of

_KEYS: Final = "SELECT shard, verifier_key FROM log_key ORDER BY shard"
_AWAY: Final = "08"
"""The SQLSTATEs of connections; postgres_fdw has no other for a shard that is not there."""
_TIMED_OUT: Final = "57014"
_SERVER: Final = re.compile(r'"shard_([0-9]+)(?:_by_ranges)?"')


class ShardSize(msgspec.Struct, frozen=True):
    """How many leaves of one shard's log an answer is of."""

    shard: int
    size: int


def coordinated() -> bool:
    """Whether this process reads across shards."""
    found: bool = settings.ENV.coordinator
    return found


@lru_cache(1)
def keys() -> dict[int, VerifierKey]:
    """The key of each shard's log; read once by a process, which is to be restarted when a shard is added.

    Raises:
        django.db.DatabaseError: that can't be told at present.
    """
    with connection.cursor() as cursor:
        cursor.execute(_KEYS)
        return {shard: VerifierKey.parse(text) for shard, text in cursor.fetchall()}


def place_of(number: str) -> tuple[int, VerifierKey] | None:
    """The serial of a number and the key of its log; None: no shard that there is has issued it.

    Raises:
        As ``keys``.
    """
    serial = import_string(settings.SERIAL_OF_NUMBER)(number)
    key = None if serial is None else keys().get(shard_of(serial))
    return None if serial is None or key is None else (serial, key)


def unavailable(error: DatabaseError) -> ProblemError:
    """The problem that a failure of the database is: one of a shard names it."""
    diagnostic = getattr(error.__cause__, "diag", None)
    state = getattr(diagnostic, "sqlstate", None) or ""
    if coordinated() and state == _TIMED_OUT:
        return ProblemError(problems.SHARD_UNAVAILABLE, f"A shard has not answered within {STATEMENT_SECONDS} seconds.")
    found = _SERVER.search(getattr(diagnostic, "message_primary", None) or "")
    if found is None or not state.startswith(_AWAY):
        return ProblemError(problems.DATABASE_UNAVAILABLE)
    return ProblemError(problems.SHARD_UNAVAILABLE, f"Shard {found[1]} can't be reached.")
