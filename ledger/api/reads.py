"""How a view asks the ledger, and the problems that keep it from an answer."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from django.db import DatabaseError, DataError

from core import problems, replica
from core.env import Env
from core.problems import ProblemError
from ledger import reading, runtime, shards
from ledger.domain import form
from ledger.domain.form import CheckCharacterError, MalformedNumberError
from ledger.log import Connection, Interiors, LogError
from ledger.rows import RowError
from ledger.witnessed import Watch, Witnessed

KNOWN: Final = Interiors()
"""Hashes of the log that this process needed lately."""
WATCH: Final = Watch()
"""The newest witnessed checkpoint."""
verifier = lru_cache(1)(runtime.verifier)  # the same object each time: it is what a verified checkpoint is known by


policy = lru_cache(1)(runtime.policy)


def number(text: str) -> str:
    """The number of a path, in its one stored form; the path may have it as a label does, in groups or small letters.

    Raises:
        ProblemError: it can't have been issued; nothing needs to be asked.
    """
    canonical = form.canonical(text)
    try:
        form.check(canonical)
    except CheckCharacterError as error:
        raise ProblemError(problems.CHECK_CHARACTER, str(error)) from None
    except MalformedNumberError:
        raise ProblemError(problems.UNKNOWN_NUMBER) from None
    return canonical


def witnessed(connection: Connection, env: Env) -> Witnessed | None:
    """The newest witnessed checkpoint, if there are witnesses and one has a quorum; LogError where it does not fit."""
    given = policy(env)
    return None if given is None else WATCH.newest(connection, verifier(env), given)


def asked[T](read: Callable[[Connection], T], *, newest: bool = False) -> T:
    """What is read on this thread's connection to the replica, if there is one, or to the primary.

    Args:
        read: may be called twice.
        newest: it is to be what the primary has.

    Raises:
        ProblemError: what is wanted is not there, or what is there can't be trusted, or nothing can be read at present.
    """
    try:
        return _read(read) if newest else replica.ask(lambda: _read(read))
    except reading.UnknownNumberError:
        raise ProblemError(problems.UNKNOWN_NUMBER) from None
    except reading.NotSealedError:
        raise ProblemError(problems.NOT_YET_SEALED) from None
    except reading.BeyondTreeError:
        raise ProblemError(problems.BEYOND_THE_TREE) from None
    # DataError, OverflowError: the row holds a time that no writer of ours has written, such as infinity.
    except (LogError, RowError, DataError, OverflowError, ValueError) as error:
        problems.logger.critical("The log contradicts itself: %s", error)
        raise ProblemError(problems.LOG_INCONSISTENT) from None
    except DatabaseError as error:
        raise shards.unavailable(error) from None


def _read[T](read: Callable[[Connection], T]) -> T:
    connection = replica.connection()
    with connection.cursor() as cursor, connection.wrap_database_errors:
        return read(cursor.connection)
