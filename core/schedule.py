"""What is done again and again, and how often; beat keeps no file, since the database knows what is done already."""

import logging
from datetime import UTC, datetime
from typing import Any, Final

from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from celery.schedules import BaseSchedule, crontab

_NEVER: Final = datetime(2000, 1, 1, tzinfo=UTC)

logger = logging.getLogger(__name__)


def _tick(task: str, when: BaseSchedule | float) -> dict[str, Any]:
    """An entry that is due as soon as beat runs: one that was away, or is restarted often, misses nothing."""
    return {"task": task, "schedule": when, "last_run_at": _NEVER}


SCHEDULE: Final = {
    "roll-up": _tick("reports.tasks.roll_up", 60.0),
    "close of day": _tick("reports.tasks.close_days", 300.0),
    "nightly check": _tick("reports.tasks.check_leaves", crontab(hour="2", minute="30")),
}


class Ticks(Scheduler):
    """Celery's scheduler without its file, which says once that Redis is away, and once that it is back."""

    _away = False

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
