"""The reports' tasks: each looks into the database for what is to be done, does it, and may be killed at any moment."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from celery import shared_task
from django.conf import settings

from ledger.log import Connection, LogError
from reports import rollup
from reports.rollup import ZoneError
from reports.session import NotAReporterError, Turn, session, turn

EXPIRES: Final = 55
"""Seconds: a worker that was away does not find a tick for each minute of it. The next one asks for the same."""

# PostgreSQL is tried again within seconds, until the tick expires.
_AGAIN: Final[dict[str, Any]] = {
    "expires": EXPIRES,
    "autoretry_for": (psycopg.OperationalError, psycopg.InterfaceError),
    "retry_backoff": 1,
    "retry_backoff_max": 16,
    "max_retries": None,
    "throws": (psycopg.Error,),  # said below, in a sentence
}
_said: dict[str, str] = {}

logger = logging.getLogger(__name__)


@shared_task(**_AGAIN)
def roll_up() -> None:
    """Count what was sealed since the last time."""
    with _working("Counting") as connection:
        _advance(connection)


def _advance(connection: Connection) -> None:
    with turn(connection, Turn.COUNTING) as mine:
        while mine:
            position = rollup.step(connection, settings.ENV.report_time_zone)
            if position.leaves == position.size:
                return


@contextmanager
def _working(what: str) -> Iterator[Connection]:
    """The reporter's session; what keeps it from its work is said once, and that it goes on."""
    try:
        with session(settings.DATABASE_REPORTER_URL) as connection:
            yield connection
    except (LogError, ZoneError) as error:
        _say(logging.CRITICAL, what, f"{what} has stopped: {error}")
    except NotAReporterError as error:
        _say(logging.ERROR, what, f"{what} has stopped: {error}")
    except psycopg.Error as error:
        _say(logging.WARNING, what, f"{what} has lost the database: {str(error).strip()}")
        raise
    else:
        if _said.pop(what, None):
            logger.warning("%s goes on.", what)


def _say(level: int, what: str, message: str) -> None:
    if _said.get(what) != message:
        logger.log(level, "%s", message)
    _said[what] = message
