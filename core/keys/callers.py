"""The callers behind keys that were presented lately, so that a key costs a request a hash and no query."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from django.conf import settings

from core import problems
from core.env import SettingsError
from core.keys import domain, store
from core.keys.domain import Caller
from core.keys.store import InvalidKeyError
from core.problems import ProblemError
from core.throttle.address import UNKNOWN
from core.throttle.asking import Keys
from core.throttle.guesses import Guesses, Shared, TooManyGuessesError

FRESH: Final = 2.0
"""Seconds after which the database is asked again: so long a revoked key may go on to work."""
_MOST: Final = 8192

type Find = Callable[[str], tuple[Caller, datetime | None]]
"""Whose key this is, and when it expires: core.keys.store.find."""


logger = logging.getLogger(__name__)


class _Known(NamedTuple):
    caller: Caller | None
    until: float


class Callers:
    """What this process remembers of keys, good and bad; for any number of threads.

    A key that was never seen here may be a guess, of which an address has so many a minute. One that was is none,
    however long ago: who uses a good key is not kept out by a neighbour who guesses, and the same wrong key again tells
    nobody anything.
    """

    def __init__(
        self,
        find: Find = store.find,
        clock: Callable[[], float] = time.monotonic,
        guesses: Guesses | None = None,
    ) -> None:
        self.guesses = guesses or Guesses(0, lambda: None)
        self._find = find
        self._clock = clock
        self._known: dict[bytes, _Known] = {}  # by digest: memory holds no key

    def recall(self, text: str) -> Caller | None:
        """Whose key this is, if that is known; None: ask ``look_up``. Memory is searched by the key's hash alone.

        Raises:
            InvalidKeyError: it is known not to be good.
        """
        known = self._known.get(domain.digest(text))
        if known is None or known.until <= self._clock():
            return None
        if known.caller is None:
            raise InvalidKeyError
        return known.caller

    def look_up(self, text: str, find: Find | None = None, *, address: str = UNKNOWN) -> Caller:
        """Whose key this is, as the database says; waits for it.

        Args:
            text: the key.
            find: asks the database, where not as usual.
            address: whose it is, as core.throttle.address has it.

        Raises:
            InvalidKeyError: it is not good.
            TooManyGuessesError: too many wrong ones came from there; this one was not looked at.
            django.db.DatabaseError: that can't be told at present.
        """
        may_be_guessed = domain.digest(text) not in self._known
        if may_be_guessed:
            self.guesses.admit(address)
        until = self._clock() + FRESH
        try:
            caller, expires_at = (find or self._find)(text)
        except InvalidKeyError:
            self._remember(text, _Known(None, until))
            raise
        except BaseException:
            if may_be_guessed:
                self.guesses.forgive(address)
            raise
        if may_be_guessed:
            self.guesses.forgive(address)
        if expires_at is not None:
            until = min(until, self._clock() + (expires_at - datetime.now(UTC)).total_seconds())
        self._remember(text, _Known(caller, until))
        return caller

    def _remember(self, text: str, known: _Known) -> None:
        if len(self._known) >= _MOST:
            self._known.clear()  # each costs one query more; whoever tries thousands of keys gains nothing by it
        self._known[domain.digest(text)] = known


def too_many(error: TooManyGuessesError) -> ProblemError:
    """The problem that too many wrong keys are."""
    return ProblemError(problems.TOO_MANY_WRONG_KEYS, headers={"Retry-After": str(error.seconds)})


def _shared() -> Shared | None:
    """Where wrong keys are counted; asked with the first of them, so that nobody loads a client of Redis before."""
    url: str | None = settings.REDIS_URL
    if url is None:
        return None
    from core.throttle.store import ThreadStore  # noqa: PLC0415  # see above

    try:
        return ThreadStore(url), Keys(settings.SECRET_KEY)
    except SettingsError as error:  # it may be one that Celery alone understands
        logger.warning("Wrong keys are counted by each process alone. %s", error)
        return None


CALLERS: Final = Callers(guesses=Guesses(settings.ENV.wrong_keys_per_address, _shared))
"""Those of this process."""
