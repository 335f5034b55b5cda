"""The workers' app with a schedule that a test has time for: `celery --app=tests.support.programs.fast_celery`."""

from core.celery import app

__all__ = ["app"]

SECONDS = 0.3
"""Between two ticks of a kind."""

for entry in app.conf.beat_schedule.values():
    entry["schedule"] = SECONDS
# What a killed worker had is delivered again after a second, and looked for each second.
app.conf.broker_transport_options |= {
    "visibility_timeout": 1,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}
