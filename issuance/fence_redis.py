"""A fence in Redis or Valkey, which must have it on its disk before it answers (docs/adr/0021)."""

from collections.abc import Callable
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthorizationError
from redis.retry import Retry

from issuance.domain.errors import FenceError, UnavailableError
from issuance.fence import Fence

# May be asked twice, where the answer was lost: whoever finds there what he wanted to put has put it.
_SWAP: Final = """
    local present = redis.call('GET', KEYS[1])
    if present == ARGV[2] then return 1 end
    if present ~= (ARGV[1] ~= '' and ARGV[1]) then return 0 end
    redis.call('SET', KEYS[1], ARGV[2])
    return 1"""
_CONNECT, _ANSWER = 0.5, 1.0
"""Seconds. A lease moves the fence under a lock, and who holds that for five seconds is ended (issuance.allocator)."""
_DISK: Final = 700
"""Milliseconds in which the disk must have it."""
_WANTED: Final = {"appendonly": "yes", "appendfsync": "always"}


class RedisFence(Fence):
    """A fence in one key of a Redis or Valkey."""

    def __init__(self, url: str, shard: int) -> None:
        """Describe it; nothing is connected to yet."""
        self._key = f"tracking:fence:{shard}"
        self._redis: Any = redis.Redis.from_url(  # its types are those of the asynchronous client too
            url, socket_connect_timeout=_CONNECT, socket_timeout=_ANSWER, retry=Retry(NoBackoff(), 0)
        )
        known = self._redis.connection_pool.connection_kwargs
        self._place = f"{known.get('host', 'localhost')}:{known.get('port', 6379)}/{known.get('db', 0)}"

    def __str__(self) -> str:
        return f"{self._key} in Redis at {self._place}"

    def _get(self) -> bytes | None:
        content: bytes | None = self._ask(lambda: self._redis.get(self._key))
        return content

    def _swap(self, before: bytes | None, after: bytes) -> bool:
        self._require_durable()
        swapped = bool(self._ask(lambda: self._redis.eval(_SWAP, 1, self._key, before or b"", after)))
        # Where appendonly was switched on just now, nothing is written before all the rest has been.
        if swapped and self._ask(lambda: self._redis.waitaof(1, 0, _DISK))[0] < 1:
            raise UnavailableError(f"The fence {self} is not on its disk yet.")
        return swapped

    def _require_durable(self) -> None:
        """Refuse a Redis that could lose what it answers.

        Asked each time, which costs a tenth of a millisecond, since Redis may have come back with other settings.
        WAITAOF alone would not do: under ``everysec`` Valkey 9.1 answers it before the disk has the write.
        """
        try:
            found = self._ask(lambda: self._redis.config_get(*_WANTED, "maxmemory-policy"))
        except FenceError as error:
            raise FenceError(f"{error} Allow its login CONFIG GET, which tells whether it is safe.") from error
        for name, wanted in _WANTED.items():
            if found.get(name) != wanted:
                raise FenceError(
                    f"The fence {self} could be lost in a crash: {name} is {found.get(name)} there. Start that Redis "
                    "with --appendonly yes --appendfsync always."
                )
        if found.get("maxmemory-policy", "").startswith("allkeys"):
            raise FenceError(
                f"The fence {self} could be evicted: maxmemory-policy is {found['maxmemory-policy']} there. "
                "Set noeviction."
            )

    def _ask[T](self, question: Callable[[], T]) -> T:
        """Ask, and once more where no answer came."""
        try:
            return self._asked(question)
        except UnavailableError:
            return self._asked(question)

    def _asked[T](self, question: Callable[[], T]) -> T:
        try:
            return question()
        except (redis.AuthenticationError, AuthorizationError) as error:
            raise FenceError(f"The fence {self} can't be used: {error}. Correct FENCE.") from error
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise UnavailableError(f"The fence {self} can't be reached: {error}") from error
        except redis.RedisError as error:
            raise FenceError(f"The fence {self} can't be used: {error}.") from error
