"""The reports' tasks: each looks into the database for what is to be done, does it, and may be killed at any moment."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from celery import Task, shared_task
from celery.exceptions import Ignore
from django.conf import settings

from core.env import SettingsError
from issuance.configured import numbering
from issuance.domain.errors import FenceError
from ledger import runtime
from ledger.log import Connection, LogError
from ledger.role_session import RoleError
from reports import accounting, checking, closing, parts, rollup
from reports.rollup import ZoneError
from reports.session import Turn, session, turn

EXPIRES: Final = 55
"""Seconds: a worker that was away does not find a tick for each minute of it. The next one asks for the same."""
TURN_SECONDS: Final = 5
"""After which the turn is asked for again, until the tick expires."""
CHECK_LIMIT: Final = 4 * 3600
"""Seconds that a check may take: the first one reads the whole log, and goes on where it was the next night."""

_said: dict[str, str] = {}
"""What keeps each kind of work, so that it is said once by each process and not each minute."""

logger = logging.getLogger(__name__)


class Tick(Task[Any, Any]):
    """A task that is asked for again and again. PostgreSQL is tried again within seconds, until the tick expires."""

    abstract = True
    expires = EXPIRES
    autoretry_for = (psycopg.OperationalError, psycopg.InterfaceError)
    retry_backoff = 1
    retry_backoff_max = 16
    max_retries = None
    throws = (psycopg.Error,)  # said by _working, in a sentence


@shared_task(base=Tick)
def roll_up() -> None:
    """Count what was sealed since the last time; of what is far behind, have others count parts meanwhile."""
    with _working("Counting") as connection:
        for first, end in parts.missing(connection):
            count_part.delay(first, end)
        with turn(connection, Turn.COUNTING) as mine:
            if not mine:
                raise Ignore
            place = rollup.step(connection, settings.ENV.report_time_zone)
            while place.leaves < place.size:
                place = rollup.step(connection, settings.ENV.report_time_zone)


@shared_task(base=Tick)
def count_part(first: int, end: int) -> None:
    """Count the leaves ``first`` to ``end - 1`` ahead of the roll-up, which adds them when it comes to them."""
    with _working("Counting ahead") as connection:
        parts.count(connection, settings.ENV.report_time_zone, first, end)


@shared_task(base=Tick, bind=True)
def close_days(self: Tick) -> None:
    """Write the reports of the days that are over."""
    env = settings.ENV
    with _working("Closing of days") as connection, turn(connection, Turn.COUNTING) as mine:
        if not mine:  # a roll-up, often: some are due in the same second
            raise self.retry(countdown=TURN_SECONDS)
        name = runtime.verifier(env).name
        closing.close_days(connection, env.report_time_zone, env.report_grace, name, closing.present(connection))


@shared_task(base=Tick, time_limit=CHECK_LIMIT)
def check_leaves() -> None:
    """Recompute the leaves that are new since the last check."""
    with _working("The nightly check") as connection, turn(connection, Turn.CHECKING) as mine:
        if not mine:
            raise Ignore
        checking.check_leaves(connection, runtime.verifier(settings.ENV), numbering(settings.ENV).encode)


@shared_task(base=Tick, time_limit=CHECK_LIMIT)
def account_numbers() -> None:
    """Account for the blocks that were not closed by the last time."""
    env = settings.ENV
    with _working("The nightly accounting") as connection, turn(connection, Turn.ACCOUNTING) as mine:
        if not mine:
            raise Ignore
        accounting.account_numbers(connection, numbering(env), env.shard)


@contextmanager
def _working(what: str) -> Iterator[Connection]:
    """The reporter's session; what keeps it from its work is said once, and that it goes on.

    Whoever finds that it is not its turn leaves by ``Ignore``, and nothing is said.

    Raises:
        psycopg.Error: the database failed, which has been said.
    """
    try:
        with session(settings.DATABASE_REPORTER_URL) as connection:
            yield connection
    except (LogError, ZoneError) as error:
        _say(logging.CRITICAL, what, f"{what} has stopped: {error}")
    except (RoleError, SettingsError, FenceError) as error:
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
