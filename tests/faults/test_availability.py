"""The database goes away, stands still, comes back; the service is stopped under load: nothing is lost."""

import asyncio
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.session import PATIENCE
from ledger.writers import LOCKED
from tests.conftest import Length
from tests.plugin import Cluster, Database
from tests.support.clients.load import Outcome, load
from tests.support.database import ledger
from tests.support.database.own_cluster import OwnCluster
from tests.support.processes.proc import eventually, standing_still
from tests.support.processes.service import Service, ServiceFactory


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that may be stopped."""
    with tempfile.TemporaryDirectory(prefix="away-") as folder:
        made = OwnCluster(Path(folder) / "c")
        yield made
        made.server.stop()


@pytest.fixture
def own(cluster: Cluster) -> Database:
    return cluster.create()


def types(outcome: Outcome) -> Counter[str]:
    return Counter(answer.document["type"] for answer in outcome.refused)


def test_while_the_database_is_away_requests_get_503_at_once_and_numbers_again_by_itself(
    cluster: Cluster, own: Database, service: ServiceFactory
) -> None:
    running = service(own, WEB_CONCURRENCY="1", DEADLINE="120")
    assert len(asyncio.run(load(running.port, 100)).numbers) == 100
    cluster.server.stop()
    begun = time.monotonic()
    away = asyncio.run(load(running.port, 200))
    assert time.monotonic() - begun < 60, "none has waited for its deadline"
    assert types(away) == {"/problems/database-unavailable": 200}
    cluster.server.start()
    back = asyncio.run(load(running.port, 100, patience=60))
    assert len(back.numbers) == 100
    assert ledger.count(own.owner_url) == 200
    running.stop()


def test_a_request_past_its_deadline_gets_503(cluster: Cluster, own: Database, service: ServiceFactory) -> None:
    running = service(own, WEB_CONCURRENCY="1", DEADLINE="2")
    assert len(asyncio.run(load(running.port, 50, connections=4, patience=60)).numbers) == 50
    with standing_still(cluster.server.pid):
        begun = time.monotonic()
        outcome = asyncio.run(load(running.port, 20, connections=20))
        took = time.monotonic() - begun
    assert types(outcome) == {"/problems/database-unavailable": 20}
    assert 1.5 < took < PATIENCE, "not once the session is given up"
    assert len(asyncio.run(load(running.port, 50, connections=4, patience=60)).numbers) == 50
    running.stop()


def test_a_full_queue_refuses_at_once(cluster: Cluster, own: Database, service: ServiceFactory) -> None:
    running = service(own, WEB_CONCURRENCY="1", QUEUE_LIMIT="10")
    assert len(asyncio.run(load(running.port, 50, connections=4)).numbers) == 50
    enough = threading.Event()

    def on_answer(answered: int) -> None:
        if answered == 80:
            enough.set()

    with ThreadPoolExecutor(1) as thread:
        with standing_still(cluster.server.pid):
            loading = thread.submit(lambda: asyncio.run(load(running.port, 100, connections=100, on_answer=on_answer)))
            assert enough.wait(30), "one batch of ten is under way, and ten wait; all others are answered"
        outcome = loading.result()
    assert types(outcome) == {"/problems/overloaded": 100 - len(outcome.numbers)}
    assert 0 < len(outcome.numbers) <= 20, "who waited was answered"
    running.stop()


def test_a_service_stopped_under_load_answers_what_it_took(
    own: Database, service: ServiceFactory, length: Length
) -> None:
    running, midway = service(own), length(300, 1_000)

    def stop_midway(answered: int) -> None:
        if answered == midway:
            os.kill(running.pid, signal.SIGTERM)

    outcome = asyncio.run(load(running.port, 2 * midway, on_answer=stop_midway))
    assert set(types(outcome)) <= {"/problems/shutting-down"}
    recorded = ledger.numbers(own.owner_url)
    assert sorted(recorded) == sorted(outcome.numbers), "what was committed was answered, and the other way round"
    assert_stops(running)


def test_a_stopped_service_holds_no_lock(own: Database, service: ServiceFactory) -> None:
    running = service(own, WEB_CONCURRENCY="2")
    assert len(asyncio.run(load(running.port, 50)).numbers) == 50
    with ledger.reading(own.owner_url) as session:
        assert eventually(lambda: session.execute(LOCKED).rowcount == 2), "one lock a writer"
        running.stop()
        assert eventually(lambda: session.execute(LOCKED).rowcount == 0), "a backend takes a moment to leave"


def assert_stops(running: Service) -> None:
    running.stop()
    assert not running.running


def test_a_commit_whose_wait_for_the_standby_was_cancelled_is_not_answered_until_it_is_durable_there(
    own: Database, service: ServiceFactory
) -> None:
    running = service(own, WEB_CONCURRENCY="1")
    assert len(asyncio.run(load(running.port, 20)).numbers) == 20
    waiting = "datname = current_database() AND wait_event = 'SyncRep' AND query LIKE 'COPY%'"
    with ledger.reading(own.owner_url) as session:

        def waits() -> bool:
            return session.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}").fetchone() != (0,)

        outcomes: list[Outcome] = []
        held = threading.Event()

        def ask() -> None:
            # The server takes a moment to know its standby; the pause keeps a block from being used up until it does.
            while not held.wait(0.1):
                outcomes.append(asyncio.run(load(running.port, 1, connections=1)))

        set_standby(own, "nobody_is_called_this")
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            assert eventually(waits)
            held.set()
            answered = len(outcomes)
            session.execute(f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {waiting}")
            committed = 21 + answered
            assert eventually(lambda: ledger.count(own.owner_url) == committed), "it is committed here, with a warning"
            time.sleep(2)
            assert len(outcomes) == answered, "and must not be answered, since the standby does not have it"
        finally:
            held.set()
            set_standby(own, "")
        asking.join(90)
    assert len(outcomes[-1].numbers) == 1
    assert ledger.count(own.owner_url) == 20 + len(outcomes), "it was settled, not issued a second time"
    running.stop()


def set_standby(database: Database, name: str) -> None:
    with ledger.reading(database.owner_url) as session:
        session.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        session.execute("SELECT pg_reload_conf()")
