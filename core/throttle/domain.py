"""GCRA in whole numbers: what a caller may still have, how that grows again, and when there is enough of it.

This is the Generic Cell Rate Algorithm of ITU-T I.371 in its continuous-state form: a level that each number lowers and
that time raises, up to a minute's quota. From the first request on, nobody is ever granted more than
``quota * (1 + t / 60)`` in ``t`` seconds. ``take.lua`` does the same in Redis.
"""

from math import ceil
from typing import Final, NamedTuple

WINDOW: Final = 60
"""Seconds that a quota is of."""

TOKEN: Final = WINDOW * 1_000_000
"""Units of a level that one number costs. A microsecond adds ``quota`` units, so nothing is ever rounded."""

LARGEST: Final = 100_000_000
"""Of quotas: a full level is then below 2^53, which Lua's numbers hold exactly."""

SHARE: Final = 20
"""What a process takes ahead of need is the 20th part of what is left, so that others find some."""


def full(quota: int) -> int:
    """The level of a caller who has asked for nothing in a minute."""
    return quota * TOKEN


def refilled(level: int, elapsed: int, quota: int) -> int:
    """The level after so many microseconds more."""
    return min(full(quota), level + max(0, elapsed) * quota)


def granted(level: int, need: int, wanted: int, share: int) -> int:
    """How many tokens are given.

    Args:
        level: at present.
        need: with fewer than this nothing can be done, so none are given.
        wanted: would be spent at once.
        share: one in so many of what is left then is given as well, ahead of need; 0: none.
    """
    whole = level // TOKEN
    if need > whole:
        return 0
    given = min(wanted, whole)
    return given + (whole - given) // share if share else given


def wait(level: int, quota: int, count: int) -> int:
    """Microseconds until a level is enough for ``count``; 0: it is."""
    return max(0, -(-(count * TOKEN - level) // quota))


class Policy:
    """A quota, and what RateLimit-Policy says of it (draft-ietf-httpapi-ratelimit-headers-11, section 3).

    Attributes:
        name: what it is counted by.
        quota: tokens a minute.
        interval: whole seconds in which at least one token comes back.
    """

    __slots__ = ("field", "header", "interval", "name", "quota")

    def __init__(self, name: str, quota: int) -> None:
        self.name = name
        self.quota = quota
        self.interval = ceil(WINDOW / quota)
        self.header = (b"ratelimit-policy", b'"%s";q=%d;w=%d' % (name.encode(), quota, WINDOW))
        self.field = b'"%s";r=%%d;t=%%d' % name.encode()


class Taken(NamedTuple):
    """What became of a request for tokens.

    Attributes:
        granted: whether it got all of them.
        remaining: how many there were then, as far as this process knows.
        seconds: until there are more; where none were granted, until there are enough; 0: never, as it is too much.
    """

    policy: Policy
    granted: bool
    remaining: int
    seconds: int

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """RateLimit-Policy, RateLimit (section 4 of the draft) and, after a refusal, Retry-After."""
        policy = self.policy
        told = policy.header, (b"ratelimit", policy.field % (self.remaining, self.seconds))
        if self.granted:
            return told
        return (*told, (b"retry-after", b"%d" % self.seconds)) if self.seconds else (policy.header,)
