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
from tests.conftest import Length
from tests.logs import LOGS
from tests.plugin import Cluster, Database
from tests.support.clients.load import load
from tests.support.database.own_cluster import OwnCluster
from tests.support.processes import celery_workers
from tests.support.processes.celery_workers import check_counts, client, counted, until_counted
from tests.support.processes.proc import alive, eventually
from tests.support.processes.sealers import seal
from tests.support.processes.service import Service, ServiceFactory

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
    made = OwnCluster(folder / "c")
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def own(cluster: Cluster) -> Database:
    return cluster.create()


@pytest.fixture(scope="module")
def running(own: Database, service: ServiceFactory) -> Service:
    """A service that issues."""
    return service(own, WEB_CONCURRENCY="1")


@pytest.fixture
def broker(folder: Path) -> Iterator[Valkey]:
    LOGS.follow("Valkey", folder / "v/log")
    with Valkey(folder / "v") as server:
        client(server).flushall()
        yield server


def issue(running: Service, own: Database, count: int) -> int:
    """Issue so many, and have them sealed; how many there are now."""
    size = counted(own) + count
    assert len(asyncio.run(load(running.port, count, connections=8, patience=60)).numbers) == count
    seal(own, size)
    return size


def test_a_tick_outlives_seconds_without_postgresql_and_that_is_said_once_by_each_process(
    cluster: Cluster, own: Database, running: Service, broker: Valkey, folder: Path, *, length: Length
) -> None:
    said = folder / "away"
    size = issue(running, own, 200)
    with celery_workers.worker(own, broker, log=said) as worker:
        assert eventually(lambda: len(worker.pool) == 2)
        pool = worker.pool
        cluster.server.stop()
        celery_workers.send(broker, "roll_up")
        time.sleep(length(2, 10))
        assert eventually(lambda: LOST in said.read_text()), "the worker took it up meanwhile"
        cluster.server.start()
        until_counted(own, size)

        def goes_on() -> bool:
            celery_workers.send(broker, "roll_up")  # the other process may have had the last one
            return "Counting goes on." in said.read_text()

        assert eventually(goes_on)
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

    size = issue(running, own, 300)
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
        assert counted(own) == size - 300
        obstacle.rollback()
        with celery_workers.worker(own, broker, log=said, LOG_LEVEL="DEBUG"):
            assert eventually(lambda: received() > before)
            with celery_workers.beat(own, broker):
                until_counted(own, size)
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
