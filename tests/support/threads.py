"""Something of asyncio's that runs beside a test, in a thread with a loop of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator

PATIENCE = 10.0


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
        thread.join(PATIENCE)
