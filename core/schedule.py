"""What is done again and again, and how often; beat keeps no file, since the database knows what is done already."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from celery.schedules import BaseSchedule, crontab

_NEVER: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SLIP: Final = timedelta(seconds=1)
"""What a clock that is kept right may be set back by; ticks are late by as much."""

logger = logging.getLogger(__name__)


def _tick(task: str, when: BaseSchedule | float) -> dict[str, Any]:
    """An entry that is due as soon as beat runs: one that was away, or is restarted often, misses nothing."""
    return {"task": task, "schedule": when, "last_run_at": _NEVER}


SCHEDULE: Final = {
    "roll-up": _tick("reports.tasks.roll_up", 60.0),
    "close of day": _tick("reports.tasks.close_days", 300.0),
    "nightly check": _tick("reports.tasks.check_leaves", crontab(hour="2", minute="30")),
    "nightly accounting": _tick("reports.tasks.account_numbers", crontab(hour="2", minute="15")),
}


class Ticks(Scheduler):
    """Celery's scheduler without its file, which says once that Redis is away, and once that it is back.

    What is due is told by the time of day. Where that is set back, all is due: else nothing would be, until it has
    caught up with the last run, a year later perhaps.
    """

    _away = False
    _now = _NEVER

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send one task that is due; the seconds until the next look."""
        before, self._now = self._now, datetime.now(UTC)
        if _set_back(before, self._now):
            logger.warning("The clock was set back by %s; ticks go on.", before - self._now)
            for entry in self.schedule.values():
                entry.last_run_at = _NEVER
            self._heap = None  # made anew of these
        seconds: float = super().tick(*args, **kwargs)
        # Told by a clock that was set back meanwhile, they are as many as Celery ever sleeps.
        return 0.0 if _set_back(self._now, datetime.now(UTC)) else seconds

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send one task; if that fails, the next tick is soon enough."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            if not self._away:
                logger.warning("%s Ticks are lost until Redis is back.", error)
            self._away = True
            return
        if self._away:
            logger.warning("Redis is back; ticks go on.")
        self._away = False


def _set_back(before: datetime, now: datetime) -> bool:
    return now < before - _SLIP
