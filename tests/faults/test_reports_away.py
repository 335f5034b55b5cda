"""PostgreSQL goes away, and workers die in the middle of a task: what is delivered again changes nothing."""

import asyncio
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from core.embedded.valkey import Valkey
from tests.logs import LOGS
from tests.plugin import Cluster, Database
from tests.support.clients.load import load
from tests.support.processes import celery_workers
from tests.support.processes.celery_workers import check_counts, client, counted, until_counted
from tests.support.processes.proc import alive, eventually
from tests.support.processes.sealers import Sealer, until_published
from tests.support.processes.service import Service, ServiceFactory

AWAY_SECONDS = 10.0
LOST = "Counting has lost the database"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="ra-"))
    yield made
    LOGS.read()
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    """A PostgreSQL that may be stopped."""
    made = Cluster(folder / "c")
    yield made
    made.server.stop()


@pytest.fixture
def own(cluster: Cluster) -> Database:
    return cluster.create()


@pytest.fixture
def running(own: Database, service: ServiceFactory) -> Iterator[Service]:
    """A service that issues, and a sealer."""
    started = service(own, WEB_CONCURRENCY="1")
    with Sealer(own, LOG_LEVEL="WARNING"):
        yield started
    started.stop()


@pytest.fixture
def broker(folder: Path) -> Iterator[Valkey]:
    LOGS.follow("Valkey", folder / "v/log")
    with Valkey(folder / "v") as server:
        client(server).flushall()
        yield server


def issue(running: Service, own: Database, count: int) -> None:
    """Issue so many, and have them sealed."""
    before = counted(own)
    assert len(asyncio.run(load(running.port, count, connections=8, patience=60)).numbers) == count
    until_published(own, before + count)


def test_a_tick_outlives_ten_seconds_without_postgresql_and_that_is_said_once_by_each_process(
    cluster: Cluster, own: Database, running: Service, broker: Valkey, folder: Path
) -> None:
    said = folder / "away"
    issue(running, own, 200)
    with celery_workers.worker(own, broker, log=said) as worker:
        assert eventually(lambda: len(worker.pool) == 2)
        pool = worker.pool
        cluster.server.stop()
        celery_workers.send(broker, "roll_up")
        time.sleep(AWAY_SECONDS)
        assert eventually(lambda: LOST in said.read_text()), "the worker took it up meanwhile"
        cluster.server.start()
        until_counted(own, 200)
        assert eventually(lambda: "Counting goes on." in said.read_text())
        assert alive(pool) == pool, "the same processes went on"
    check_counts(own)
    text = said.read_text()
    reasons = Counter(json.loads(line)["event"] for line in text.splitlines() if LOST in line)
    assert max(reasons.values()) <= 2, "each reason by each of the two processes"
    assert "Traceback" not in text


@pytest.mark.parametrize("victim", ["the worker and its pool", "the pool"])
def test_a_task_whose_process_is_killed_midway_is_delivered_again_and_counts_once(
    own: Database, running: Service, broker: Valkey, folder: Path, victim: str
) -> None:
    said = folder / victim.replace(" ", "-")

    def received() -> int:
        return said.read_text().count(f"roll_up[{tick}] received")

    issue(running, own, 300)
    with (
        psycopg.connect(own.owner_url) as obstacle,
        celery_workers.worker(own, broker, log=said, LOG_LEVEL="DEBUG") as first,
    ):
        obstacle.execute("LOCK TABLE daily_total IN ACCESS EXCLUSIVE MODE")
        tick = celery_workers.send(broker, "roll_up")
        assert eventually(lambda: waits(own)), "a task is in the middle of its transaction"
        before = received()  # more than once, if this is late: what is not done within a second is delivered again
        assert before
        if victim == "the pool":
            first.kill_pool()
        else:
            first.kill()
        assert counted(own) == 0
        obstacle.rollback()
        with celery_workers.worker(own, broker, log=said, LOG_LEVEL="DEBUG"):
            assert eventually(lambda: received() > before)
            with celery_workers.beat(own, broker):
                until_counted(own, 300)
    check_counts(own)


def waits(own: Database) -> bool:
    """Whether a worker waits for the table."""
    with psycopg.connect(own.owner_url) as session:
        row = session.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tracking-reporter'"
            " AND wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchone()
        assert row is not None
        return bool(row[0])
