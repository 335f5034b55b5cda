"""A Valkey for the throttle, and throttles as processes of one service have them: on loops of their own or on one."""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import redis

from core.embedded.valkey import Valkey
from core.throttle.asking import Keys
from core.throttle.domain import Policy
from core.throttle.local import Throttle
from core.throttle.store import Store
from tests.logs import LOGS

KEYS = Keys("tests-" * 12)


@contextlib.contextmanager
def valkey() -> Iterator[Valkey]:
    """One in a folder whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="th-"))
    LOGS.follow("Valkey", folder / "v/log")
    with Valkey(folder / "v") as server:
        yield server
    LOGS.read()
    shutil.rmtree(folder)


def client(server: Valkey) -> redis.Redis:
    """A connection of the test's own."""
    return redis.Redis.from_url(server.url.replace("redis+socket://", "unix://"))


def patient(server: Valkey, seconds: float = 20) -> str:
    """Its address, with a time-out that a busy machine does not reach."""
    return f"{server.url}?socket_timeout={seconds}"


@contextlib.asynccontextmanager
async def processes(server: Valkey, count: int, seconds: float = 20) -> AsyncIterator[list[Throttle]]:
    """So many throttles, each with a connection and memory of its own; they wait so many seconds for Valkey."""
    made = [Throttle(Store(patient(server, seconds)), KEYS) for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            await each.close()


async def take(throttle: Throttle, policy: Policy, caller: str, count: int = 1) -> bool:
    """Whether a request is served, which must have been counted."""
    taken = await throttle.take(policy, caller, count)
    assert taken is not None, "Valkey is there"
    return taken.granted
