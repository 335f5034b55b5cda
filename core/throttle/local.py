"""What this process may still spend of the callers' quotas: taken from Redis in slices, before it is spent.

A request costs a subtraction as long as its caller has tokens in hand. A slice is the 20th part of what the caller has
left, and the next one is fetched when half of it is spent; so whoever has few tokens gets them one by one, and all of
them, however many processes share them. Callers share round trips.

Without Redis everybody is served, at once, and it is counted.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from core.throttle.asking import Ask, Given, Keys
from core.throttle.domain import TOKEN, Policy, Taken, full, refilled, wait

HELD: Final = 5.0
"""Seconds after which tokens that nobody has used are given back; twice that at most."""
GATHER: Final = 0.01
"""Seconds in which slices that nobody waits for yet are gathered for one round trip."""
RETRY: Final = 1.0
"""Seconds between two looks whether Redis is back."""
MOST: Final = 500
"""Callers in one round trip: some 2 ms of Redis' time."""

logger = logging.getLogger(__name__)

type _Waiter = tuple[int, asyncio.Future[Taken | None]]


class Takes(Protocol):
    """core.throttle.store.Store."""

    async def take(self, asks: Sequence[Ask]) -> list[Given]: ...  # noqa: D102

    async def close(self) -> None: ...  # noqa: D102


