"""Clocks that are wrong by a year and put right again: no day is closed before it is over, and ticks go on."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.embedded.valkey import Valkey
from tests.logs import LOGS
from tests.plugin import Database
from tests.support.database import ledger
from tests.support.database.synthetic_ledger import fill
from tests.support.processes import celery_workers
from tests.support.processes.clocks import LIBFAKETIME, faked
from tests.support.processes.proc import eventually
from tests.support.processes.service import Service

EVENTS = 600
SILENCE = 20
"""Seconds: more than a process needs to begin on a busy machine, since it is silent until then."""


@pytest.fixture(scope="module")
def library(shared_library: Callable[[str, str], Path]) -> Path:
    return shared_library(*LIBFAKETIME)


@pytest.fixture
def broker() -> Iterator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="cl-") as folder:
        LOGS.follow("Valkey", Path(folder) / "log")
        with Valkey(Path(folder)) as server:
            yield server
        LOGS.read()


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    file = tmp_path / "clock"
    file.write_text("+0")
    return file


def reports(database: Database) -> int:
    with ledger.reading(database.owner_url) as session:
        row = session.execute("SELECT count(*) FROM daily_report").fetchone()
        assert row is not None
        return int(row[0])


def test_a_worker_whose_clock_is_a_year_fast_closes_no_day_that_is_not_over(
    database: Database, broker: Valkey, library: Path, clock: Path
) -> None:
    """A report is for good: whatever is issued on a day that was closed too early would be a correction."""
    fill(database, EVENTS, moment="clock_timestamp() - interval '2 days'")
    clock.write_text("+1y")
    with (
        celery_workers.worker(database, broker, skew=faked(library, clock)),
        celery_workers.beat(database, broker, skew=faked(library, clock)),
    ):
        assert eventually(lambda: reports(database) >= 2)
        time.sleep(1)
    assert reports(database) == 2, "the day of the events, and yesterday"


def test_ticks_go_on_when_a_clock_that_was_a_year_fast_is_put_right(
    database: Database, broker: Valkey, library: Path, clock: Path
) -> None:
    def sent() -> int:
        return int(celery_workers.client(broker).llen("reports-0"))

    clock.write_text("+1y")
    with celery_workers.beat(database, broker, skew=faked(library, clock)):
        assert eventually(lambda: sent() > 10)
        clock.write_text("+0")
        time.sleep(2)
        before = sent()
        assert eventually(lambda: sent() > before + 10), "beat waits for the year to come again"


def test_web_processes_live_on_when_a_clock_that_was_a_year_fast_is_put_right(
    database: Database, library: Path, clock: Path
) -> None:
    """Gunicorn kills who is silent, and uvicorn tells by the time of day when to speak next."""
    clock.write_text("+1y")
    environment: dict[str, Any] = dict(faked(library, clock))
    with Service(database, arguments=("--timeout", str(SILENCE)), **environment) as running:
        time.sleep(3)
        before = running.worker_pids
        clock.write_text("+0")
        time.sleep(SILENCE + 4)
        assert running.worker_pids == before
