"""Workers, their children, beat, Valkey and PostgreSQL killed while issuing: in the end each event is counted once."""

import asyncio
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import psycopg
import pytest

from core.embedded.valkey import Valkey
from tests.conftest import Length
from tests.logs import LOGS
from tests.plugin import Cluster, Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.own_cluster import OwnCluster
from tests.support.processes import celery_workers
from tests.support.processes.celery_workers import Celery, check_counts, counted, until_counted
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published, until_published
from tests.support.processes.service import ServiceFactory

FEW = {"worker": 1, "children": 2, "beat": 1, "valkey": 1, "postgresql": 1}
FIFTY = {"worker": 8, "children": 18, "beat": 6, "valkey": 9, "postgresql": 9}
OPEN_SECONDS = 2.0
"""How long a kill waits for a transaction that counts,"""
MEETING_SECONDS = 90.0
"""and how long each does until enough have met one: as a worker may need to begin on a busy machine."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="rk-"))
    yield made
    LOGS.read()
    shutil.rmtree(made)


@pytest.fixture
def broker(folder: Path) -> Iterator[Valkey]:
    LOGS.follow("Valkey", folder / "v/log")
    with Valkey(folder / "v") as server:
        yield server


class Scene:
    """Everything that counts, and may be killed."""

    def __init__(self, cluster: Cluster, database: Database, broker: Valkey, meetings: int) -> None:
        self.cluster = cluster
        self.database = database
        self.broker = broker
        self.meetings = meetings
        self.workers: list[Celery] = [celery_workers.worker(database, broker) for _ in range(2)]
        self.beat: Celery = celery_workers.beat(database, broker)
        self.in_transaction = 0
        """How many kills met a transaction that counts."""

    def until_it_counts(self) -> None:
        """Return when a transaction that counts is open, or none comes."""
        deadline = time.monotonic() + (OPEN_SECONDS if self.in_transaction >= self.meetings else MEETING_SECONDS)
        with psycopg.connect(self.cluster.server.url(), autocommit=True) as session:
            while time.monotonic() < deadline:
                ((busy,),) = session.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tracking-reporter'"
                    " AND xact_start IS NOT NULL AND query !~ 'pg_try_advisory_lock'"
                )
                if busy:
                    self.in_transaction += 1
                    return

    def kill_worker(self) -> None:
        self.workers.pop(0).kill()
        self.workers.append(celery_workers.worker(self.database, self.broker))

    def kill_children(self) -> None:
        for worker in self.workers:
            worker.kill_pool()

    def kill_beat(self) -> None:
        self.beat.kill()
        self.beat = celery_workers.beat(self.database, self.broker)

    def kill_valkey(self) -> None:
        os.kill(self.broker.pid, signal.SIGKILL)
        self.broker.stop()
        shutil.rmtree(self.broker.home / "appendonlydir")
        self.broker.start()

    def kill_postgresql(self) -> None:
        os.kill(self.cluster.server.pid, signal.SIGQUIT)  # the immediate shutdown: as a crash
        assert eventually(lambda: not self.cluster.server.running)
        self.cluster.server.start()

    def stop(self) -> None:
        """Stop what counts."""
        for each in (*self.workers, self.beat):
            each.stop()


@pytest.mark.timeout(1500)
def test_killed_again_and_again_while_issuing_every_event_is_counted_once(
    folder: Path, broker: Valkey, service: ServiceFactory, length: Length
) -> None:
    cluster, kills = OwnCluster(folder / "c"), length(FEW, FIFTY)
    done = Event()
    with ExitStack() as stack:
        stack.callback(cluster.server.stop)
        own = cluster.create()
        running = service(own, WEB_CONCURRENCY="1")
        stack.callback(running.stop)

        answered: Counter[int] = Counter()

        def issue() -> None:
            while not done.is_set():
                outcome = asyncio.run(load(running.port, 40, connections=4))
                answered.update(answer.status for answer in outcome.answers)
                time.sleep(0.05)

        stack.enter_context(Sealer(own, LOG_LEVEL="WARNING"))
        scene = Scene(cluster, own, broker, length(3, 10))
        stack.callback(scene.stop)
        until_counted(own, 0)
        issuing = stack.enter_context(ThreadPoolExecutor(1)).submit(issue)
        stack.callback(done.set)
        until_counted(own, 1)
        seed = random.randrange(10**6)
        print(f"seed {seed}")  # noqa: T201 - shown if it fails
        chance = random.Random(seed)
        victims = [name for name, times in kills.items() for _ in range(times)]
        chance.shuffle(victims)
        kill: dict[str, Callable[[], None]] = {name: getattr(scene, f"kill_{name}") for name in kills}
        for victim in victims:
            time.sleep(chance.random() * 0.4)
            scene.until_it_counts()
            time.sleep(chance.random() * 0.01)
            kill[victim]()
        assert eventually(lambda: answered[200] > length(200, 1_000))
        done.set()
        issuing.result(240)
        until_published(own, ledger.count(own.owner_url))
        until_counted(own, published(own))
        check_counts(own)
        assert counted(own) == ledger.count(own.owner_url) >= answered[200]
        assert scene.in_transaction >= scene.meetings, "kills meet transactions that count"
