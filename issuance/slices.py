"""Work for thousands of items on the event loop, in slices between which everybody else gets a turn."""

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import batched

SLICE = 0.001
"""Seconds. A thread beside the loop would cost the others more: the loop asks for the interpreter's lock anew for each
socket that is ready, and a thread that computes lets go of it after 5 ms."""
_AT_A_TIME = 16


async def sliced[T, R](work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """``[work(item) for item in items]``."""
    done: list[R] = []
    until = time.monotonic() + SLICE
    for some in batched(items, _AT_A_TIME):
        done += map(work, some)
        if time.monotonic() >= until:
            await asyncio.sleep(0)
            until = time.monotonic() + SLICE
    return done
