"""Reads that a streaming replica may answer (docs/adr/0019); whatever it can't, the primary is asked.

Only what is read inside of ``ask`` may go there. Issuing, keys, logins and the newest checkpoint are the primary's.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from django.db import Error, connections

from core.databases import PRIMARY, REPLICA

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Model

LAG: Final = 10.0
"""Seconds that a replica may be behind."""
_LOOK: Final = 1.0
"""Seconds between two looks at one that serves."""
_AWAY: Final = 5.0
"""Seconds between two looks at one that can't be reached, or is none: each may cost somebody two seconds."""

# A position, not a time: what a replica replayed last may be old because nothing has happened since.
_IDENTITY: Final = "(SELECT system_identifier FROM pg_control_system()), current_database()"
_OF_PRIMARY: Final = f"SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn, {_IDENTITY}"
_OF_REPLICA: Final = f"SELECT pg_last_wal_replay_lsn() - '0/0'::pg_lsn, pg_is_in_recovery(), {_IDENTITY}"

_logger: Final = logging.getLogger(__name__)
_asked: ContextVar[str] = ContextVar("asked", default=PRIMARY)


class BehindError(Exception):
    """The replica has not yet what is asked for; the primary may."""


def connection() -> "BaseDatabaseWrapper":
    """Where what is read now is read: this thread's connection to the primary, or inside of ``ask`` to the replica."""
    return connections[_asked.get()]


def ask[T](read: Callable[[], T]) -> T:
    """What ``read`` gives on the replica, or else on the primary.

    Whatever it raises on the replica, it is called again on the primary: a number that is not there yet, a row that
    had to make way for what is replayed. So it must have no effects.
    """
    if in_use() or not HEALTH.good():
        return read()
    try:
        with _on(REPLICA):
            return read()
    except Exception as error:  # noqa: BLE001  # a failure is the primary's to word
        HEALTH.failed(error)
    return read()


def in_use() -> bool:
    """Whether what is read now is read on the replica: what is not there yet is no answer then, but a BehindError."""
    return _asked.get() == REPLICA


class Kept[T]:
    """What a generator makes, read where it was begun, although ``ask`` has ended since."""

    def __init__(self, made: Generator[T]) -> None:
        self._made = made
        self._where = _asked.get()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with _on(self._where):
            return next(self._made)

    def close(self) -> None:
        """End the generator."""
        self._made.close()


@contextmanager
def _on(alias: str) -> Iterator[None]:
    token = _asked.set(alias)
    try:
        yield
    finally:
        _asked.reset(token)


class Router:
    """Where Django reads the ledger's rows; it writes none, and all else is the primary's."""

    def db_for_read(self, model: "type[Model]", **hints: Any) -> str | None:
        """The replica inside of ``ask``."""
        return REPLICA if model._meta.app_label == "ledger" and in_use() else None  # noqa: SLF001  # Django's documented way

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Not on the replica, which gets its tables from the primary."""
        return False if db == REPLICA else None


class Health:
    """Whether the replica is good to be asked, as this process last saw it; for any number of threads.

    It was seen where the primary's log had got to, second by second. The replica is as old as the last of these
    positions that it has reached.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looking = threading.Lock()
        self._next = float("-inf")
        self._fault: str | None = "it was not looked at yet"
        self._seen: deque[tuple[float, int]] = deque()

    def good(self) -> bool:
        """Whether to ask it. One thread looks when it is time to; the others go by what is known."""
        if REPLICA not in connections.settings:
            return False
        if self._clock() >= self._next and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        return self._fault is None

    def failed(self, error: Exception) -> None:
        """Take note that something could not be read on it."""
        if not isinstance(error, Error):
            return
        asked = connections[REPLICA]
        if asked.connection is not None and asked.is_usable():
            _logger.info("The replica did not answer, and the primary was asked: %s", _first_line(error))
        else:
            self._lost(error)

    def _look(self) -> None:
        try:
            with connections[PRIMARY].cursor() as cursor:
                cursor.execute(_OF_PRIMARY)
                position, *home = cursor.fetchone()
        except Error:
            self._next = self._clock() + _LOOK
            return  # nobody can tell how old the replica is; it is the best there is
        self._seen.append((self._clock(), int(position)))
        try:
            with connections[REPLICA].cursor() as cursor:
                cursor.execute(_OF_REPLICA)
                reached, follows, *same = cursor.fetchone()
        except Error as error:
            self._lost(error)
            return
        if same != home:
            self._decide("DATABASE_REPLICA_URL leads to another database than DATABASE_URL", _AWAY)
        elif not follows:
            self._decide("DATABASE_REPLICA_URL leads to a server that follows no other", _AWAY)
        else:
            self._decide(None if self._is_young(int(reached)) else f"it is more than {LAG:.0f} s behind", _LOOK)

    def _lost(self, error: Exception) -> None:
        connections[REPLICA].close()
        self._decide("it can't be reached", _AWAY, _first_line(error))

    def _is_young(self, reached: int) -> bool:
        oldest = self._clock() - LAG
        while self._seen and self._seen[0][0] < oldest:
            self._seen.popleft()
        return any(position <= reached for _, position in self._seen)

    def _decide(self, fault: str | None, seconds: float, detail: str = "") -> None:
        if fault != self._fault:
            if fault is None:
                _logger.info("The replica is asked from now on.")
            else:
                _logger.warning("The replica is not asked for now, since %s. %s", fault, detail)
        self._fault = fault
        self._next = self._clock() + seconds


HEALTH: Final = Health()
"""That of this process."""


def _first_line(error: Exception) -> str:
    """What PostgreSQL says after it may quote the statement."""
    return str(error).partition("\n")[0]
