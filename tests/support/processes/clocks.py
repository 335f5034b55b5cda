"""Services whose clock can be stopped, since a day's end is long to wait for, and processes whose clock is wrong."""

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tests.plugin import Database
from tests.support.processes.tools import NoToolError, library

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROGRAMS = Path(__file__).parents[1] / "programs"
_FOLDER = _PROGRAMS / "frozen"
_SKEWED = _PROGRAMS / "skewed"

LIBFAKETIME = "*/faketime/libfaketime.so.1", "libfaketime"
"""Where it is, and its Debian package: what tests.support.processes.tools.library takes."""


class Clock:
    """The clock of the issuers that start with its settings: the machine's, until it is stopped at a moment."""

    def __init__(self, database: Database) -> None:
        self._file = database.fence.with_suffix(".clock")
        self.settings = {"PYTHONPATH": str(_FOLDER), "CLOCK": str(self._file)}

    def stop(self, moment: str) -> None:
        """Have every request taken at one moment (RFC 3339)."""
        microseconds = (datetime.fromisoformat(moment) - _EPOCH) // timedelta(microseconds=1)
        fresh = self._file.with_suffix(".fresh")
        fresh.write_text(str(microseconds * 1000))
        fresh.replace(self._file)

    def release(self) -> None:
        """Let it be the machine's again."""
        self._file.unlink(missing_ok=True)


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
