"""The callers behind keys that were presented lately, so that a key costs a request a hash and no query."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from core.keys import domain, store
from core.keys.domain import Caller
from core.keys.store import InvalidKeyError

FRESH: Final = 2.0
"""Seconds after which the database is asked again: so long a revoked key may go on to work."""
_MOST: Final = 8192

type Find = Callable[[str], tuple[Caller, datetime | None]]
"""Whose key this is, and when it expires: core.keys.store.find."""


class _Known(NamedTuple):
    caller: Caller | None
    until: float


class Callers:
    """What this process remembers of keys, good and bad; for any number of threads."""

    def __init__(
        self,
        find: Find = store.find,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._clock = clock
        self._known: dict[bytes, _Known] = {}  # by digest: memory holds no key

    def recall(self, text: str) -> Caller | None:
        """Whose key this is, if that is known; None: ask ``look_up``.

        Raises:
            InvalidKeyError: it is known not to be good.
        """
        known = self._known.get(domain.digest(text))
        if known is None or known.until <= self._clock():
            return None
        if known.caller is None:
            raise InvalidKeyError
        return known.caller

    def look_up(self, text: str, find: Find | None = None) -> Caller:
        """Whose key this is, as the database says; waits for it.

        Args:
            text: the key.
            find: asks the database, where not as usual.

        Raises:
            InvalidKeyError: it is not good.
            django.db.DatabaseError: that can't be told at present.
        """
        until = self._clock() + FRESH
        try:
            caller, expires_at = (find or self._find)(text)
        except InvalidKeyError:
            self._remember(text, _Known(None, until))
            raise
        if expires_at is not None:
            until = min(until, self._clock() + (expires_at - datetime.now(UTC)).total_seconds())
        self._remember(text, _Known(caller, until))
        return caller

    def _remember(self, text: str, known: _Known) -> None:
        if len(self._known) >= _MOST:
            self._known.clear()  # each costs one query more; whoever tries thousands of keys gains nothing by it
        self._known[domain.digest(text)] = known


CALLERS: Final = Callers()
"""Those of this process."""
