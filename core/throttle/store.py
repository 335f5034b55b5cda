"""The levels of all callers in Redis or Valkey: one script takes tokens of many at once.

Keys are keyed hashes, so that nobody reads an address or an API key's id there. All processes with the same SECRET_KEY
and REDIS_URL count together. Whatever goes wrong is raised as it is; who asks decides what that means.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.env import SettingsError
from core.throttle.asking import Ask, AwayError, Given
from core.throttle.domain import SHARE, TOKEN

TIMEOUT: Final = 0.1
"""Seconds that anything waits for Redis, unless REDIS_URL says otherwise by ``?socket_timeout=``."""
GRACE: Final = 0.05
"""Seconds more for an answer that has come by then, but that a busy event loop has not looked at."""

_SCRIPT: Final = Path(__file__).with_name("take.lua").read_text()
_EMBEDDED: Final = "redis+socket://"
"""How Celery writes the address of a unix socket; the client says ``unix://``."""
_decode: Final = msgspec.msgpack.Decoder(list[int]).decode


class Store:
    """The script over one connection of an event loop; one call at a time."""

    def __init__(self, url: str) -> None:
        """``url`` as REDIS_URL has it; nothing is connected yet.

        Raises:
            SettingsError: it is no such address.
        """
        self._redis = _client(redis.asyncio.Redis, url, redis.asyncio.retry.Retry(NoBackoff(), 0))
        self._script = self._redis.register_script(_SCRIPT)
        # Ours, below, instead of the client's: that one takes a busy loop for a silent Redis.
        options = self._redis.connection_pool.connection_kwargs
        self._timeout, options["socket_timeout"] = options["socket_timeout"], None

    async def take(self, asks: Sequence[Ask]) -> list[Given]:
        """Take tokens; raises TimeoutError after a while."""
        asking = asyncio.ensure_future(self._script(*_arguments(asks, SHARE)))
        try:
            for patience in (self._timeout, GRACE):
                done, _ = await asyncio.wait((asking,), timeout=patience)
                if done:
                    return _read(asking.result())
        finally:
            asking.cancel()
        raise TimeoutError

    async def close(self) -> None:
        """Let go of the connection."""
        await self._redis.aclose()


class ThreadStore:
    """The same for threads that wait, and take nothing ahead of need."""

    def __init__(self, url: str) -> None:
        """As ``Store`` has it."""
        self._redis = _client(redis.Redis, url, Retry(NoBackoff(), 0))
        self._script = self._redis.register_script(_SCRIPT)

    def take(self, ask: Ask) -> Given:
        """Take tokens of one caller.

        Raises:
            AwayError: that can't be done at present.
        """
        try:
            (given,) = _read(self._script(*_arguments((ask,), 0)))
        except (redis.RedisError, OSError) as error:
            raise AwayError(type(error).__name__) from error
        return given


def _client(kind: Any, url: str, retry: Any) -> Any:
    if url.startswith(_EMBEDDED):
        url = f"unix://{url.removeprefix(_EMBEDDED)}"
    try:
        return kind.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=None, retry=retry)  # None: the same
    except ValueError as error:
        raise SettingsError(f"Setting REDIS_URL: {error}") from None


def _arguments(asks: Sequence[Ask], share: int) -> tuple[list[bytes], list[int]]:
    arguments = [TOKEN, share]
    for ask in asks:
        arguments += ask[1:]
    return [ask.key for ask in asks], arguments


def _read(answer: bytes) -> list[Given]:
    numbers = iter(_decode(answer))
    return [Given(*pair) for pair in zip(numbers, numbers, strict=True)]
