"""Reads from a streaming replica, a real one: what it answers, and when the primary is asked instead."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from psycopg.errors import SerializationFailure

from tests.logs import Heard
from tests.plugin import Cluster, Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.load import load
from tests.support.clients.orders import GOOD
from tests.support.database import ledger
from tests.support.database.own_cluster import OwnCluster
from tests.support.database.streaming_standby import Standby
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published, until_published
from tests.support.processes.service import Service, ServiceFactory
from tests.support.programs.patient_worker import PATIENT

LIST = "/v1/tracking-numbers"
STATS = f"/v1/customers/{GOOD['customer_id']}/stats"

_CLIENT = httpx.Client(timeout=90, limits=httpx.Limits(max_keepalive_connections=0))
"""Making one costs more than a request does."""

LAST_READ = """
    SELECT max(query_start) FROM pg_stat_activity
     WHERE application_name = 'tracking-reads' AND query NOT LIKE '%pg_is_in_recovery%'"""


class Pair(NamedTuple):
    """A primary that is sealed and its replica; two services on them, of which one knows of the replica."""

    cluster: Cluster
    database: Database
    standby: Standby
    plain: Service
    reader: Service
    sealer: Sealer
    key: str

    def ask(self, path: str, running: Service | None = None) -> httpx.Response:
        """A read of the service that knows of the replica, or of another one."""
        url = f"{(running or self.reader).base_url}{path}"
        return _CLIENT.get(url, headers=bearer(self.key))

    def read(self, path: str, running: Service | None = None) -> Any:
        """What such a read answers, which must not fail."""
        return self.ask(path, running).raise_for_status().json()

    def issue(self, count: int) -> list[str]:
        """Numbers that are published on the primary."""
        before = ledger.count(self.database.owner_url)
        numbers = asyncio.run(load(self.plain.port, count, connections=1)).numbers
        until_published(self.database, before + count)
        return numbers

    def of_replica(self, statement: str) -> Any:
        """What the replica says to its superuser, who is asked again if that had to make way for what is replayed."""
        while True:
            with suppress(SerializationFailure), ledger.reading(self.standby.of(self.database).owner_url) as session:
                return session.execute(statement).fetchone()

    def until_followed(self) -> int:
        """How many leaves both have, once they have the same, and the service has seen it."""
        size = published(self.database)
        assert eventually(lambda: self.of_replica("SELECT published_size FROM tree_state") == (size,))
        assert eventually(self.asks_replica)
        return size

    def asks_replica(self, path: str = f"{LIST}?limit=1") -> bool:
        """Whether a read is answered by the replica, which is seen by what its sessions did last."""
        before = self.of_replica(LAST_READ)
        self.read(path)
        return bool(self.of_replica(LAST_READ) != before)


@pytest.fixture(scope="module")
def pair(service: ServiceFactory) -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="pair-") as folder:
        cluster = OwnCluster(Path(folder) / "a")
        database = cluster.create()
        with Standby(cluster) as standby:
            plain = service(database, WEB_CONCURRENCY="1")
            key = make_key(database, "audit", "reports")
            replica = {"LOG_LEVEL": "INFO", "DATABASE_REPLICA_URL": standby.of(database).url}
            with (
                Service(database, initialise=False, arguments=PATIENT, WEB_CONCURRENCY="1", **replica) as reader,
                Sealer(database) as sealer,
            ):
                made = Pair(cluster, database, standby, plain, reader, sealer, key)
                made.issue(5)
                yield made
            plain.stop()
        cluster.server.stop()


def test_the_replica_answers_what_it_has_and_the_primary_what_it_lacks(pair: Pair) -> None:
    (number,) = pair.issue(1)
    size = pair.until_followed()
    for path in (f"{LIST}/{number}", STATS, "/v1/reports/daily"):
        assert eventually(lambda: pair.asks_replica(path))  # noqa: B023  # called at once
    with paused(pair):
        fresh = pair.issue(3)
        assert pair.read(LIST)["size"] == pair.read(STATS)["size"] == size, "a list may be some seconds old"
        for path in (f"{LIST}/{fresh[-1]}", f"{LIST}/{fresh[-1]}/proof", f"{LIST}/{fresh[-1]}/barcode.svg"):
            assert pair.ask(path).status_code == 200, "what was issued a moment ago is found"
        assert pair.read(f"{LIST}/{fresh[-1]}")["leaf_index"] == size + 2
        assert pair.ask("/checkpoint").text == pair.ask("/checkpoint", pair.plain).text
        assert pair.ask(f"/tile/0/000.p/{size + 3}").status_code == 200, "and so are the tiles of that checkpoint"
        assert pair.ask(f"{LIST}/{number}").status_code == 200
        assert pair.ask(f"{LIST}/4K9M7QX2PZ4MYIDT").status_code == 404


def test_a_number_that_the_replica_does_not_know_to_be_sealed_is_asked_of_the_primary(pair: Pair) -> None:
    size = pair.until_followed()
    os.kill(pair.sealer.pid, signal.SIGSTOP)
    (number,) = asyncio.run(load(pair.plain.port, 1)).numbers
    there = f"SELECT FROM issuance_event WHERE number = '{number}'"
    assert eventually(lambda: pair.of_replica(there) is not None)
    with paused(pair):
        os.kill(pair.sealer.pid, signal.SIGCONT)
        until_published(pair.database, size + 1)
        assert pair.read(f"{LIST}/{number}")["leaf_index"] == size


def test_a_cursor_of_a_list_that_the_replica_does_not_have_yet_is_the_primarys(pair: Pair) -> None:
    pair.until_followed()
    with paused(pair):
        pair.issue(2)
        first = pair.read(f"{LIST}?order=-serial&limit=1", pair.plain)
        assert pair.read(LIST)["size"] < first["size"], "the replica answers, and is behind"
        assert pair.read(first["next"]) == pair.read(first["next"], pair.plain)


def test_an_export_is_read_where_it_was_begun(pair: Pair) -> None:
    size = pair.until_followed()
    with paused(pair):
        pair.issue(2)
        files = [
            pair.ask(path) for path in (f"{LIST}?format=csv", f"{STATS}?format=csv", "/v1/reports/daily?format=csv")
        ]
    assert [file.status_code for file in files] == [200] * 3
    assert f"-{size}.csv" in files[0].headers["content-disposition"]
    assert files[0].text.count("\n") == size + 1


def test_a_replica_that_falls_behind_is_asked_again_once_it_has_caught_up(pair: Pair) -> None:
    size = pair.until_followed()
    with paused(pair):
        pair.issue(1)
        assert pair.read(LIST)["size"] == size, "it is not behind for long"
        assert eventually(lambda: pair.read(LIST)["size"] == size + 1)
    assert eventually(pair.asks_replica)


def test_a_statement_that_has_to_make_way_for_what_is_replayed_is_asked_of_the_primary(pair: Pair) -> None:
    size = pair.until_followed()
    conflicts = "SELECT confl_lock FROM pg_stat_database_conflicts WHERE datname = current_database()"
    before = pair.of_replica(conflicts)
    waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'tracking-reads' AND wait_event_type = 'Lock'"
    locked = "SELECT FROM pg_locks WHERE relation = 'run'::regclass AND mode = 'AccessExclusiveLock' AND granted"
    with ledger.reading(pair.standby.url()) as standby:
        standby.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
        standby.execute("SELECT pg_reload_conf()")
    with ledger.reading(pair.database.owner_url) as primary, ThreadPoolExecutor(1) as threads:
        # As a migration may lock tables one after the other; the replica takes the same locks as it replays.
        primary.execute("BEGIN; LOCK TABLE run IN ACCESS EXCLUSIVE MODE")
        primary.execute("SELECT pg_logical_emit_message(false, 'a test', 'what was logged before is sent', true)")
        assert eventually(lambda: pair.of_replica(locked) is not None)
        reading = threads.submit(pair.read, LIST)
        try:
            assert eventually(lambda: pair.of_replica(waiting) is not None), "it has read tree_state, and waits for run"
            primary.execute("LOCK TABLE tree_state IN ACCESS EXCLUSIVE MODE")
        finally:
            primary.execute("COMMIT")
        assert reading.result()["size"] == size
    assert eventually(lambda: pair.of_replica(conflicts) != before)
    with ledger.reading(pair.standby.url()) as standby:
        standby.execute("ALTER SYSTEM RESET max_standby_streaming_delay")
        standby.execute("SELECT pg_reload_conf()")
    assert eventually(pair.asks_replica)


def test_a_replica_that_was_killed_costs_no_read_and_is_asked_again_when_it_is_back(pair: Pair) -> None:
    size = pair.until_followed()
    os.kill(pair.standby.pid, signal.SIGKILL)
    begun = time.monotonic()
    assert [pair.read(LIST)["size"] for _ in range(20)] == [size] * 20
    assert time.monotonic() - begun < 30, "a connection is tried for two seconds, and not by each of them"
    pair.issue(1)
    assert pair.read(LIST)["size"] == size + 1
    assert eventually(lambda: not pair.standby.running)
    pair.standby.start()
    assert eventually(pair.asks_replica)


def test_while_the_primary_is_away_the_replica_answers_whoever_needs_no_key(pair: Pair) -> None:
    (number,) = pair.issue(1)
    pair.until_followed()
    pair.cluster.server.stop()
    try:
        for path in (f"{LIST}/{number}/proof", f"{LIST}/{number}/barcode.svg", "/tile/0/000.p/1"):
            assert pair.ask(path).status_code == 200
        assert pair.ask("/checkpoint").status_code == 503
    finally:
        pair.cluster.server.start()


def test_an_address_that_is_no_replicas_is_said_once_and_the_primary_answers(
    pair: Pair, service: ServiceFactory, heard: Heard
) -> None:
    heard.read()
    wrong = service(pair.database, initialise=False, WEB_CONCURRENCY="1", DATABASE_REPLICA_URL=pair.database.url)
    assert [pair.read(LIST, wrong)["size"] for _ in range(3)] == [published(pair.database)] * 3
    wrong.stop()
    said = "The replica is not asked for now, since DATABASE_REPLICA_URL leads to a server that follows no other."
    assert heard.read().count(said) == 1


@contextmanager
def paused(pair: Pair) -> Iterator[None]:
    """The replica receives, and shows nothing of it."""
    pair.of_replica("SELECT pg_wal_replay_pause()")
    assert eventually(lambda: pair.of_replica("SELECT pg_get_wal_replay_pause_state()") == ("paused",))
    try:
        yield
    finally:
        pair.of_replica("SELECT pg_wal_replay_resume()")