class _Share:
    """One caller's tokens in this process.

    Attributes:
        tokens: in hand.
        level: left in Redis when it was asked last, and ``seen`` when that was.
        low: with fewer in hand, the next slice is fetched.
        asked: whether more are on their way.
        used: whether somebody asked since the last look at who is idle.
    """

    __slots__ = ("asked", "key", "level", "low", "policy", "seen", "tokens", "used", "waiting")

    def __init__(self, policy: Policy, key: bytes, now: float) -> None:
        self.policy = policy
        self.key = key
        self.tokens = self.low = 0
        self.level = full(policy.quota)
        self.seen = now
        self.asked = self.used = False
        self.waiting: list[_Waiter] = []

    def taken(self, *, granted: bool, seconds: int) -> Taken:
        """What a request is told."""
        remaining = min(self.policy.quota, self.tokens + self.level // TOKEN)
        return Taken(self.policy, granted, remaining, seconds)

    def short(self, count: int, now: float) -> int:
        """Whole seconds until there can be enough, as far as is known here; 0: Redis may have enough.

        Others may have taken some since Redis was asked. What they give back is not known here, nor waited for long.
        """
        level = refilled(self.level, int((now - self.seen) * 1_000_000), self.policy.quota)
        return -(-wait(level, self.policy.quota, count - self.tokens) // 1_000_000)

    def ask(self) -> Ask:
        """What to ask of Redis for those who wait."""
        counts = [count for count, _ in self.waiting]
        need = min(counts, default=0) - self.tokens
        wanted = sum(counts) - self.tokens
        return Ask(self.key, self.policy.quota, max(0, need), max(0, wanted))


class Throttle:
    """The shares of one event loop.

    Attributes:
        refused: requests.
        failed_open: requests served without being counted, since Redis was away.
        away: whether it is.
    """

    def __init__(self, store: Takes, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        """Make one; it begins to work with the first request."""
        self.refused = self.failed_open = 0
        self.away = False
        self._store, self._keys, self._clock = store, keys, clock
        self._shares: dict[str, _Share] = {}
        self._wanted: list[_Share] = []
        self._returned: list[Ask] = []
        self._timer: asyncio.TimerHandle | None = None
        self._urgent = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._working: asyncio.Task[None] | None = None

    async def take(self, policy: Policy, caller: str, count: int = 1) -> Taken | None:
        """Take tokens, all or none; None: nobody counts at present.

        Args:
            policy: whose quota it is.
            caller: who, unique over all policies.
            count: how many.
        """
        if self.away:
            self.failed_open += 1
            return None
        share = self._shares.get(caller) or self._begin(policy, caller)
        share.used = True
        if share.tokens >= count:
            share.tokens -= count
            if share.tokens < share.low and not share.asked:
                self._ask(share)
            return share.taken(granted=True, seconds=policy.interval)
        if count > policy.quota:
            return share.taken(granted=False, seconds=0)
        if not share.waiting and (seconds := share.short(count, self._clock())):
            self.refused += 1
            return share.taken(granted=False, seconds=seconds)
        waiter: asyncio.Future[Taken | None] = asyncio.get_running_loop().create_future()
        share.waiting.append((count, waiter))
        self._ask(share)
        return await waiter

    async def close(self) -> None:
        """Stop; what is in hand is lost, and comes back by itself within seconds."""
        for timer in (self._timer, self._sweeper):
            if timer is not None:
                timer.cancel()
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        await self._store.close()

    def _begin(self, policy: Policy, caller: str) -> _Share:
        share = self._shares[caller] = _Share(policy, self._keys.of(caller), self._clock())
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(HELD, self._sweep)
        return share

    def _ask(self, share: _Share) -> None:
        if not share.asked:
            share.asked = True
            self._wanted.append(share)
        self._go_soon(urgent=bool(share.waiting))

    def _go_soon(self, *, urgent: bool) -> None:
        if self._working is not None:
            return  # it looks again when it is done
        if self._timer is not None:
            if self._urgent or not urgent:
                return
            self._timer.cancel()
        self._urgent = urgent
        self._timer = asyncio.get_running_loop().call_later(0 if urgent else GATHER, self._go)

    def _go(self) -> None:
        self._timer = None
        self._working = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        shares, self._wanted = self._wanted[:MOST], self._wanted[MOST:]
        returned, self._returned = self._returned[:MOST], self._returned[MOST:]
        try:
            answers = await self._store.take([*(share.ask() for share in shares), *returned])
        except Exception as error:  # noqa: BLE001  # whatever keeps us from counting must keep nobody from a number
            self._lose(error)
            await self._until_back()
        else:
            for share, given in zip(shares, answers, strict=False):  # of what was returned nobody wants to know
                self._settle(share, given)
        self._working = None
        if self._wanted or self._returned:
            self._go_soon(urgent=any(share.waiting for share in self._wanted))

    def _settle(self, share: _Share, given: Given) -> None:
        """Hand out what came; whoever waits since it was asked for, and for whom there may be more, goes on waiting."""
        now = share.seen = self._clock()
        share.tokens += given.tokens
        share.level = given.level
        share.asked = False
        waiting, share.waiting = share.waiting, []
        for count, waiter in waiting:
            if waiter.done():
                continue  # the client has gone
            if share.tokens >= count:
                share.tokens -= count
                waiter.set_result(share.taken(granted=True, seconds=share.policy.interval))
            elif seconds := share.short(count, now):
                self.refused += 1
                waiter.set_result(share.taken(granted=False, seconds=seconds))
            else:
                share.waiting.append((count, waiter))
        share.low = share.tokens // 2
        if share.waiting:
            self._ask(share)

    def _sweep(self) -> None:
        """Give back what idle callers have in hand, and forget them."""
        for caller, share in list(self._shares.items()):
            if share.used or share.asked:
                share.used = False
                continue
            del self._shares[caller]
            if share.tokens:
                self._returned.append(Ask(share.key, share.policy.quota, 0, -share.tokens))
        if self._returned:
            self._go_soon(urgent=False)
        self._sweeper = asyncio.get_running_loop().call_later(HELD, self._sweep) if self._shares else None

    def _lose(self, error: Exception) -> None:
        logger.warning("The throttle has lost Redis, and refuses nobody until it is back: %s", type(error).__name__)
        self.away = True
        for share in self._shares.values():
            for _, waiter in share.waiting:
                if not waiter.done():
                    self.failed_open += 1
                    waiter.set_result(None)
        self._shares.clear()
        self._wanted.clear()
        self._returned.clear()

    async def _until_back(self) -> None:
        probe = Ask(self._keys.of("probe"), 1, 0, 0)  # which writes: a replica that only reads is of no use
        while self.away:
            await asyncio.sleep(RETRY)
            with contextlib.suppress(Exception):
                await self._store.take((probe,))
                self.away = False
        logger.warning("The throttle counts again.")
