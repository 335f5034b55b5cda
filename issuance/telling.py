"""What a process tells Prometheus now and then, since it changes too often to be told each time."""

import asyncio

from core import metrics
from core.throttle.local import Throttle
from issuance import answered
from issuance.writer import Writer

_PAUSE = 0.25
"""Seconds between two times."""


class Telling:
    """The gauges and counts of one issuer."""

    def __init__(self, writer: Writer, throttle: Throttle | None) -> None:
        self._writer = writer
        self._throttle = throttle
        self._refused = self._failed_open = 0
        metrics.PROCESSES.set(1)

    async def go_on(self) -> None:
        """Tell, again and again, until cancelled."""
        while True:
            self.tell()
            await asyncio.sleep(_PAUSE)

    def tell(self) -> None:
        """Set the gauges, and count what came to pass since the last time."""
        metrics.QUEUED.set(self._writer.queued)
        metrics.ISSUING.set(self._writer.issues)
        answered.count()
        if (throttle := self._throttle) is not None:
            refused, failed_open = throttle.refused, throttle.failed_open
            metrics.THROTTLED.inc(refused - self._refused)
            metrics.UNTHROTTLED.inc(failed_open - self._failed_open)
            metrics.THROTTLE_AWAY.set(throttle.away)
            self._refused, self._failed_open = refused, failed_open
