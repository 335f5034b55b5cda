"""Questions to the database whose answer is waited for only so long: a database that hangs must not hang who asks."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, cast

from django.db import close_old_connections

SECONDS: Final = 2.0
_FRESH: Final = 0.5
"""Seconds for which an answer is good: whoever asks more often gets the same one, and the database is asked no more."""


class _Asked(NamedTuple):
    at: float
    answer: "Future[Any]"


class Bounded:
    """One thread, which keeps one of Django's connections, and asks one question at a time.

    It is a daemon, so that one that hangs does not keep the process from ending.
    """

    def __init__(self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: dict[Callable[[], Any], _Asked] = {}
        self._questions: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask[T](self, question: Callable[[], T]) -> T:
        """Its answer; whoever asks while it is being asked waits for the same answer.

        Raises:
            TimeoutError: none in time, counted from when it was first asked: while the database hangs, only who comes
                first waits for it.
            Exception: whatever the question raises.
        """
        now = self._clock()
        with self._lock:
            asked = self._asked.get(question)
            if asked is None or (asked.answer.done() and asked.at + _FRESH <= now):
                asked = self._asked[question] = _Asked(now, Future())
                self._questions.put((question, asked.answer))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="bounded", daemon=True)
                self._thread.start()
        return cast("T", asked.answer.result(max(0.0, asked.at + self._seconds - now)))

    def _work(self) -> None:
        while True:
            question, answer = self._questions.get()
            close_old_connections()
            try:
                answer.set_result(question())
            except Exception as error:  # noqa: BLE001  # handed to whoever asked
                answer.set_exception(error)


DATABASE: Final = Bounded()
"""That of this process."""
