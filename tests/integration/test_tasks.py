"""Worker and beat on a real Valkey: what is issued is counted within seconds, and what is wrong is said once."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.embedded.__main__ import BEAT, WORKER
from core.embedded.valkey import Valkey
from reports import parts
from reports.session import Turn, session, turn
from tests.logs import LOGS
from tests.plugin import CLUSTER, ROOT, Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.accounts import nights
from tests.support.database.report_counts import roll_up
from tests.support.database.synthetic_ledger import fill
from tests.support.log.tampering import insert, tamper
from tests.support.processes import celery_workers
from tests.support.processes.celery_workers import check_counts, client, counted, until_counted
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, until_published
from tests.support.processes.secret_keys import key
from tests.support.processes.service import Service, ServiceFactory


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="tk-"))
    yield made
    LOGS.read()
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[Valkey]:
    LOGS.follow("Valkey", folder / "v/log")
    with Valkey(folder / "v") as server:
        yield server


@pytest.fixture(scope="module")
def running(database: Database, service: ServiceFactory) -> Iterator[Service]:
    """A service that issues, and a sealer."""
    started = service(database, WEB_CONCURRENCY="1")
    with Sealer(database, LOG_LEVEL="WARNING"):
        yield started


def issue(running: Service, count: int) -> int:
    """Issue so many; how many."""
    numbers = asyncio.run(load(running.port, count, connections=8)).numbers
    assert len(numbers) == count
    return count


def queued(broker: Valkey) -> list[dict[str, Any]]:
    """The messages that wait."""
    return [json.loads(each) for each in client(broker).lrange("reports-0", 0, -1)]


def test_two_workers_and_two_beats_count_what_is_issued_within_seconds_and_once(
    database: Database, running: Service, broker: Valkey
) -> None:
    before = counted(database)
    with (
        celery_workers.beat(database, broker),
        celery_workers.worker(database, broker),
        celery_workers.beat(database, broker),
        celery_workers.worker(database, broker),
    ):
        for round_ in range(1, 9):
            issue(running, 100)
            until_counted(database, before + 100 * round_)
    check_counts(database)


def test_the_next_tick_goes_on_when_valkey_has_lost_everything_and_that_is_said_once(
    database: Database, running: Service, broker: Valkey, folder: Path
) -> None:
    said = folder / "lost"
    before = counted(database)
    client(broker).flushall()  # so that what is counted below is what this beat sent: it has been to Redis by then
    with celery_workers.worker(database, broker) as worker, celery_workers.beat(database, broker, log=said) as beat:
        until_counted(database, before + issue(running, 50))
        broker.stop()
        shutil.rmtree(broker.home / "appendonlydir")
        assert eventually(lambda: "Ticks are lost until Redis is back" in said.read_text())
        time.sleep(2)
        broker.start()
        until_counted(database, before + 50 + issue(running, 50))
        assert worker.running
        assert beat.running
    check_counts(database)
    text = said.read_text()
    assert text.count("Ticks are lost") == text.count("Redis is back;") == 1
    assert "Traceback" not in text


def test_ticks_are_json_that_expires_and_no_result_is_kept(
    database: Database, running: Service, broker: Valkey
) -> None:
    before = counted(database)
    issue(running, 10)
    until_published(database, ledger.count(database.owner_url))  # so that these ticks, the only ones, find it
    client(broker).flushall()
    begun = datetime.now(UTC)
    with celery_workers.beat(database, broker):
        assert eventually(lambda: len(queued(broker)) > 5)
    for message in queued(broker):
        assert message["content-type"] == "application/json"
        expires = datetime.fromisoformat(message["headers"]["expires"])
        assert begun + timedelta(seconds=30) < expires < datetime.now(UTC) + timedelta(seconds=60)
    names = {message["headers"]["task"] for message in queued(broker)}
    kinds = ("roll_up", "close_days", "check_leaves", "account_numbers")
    assert names == {f"reports.tasks.{kind}" for kind in kinds}
    with celery_workers.worker(database, broker):
        until_counted(database, before + 10)
        assert eventually(lambda: queued(broker) == [])
    assert not [key for key in client(broker).keys("*") if b"celery-task-meta" in key]


def test_of_a_ledger_that_is_far_behind_parts_are_counted_ahead_and_joined(broker: Valkey) -> None:
    own = CLUSTER.create()
    fill(own, 60_000)

    def ahead() -> int:
        with ledger.reading(own.owner_url) as reader:
            ((count,),) = reader.execute("SELECT count(*) FROM rollup_part")
            return int(count)

    with celery_workers.worker(own, broker, app="tests.support.programs.small_parts_celery"):
        with session(own.reporter_url) as busy, turn(busy, Turn.COUNTING) as mine:
            assert mine
            celery_workers.send(broker, "roll_up")
            assert eventually(lambda: ahead() == parts.AHEAD)
            assert counted(own) == 0
        celery_workers.send(broker, "roll_up")
        until_counted(own, 60_000)
    check_counts(own)
    assert ahead() == 0
    CLUSTER.drop(own)


def test_a_changed_time_zone_stops_the_counting_and_is_said_once_by_each_process(
    database: Database, running: Service, broker: Valkey, folder: Path
) -> None:
    said = folder / "zone"
    issue(running, 10)
    everything = ledger.count(database.owner_url)
    until_published(database, everything)
    roll_up(database)
    assert counted(database) == everything
    with (
        celery_workers.worker(database, broker, log=said, REPORT_TIME_ZONE="Europe/Paris", LOG_FORMAT="text"),
        celery_workers.beat(database, broker),
    ):
        assert eventually(lambda: said.exists() and "Counting has stopped" in said.read_text())
        with session(database.reporter_url) as busy:
            with turn(busy, Turn.COUNTING):
                time.sleep(1.5)  # ticks that find that it is not their turn
            time.sleep(1.5)
    assert "goes on" not in said.read_text()
    lines = [line for line in said.read_text().splitlines() if "Counting has stopped" in line]
    assert 1 <= len(lines) <= 2
    for line in lines:
        assert "CRITICAL reports.tasks: Counting has stopped: " in line
        assert "manage.py rebuild_reports" in line


@pytest.mark.usefixtures("running")
def test_a_worker_accounts_for_numbers_and_says_loudly_what_nobody_issued(
    database: Database, broker: Valkey, folder: Path
) -> None:
    said = folder / "accounts"
    before = len(nights(database))
    with celery_workers.worker(database, broker, log=said, LOG_FORMAT="text"):
        celery_workers.send(broker, "account_numbers")
        assert eventually(lambda: len(nights(database)) > before)
        assert nights(database)[-1].sums.issued == ledger.count(database.owner_url)
        number = insert(database, (1 << 41) - 1)
        celery_workers.send(broker, "account_numbers")
        assert eventually(lambda: nights(database)[-1].wrong == 1)
        assert eventually(
            lambda: "CRITICAL reports.accounting: The numbers can't be accounted for." in said.read_text()
        )
    assert number in said.read_text()
    assert number in nights(database)[-1].faults[0]
    tamper(database, f"DELETE FROM issuance_event WHERE number = '{number}'")


@pytest.mark.usefixtures("running")
def test_a_worker_with_another_number_key_judges_no_number_and_says_which_setting_is_wrong(
    database: Database, broker: Valkey, folder: Path
) -> None:
    said = folder / "another-key"
    said.touch()
    before = len(nights(database))
    with celery_workers.worker(database, broker, log=said, LOG_FORMAT="text", NUMBER_KEY=key("another")):
        celery_workers.send(broker, "account_numbers")
        assert eventually(lambda: "The nightly accounting has stopped: The database belongs to" in said.read_text())
    assert "Correct SHARD or NUMBER_KEY" in said.read_text()
    assert len(nights(database)) == before


@pytest.mark.parametrize("program", [WORKER, BEAT], ids=["worker", "beat"])
@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "Production (DATABASE_URL is set) needs REDIS_URL for its workers; see README.md, Settings."),
        ({"NUMBER_KEY": "abc"}, "Setting NUMBER_KEY: "),
    ],
    ids=["no Redis", "a wrong setting"],
)
def test_what_is_missing_keeps_them_from_starting_with_a_sentence(
    database: Database, program: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    given = {**os.environ, **database.settings, **settings}
    command = [sys.executable, "-m", *program]
    ended = subprocess.run(command, check=False, env=given, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith(sentence)
    assert ended.stderr.count("\n") == 1
