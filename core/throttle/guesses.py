"""How many wrong API keys one address may present: so many a minute, whatever it presents them to.

Each process counts for itself, in memory; where there is a Redis they count together, too. While that is away, and
without one, memory alone counts: guessing is never let free. A guess is counted before the database is asked, so many
at once are not more than one after the other, and taken back if it was none.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol

from core.throttle.asking import Ask, AwayError, Given, Keys
from core.throttle.domain import TOKEN, full, granted, refilled, wait

RETRY: Final = 1.0
"""Seconds after which a Redis that failed is asked again."""
_MOST: Final = 8192
"""Addresses that a process counts for; when there are more, it begins anew."""


logger = logging.getLogger(__name__)


class TooManyGuessesError(Exception):
    """This address must wait; ``seconds`` says how long."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many wrong keys; again in {seconds} s")
        self.seconds = seconds


class Takes(Protocol):
    """core.throttle.store.ThreadStore."""

    def take(self, ask: Ask) -> Given: ...  # noqa: D102


type Shared = tuple[Takes, Keys]
"""Where all processes count, and under what."""


class Guesses:
    """Those of this process, for any number of threads.

    Attributes:
        refused: guesses that were not looked at.
        failed_open: guesses that other processes were not asked about, since Redis was away.
    """

    def __init__(
        self, quota: int, shared: Callable[[], Shared | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make them.

        Args:
            quota: wrong keys a minute; 0: as many as anybody likes.
            shared: says where all processes count, when it is asked for the first time; None: nowhere.
            clock: seconds.
        """
        self.refused = self.failed_open = 0
        self._quota, self._clock = quota, clock
        self._shared = lru_cache(1)(shared)
        self._levels: dict[str, tuple[int, float]] = {}
        self._lost = False
        self._away_until = 0.0
        self._lock = threading.Lock()

    @property
    def away(self) -> bool:
        """Whether Redis is away, as far as is known."""
        return self._clock() < self._away_until

    def admit(self, address: str) -> None:
        """Count a guess.

        Raises:
            TooManyGuessesError: there were too many; this one is not to be looked at.
        """
        if not self._quota:
            return
        level = self._count(address)
        if level is None:
            level = self._count_together(address, 1)
        if level is not None:
            self.refused += 1
            raise TooManyGuessesError(-(-wait(level, self._quota, 1) // 1_000_000))

    def forgive(self, address: str) -> None:
        """It was no guess, but a good key, or could not be looked at."""
        if not self._quota:
            return
        with self._lock:
            level, then = self._levels.get(address, (full(self._quota), self._clock()))
            self._levels[address] = min(full(self._quota), level + TOKEN), then
        self._count_together(address, -1)

    def _count(self, address: str) -> int | None:
        """None, or the level that is too low."""
        now = self._clock()
        with self._lock:
            level, then = self._levels.get(address, (full(self._quota), now))
            level = refilled(level, int((now - then) * 1_000_000), self._quota)
            admitted = granted(level, 1, 1, 0)
            if len(self._levels) >= _MOST:
                self._levels.clear()
            self._levels[address] = level - admitted * TOKEN, now
        return None if admitted else level

    def _count_together(self, address: str, count: int) -> int | None:
        """The same in Redis; a negative count takes guesses back."""
        shared = self._shared()
        if shared is None:
            return None
        if self.away:
            self.failed_open += 1
            return None
        store, keys = shared
        try:
            given = store.take(Ask(keys.of(f"guess {address}"), self._quota, max(count, 0), count))
        except AwayError as error:
            if not self._lost:
                logger.warning("Wrong keys are counted by each process alone, without Redis: %s", error)
            self._lost = True
            self._away_until = self._clock() + RETRY
            self.failed_open += 1
            return None
        self._lost = False
        return None if given.tokens == count else given.level
