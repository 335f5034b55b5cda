"""Celery: what the workers of the reports are told, and how; `celery --app core.celery` finds ``app``.

Every task is a tick: it looks into the database for what is to be done, and does it. So a message that is lost, comes
twice or comes late is no harm, and what Redis holds need not survive.
"""

import os
import sys
import warnings
from typing import Any, Final

from celery import Celery, Task, signals
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from django.conf import settings
from structlog.contextvars import bind_contextvars, clear_contextvars

from core.env import SettingsError
from core.schedule import SCHEDULE

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")

# `make run` may be root's; what is dangerous then is to take anything but JSON.
warnings.filterwarnings("ignore", category=SecurityWarning)

TIME_LIMIT: Final = 600.0
"""Seconds after which a task that counts is ended; the next tick goes on where its last commit was."""


@signals.setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Leave logging as Django's settings have it, with what they keep out of a log."""


@signals.task_prerun.connect
def name_the_task(task_id: str, task: Task[Any, Any], **_: Any) -> None:
    """Have the lines that are logged until the next task say which one they are about."""
    clear_contextvars()
    bind_contextvars(task=task.name, task_id=task_id)


@signals.task_postrun.connect
def forget_the_task(**_: Any) -> None:
    """What is logged between tasks is about none."""
    clear_contextvars()


@signals.celeryd_after_setup.connect
def spare_us_the_outlook(**_: Any) -> None:
    """Say nothing of what Celery 6 will do; this is where Celery has asked for it to be said."""
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)


def _broker() -> str:
    """Where tasks are passed on.

    Raises:
        SystemExit: nowhere, or a setting is wrong; Celery would wrap any other error into a traceback.
    """
    try:
        url: str | None = settings.REDIS_URL
    except SettingsError as error:
        sys.exit(str(error))
    if url is None:
        sys.exit("Production (DATABASE_URL is set) needs REDIS_URL for its workers; see README.md, Settings.")
    return url


app = Celery("tracking", broker=_broker())
app.conf.update(
    include=["reports.tasks"],
    timezone="UTC",
    # Databases that share a Redis must not do each other's work.
    task_default_queue=f"reports-{settings.ENV.shard}",
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,
    # A task that a killed worker had is done by another one, unless it has expired by then.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_time_limit=TIME_LIMIT,
    # A worker takes what it has a process for. A multiplier of 1 says that too, but counts acknowledgements: those of
    # tasks that end while Redis is away are lost, and Celery 5.7 would wait for them for ever, without a word.
    worker_disable_prefetch=True,
    worker_prefetch_multiplier=0,
    # What runs while Redis is lost may end: done twice is done once.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # two seconds apart at first, thirty in the end, for ever
    broker_transport_options={
        # Longer than a task may run; what is delivered again then has expired, and is thrown away.
        "visibility_timeout": 2 * TIME_LIMIT,
        # A Redis that vanished without a word is noticed.
        "socket_connect_timeout": 5.0,
        "socket_timeout": 10.0,
        "socket_keepalive": True,
    },
    beat_schedule=SCHEDULE,
    beat_scheduler="core.schedule:Ticks",
)
if settings.ENV.otel_exporter_otlp_endpoint is not None:
    from core import tracing

    tracing.tasks()
