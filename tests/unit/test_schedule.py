"""When beat looks again."""

from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from celery import Celery

from core import schedule
from core.schedule import Ticks

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("back", "looks_again"),
    [(timedelta(days=365), 0.0), (timedelta(seconds=2), 0.0), (timedelta(seconds=0.5), 300.0), (timedelta(), 300.0)],
)
def test_a_clock_that_is_set_back_within_a_tick_is_seen_at_once(
    monkeypatch: pytest.MonkeyPatch, back: timedelta, looks_again: float
) -> None:
    """Celery has then asked both clocks when to go on, and would sleep for as long as it ever does."""
    moments = [NOW, NOW - back]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            assert tz is UTC
            return moments.pop(0)

    monkeypatch.setattr(schedule, "datetime", Clock)
    ticks = Ticks(app=Celery(set_as_current=False), schedule={}, lazy=True)
    assert ticks.tick() == looks_again
    assert not moments
