"""One active sealer, others stand by: whoever has the sealers' lock seals, for as long as the session lives."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import psycopg

from core.databases import SEALER_ROLE
from ledger import log, witnesses
from ledger.domain.note import SignerKey
from ledger.domain.serial import first_serial, shard_of
from ledger.guard import RestoredError
from ledger.publication import Publication, PublicationError
from ledger.role_session import RoleError, session
from ledger.rows import RowError
from ledger.sealer import Sealer
from ledger.witnesses import Witnesses

LOCK = (0x5345, 1)
"""PostgreSQL's (int4, int4) key of the sealers' lock."""
_POLL = 0.5
_LONGEST_PAUSE = 5.0
# A sealer that hangs loses its session, and with it the lock: another one takes over.
_IMPATIENCE = "-c idle_session_timeout=10s -c idle_in_transaction_session_timeout=10s"

type Sealed = Callable[[float, int], None]
"""Is told the seconds of a tick that appended something, and how many events."""

logger = logging.getLogger(__name__)


class UnfitDatabaseError(Exception):
    """Nothing can be sealed there, or what is sealed could be lost; the message says what to change."""


class Work(NamedTuple):
    """What a sealer works with."""

    url: str
    key: SignerKey
    place: Publication
    first_block: int
    allow_unsafe: bool
    witnesses: Witnesses | None = None


def run(work: Work, sealed: Sealed | None = None) -> None:
    """Seal until the process is ended; whatever goes wrong is said once, and tried again.

    Args:
        work: what is sealed, and where.
        sealed: is told of each tick that appended something.

    Raises:
        WrongKeyError: trying again would not help.
    """
    said = ""
    pause = _POLL
    while True:
        try:
            with _active(work) as (sealer, connection):
                _tick(sealer, sealed)
                if said:
                    logger.warning("Sealing goes on, with %s leaves.", sealer.size)
                said, pause = "", _POLL
                with witnesses.asked(work.witnesses, lambda: _session(work), work.key.verifier, work.place):
                    _seal(sealer, connection, work, sealed)
        except RestoredError as error:
            said = _say(logging.CRITICAL, f"Nothing is sealed: {error}", said)
        except (log.LogError, RowError) as error:
            said = _say(logging.CRITICAL, f"Sealing has stopped: {error} `manage.py verify_ledger` says more.", said)
        except (PublicationError, log.NotDurableError, RoleError, UnfitDatabaseError) as error:
            said = _say(logging.ERROR, f"Sealing has stopped: {error}", said)
        except psycopg.Error as error:
            said = _say(logging.WARNING, f"The sealer has lost the database: {str(error).strip()}", said)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _seal(sealer: Sealer, connection: log.Connection, work: Work, sealed: Sealed | None) -> None:
    known = False
    while True:
        began = time.monotonic()
        known = known or _is_of_shard(connection, work.first_block)
        if not sealer.behind(_tick(sealer, sealed)):
            time.sleep(max(0.0, began + work.place.pace - time.monotonic()))


def _tick(sealer: Sealer, sealed: Sealed | None) -> int:
    began = time.monotonic()
    appended = sealer.tick()
    if sealed is not None and appended:
        sealed(time.monotonic() - began, appended)
    return appended


@contextmanager
def _active(work: Work) -> Iterator[tuple[Sealer, log.Connection]]:
    """A sealer and its session, once it is our turn."""
    with _session(work) as connection:
        _be_durable(connection, allow_unsafe=work.allow_unsafe)
        waiting = False
        while not _has_turn(connection):
            if not waiting:
                logger.info("Another sealer is active; standing by.")
                waiting = True
            time.sleep(_POLL)
        sealer = Sealer(connection, work.key, work.place, work.first_block)
        _is_of_shard(connection, work.first_block)
        yield sealer, connection


def _session(work: Work) -> AbstractContextManager[log.Connection]:
    return session(work.url, SEALER_ROLE, "tracking-sealer", _IMPATIENCE)


def _has_turn(connection: log.Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK).fetchone()
    return row is not None and bool(row[0])


def _be_durable(connection: log.Connection, *, allow_unsafe: bool) -> None:
    ((fsync, commit, standby),) = connection.execute(
        "SELECT current_setting('fsync'), current_setting('synchronous_commit'), pg_is_in_recovery()"
    )
    if standby:
        raise UnfitDatabaseError("DATABASE_SEALER_URL leads to a standby, which can't be written to.")
    if fsync != "on" and not allow_unsafe:
        raise UnfitDatabaseError("PostgreSQL runs with fsync off: a signed leaf could be lost. Set fsync = on.")
    if commit not in {"on", "remote_apply"}:
        connection.execute("SET synchronous_commit = on")


def _is_of_shard(connection: log.Connection, first_block: int) -> bool:
    """Whether blocks show that the writers have the same SHARD; with another one, the sealer may see none of theirs."""
    ((lowest,),) = connection.execute("SELECT min(id) FROM number_block")
    if lowest is None:
        return False
    shard = shard_of(first_serial(lowest))
    if shard != shard_of(first_serial(first_block)):
        raise UnfitDatabaseError(
            f"The database's blocks begin with {lowest}, which is of shard {shard}. Correct SHARD."
        )
    return True


def _say(level: int, message: str, said: str) -> str:
    if message != said:
        logger.log(level, "%s", message)
    return message
