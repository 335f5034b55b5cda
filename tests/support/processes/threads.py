"""What runs beside a test in a thread: something of asyncio's with a loop of its own, or work that goes on and on."""

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from typing import Self

PATIENCE = 60.0
LEAVING = 10.0
"""Seconds: who still has a connection keeps a server of asyncio's from its end."""


@contextlib.contextmanager
def beside(serve: Callable[[threading.Event, asyncio.Event], Awaitable[None]]) -> Iterator[None]:
    """Have ``serve`` run while the block does: it sets the first event when it serves, and ends with the second."""
    ready, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(ready, stop),), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(LEAVING)


class Meanwhile(ABC):
    """Works in a thread while the block runs; ``work`` ends soon after ``done`` is set."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self._thread = threading.Thread(target=self.work)

    @abstractmethod
    def work(self) -> None:
        """Go on until ``done`` is set."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self._thread.join()
