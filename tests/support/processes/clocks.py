"""Services whose clock stands still, since a day's end is too long to wait for, and processes whose clock is wrong."""

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tests.plugin import Database
from tests.support.processes.service import Service, ServiceFactory
from tests.support.processes.tools import NoToolError, library

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROGRAMS = Path(__file__).parents[1] / "programs"
_FOLDER = _PROGRAMS / "frozen"
_SKEWED = _PROGRAMS / "skewed"

LIBFAKETIME = "*/faketime/libfaketime.so.1", "libfaketime"
"""Where it is, and its Debian package: what tests.support.processes.tools.library takes."""


def frozen(service: ServiceFactory, database: Database, moment: str) -> Service:
    """A service of one process that takes every request at one moment (RFC 3339)."""
    microseconds = (datetime.fromisoformat(moment) - _EPOCH) // timedelta(microseconds=1)
    return service(database, WEB_CONCURRENCY="1", PYTHONPATH=str(_FOLDER), FROZEN_AT_NS=str(microseconds * 1000))


def of_one_day(seconds: float = 60.0) -> date:
    """Today in UTC, of which so much is left: where less is, the next day is waited for."""
    while (tomorrow := (now := datetime.now(UTC)) + timedelta(seconds=seconds)).date() != now.date():
        time.sleep(1)
    return tomorrow.date()


def faketime() -> Path | None:
    """libfaketime, where the machine has it."""
    try:
        return library(*LIBFAKETIME)
    except NoToolError:
        return None


def faked(library: Path, file: Path) -> dict[str, str]:
    """The environment of a process whose clock is off by what the file says, as `+1y` or `-1h`.

    Only the time of day is: a monotonic clock and the times of files are those of the machine, as when it is set.
    """
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "PYTHONPATH": str(_SKEWED),
    }
