"""A standby: what is signed is on it, and when it is promoted, the log goes on there and contradicts nothing."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ledger.publication import CHECKPOINT
from tests.conftest import Length
from tests.logs import Heard
from tests.plugin import Cluster, Database
from tests.support.clients.client_crowd import Crowd
from tests.support.clients.load import load
from tests.support.clients.orders import PATH, query
from tests.support.database import ledger
from tests.support.database.own_cluster import OwnCluster
from tests.support.database.streaming_standby import NAME, Standby, wait_for
from tests.support.log import naive_log
from tests.support.log.checker import Checker, check_checkpoints
from tests.support.processes.proc import alive, eventually, family
from tests.support.processes.sealers import Sealer, published, state, until_published
from tests.support.processes.service import Service, ServiceFactory

NOBODY = "nobody_is_called_this"
WAITING = "pg_stat_activity WHERE application_name = 'tracking-sealer' AND wait_event = 'SyncRep'"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that may be stopped, and copied."""
    with tempfile.TemporaryDirectory(prefix="pair-") as folder:
        made = OwnCluster(Path(folder) / "a", durable=True)
        yield made
        made.server.stop()


def refusal(service: Service) -> tuple[int, str]:
    """Status and problem type of one request for a number."""
    answer = httpx.get(f"{service.base_url}{PATH}?{query().decode()}", timeout=90)
    return answer.status_code, answer.json()["type"]


@pytest.fixture
def own(cluster: Cluster) -> Database:
    return cluster.create()


def test_clients_of_a_primary_that_is_killed_go_on_with_its_standby_and_nothing_answered_is_lost(
    cluster: Cluster, own: Database, service: ServiceFactory, length: Length, tmp_path: Path
) -> None:
    """Nothing is restarted: libpq finds the server that can be written to."""
    with Standby(cluster) as standby:
        wait_for(own, NAME)
        either, promoted = standby.or_of(own), standby.of(own)
        running = service(either, WEB_CONCURRENCY="2", ALLOW_UNSAFE_DATABASE="0")
        with Sealer(either), Crowd(running.port, tmp_path, 6) as crowd:
            assert eventually(lambda: published(own) > length(80, 200))
            os.kill(cluster.server.pid, signal.SIGKILL)
            assert eventually(lambda: not crowd.all_served(time.monotonic() - 1))
            standby.promote()
            promoted_at = time.monotonic()
            assert eventually(lambda: crowd.all_served(max(promoted_at, crowd.last_failure())))
            assert crowd.stop()
            until_published(promoted, ledger.count(promoted.owner_url))
        running.stop()
        checker = Checker(promoted.owner_url)
        checker.take(crowd.unchecked())
        checker.finish()
        assert checker.answers > length(80, 200)
        assert not checker.faults
        assert not check_checkpoints(crowd.seen(), promoted.owner_url, naive_log.KEY)
        naive_log.check_published(promoted, naive_log.check(promoted))

        # The old primary comes back. It lacks what its standby has leased, so nobody issues from it.
        cluster.server.start()
        wait_for(own, "")
        with service(own, initialise=False, WEB_CONCURRENCY="1") as behind:
            assert refusal(behind) == (503, "/problems/restored-database")


def test_a_promoted_standby_that_lacks_blocks_issues_nothing_until_somebody_says_so(
    cluster: Cluster, own: Database, service: ServiceFactory, heard: Heard
) -> None:
    """An asynchronous standby that lagged; what it lacks is issue enough for an operator."""
    running = service(own, WEB_CONCURRENCY="1")
    with Standby(cluster) as standby:
        issued = asyncio.run(load(running.port, 50)).numbers
        standby.stop()
        issued += asyncio.run(load(running.port, 1200)).numbers
        server = family(cluster.server.pid)
        os.kill(cluster.server.pid, signal.SIGKILL)
        running.stop()
        assert eventually(lambda: not cluster.server.running and not alive(server)), "who still writes there"
        shutil.rmtree(cluster.server.data)
        standby.start()
        standby.promote()
        heard.read()
        with service(standby.of(own), initialise=False, WEB_CONCURRENCY="1") as after:
            assert refusal(after) == (503, "/problems/restored-database")
            said = heard.read()
        assert "the database was restored to an earlier state. Run `manage.py recover_ledger`" in said


def test_a_promoted_standby_that_lacks_what_was_published_neither_seals_nor_issues(
    cluster: Cluster, own: Database, service: ServiceFactory, tmp_path: Path
) -> None:
    running = service(own, WEB_CONCURRENCY="1")
    with Standby(cluster) as standby, Sealer(own):
        asyncio.run(load(running.port, 50))
        until_published(own, 50)
        followed = standby.of(own)
        assert eventually(lambda: published(followed) == 50)
        standby.stop()
        asyncio.run(load(running.port, 50))
        until_published(own, 100)
        running.stop()
        cluster.server.stop()
        shutil.rmtree(cluster.server.data)
        standby.start()
        standby.promote()
        before = (own.publication / CHECKPOINT).read_text()
        log = tmp_path / "log"
        after = service(followed, initialise=False, WEB_CONCURRENCY="1")
        assert refusal(after) == (503, "/problems/restored-database")
        with Sealer(followed, log=log):
            assert eventually(lambda: log.exists() and "Nothing is sealed" in log.read_text())
        after.stop()
        (line,) = log.read_text().splitlines()
        assert "CRITICAL" in line
        assert "log has 50 leaves, but a checkpoint of 100 was published" in line
        assert (own.publication / CHECKPOINT).read_text() == before
        assert (state(followed)["size"], ledger.count(followed.owner_url)) == (50, 50)


@pytest.mark.parametrize("function", ["pg_cancel_backend", "pg_terminate_backend"])
def test_nothing_is_signed_that_the_standby_may_not_have(
    own: Database, service: ServiceFactory, tmp_path: Path, function: str
) -> None:
    """A commit whose wait for the standby is cancelled is visible, and may be lost with the server that has it."""
    log = tmp_path / "log"
    running = service(own, WEB_CONCURRENCY="1")
    with ledger.reading(own.owner_url) as session:

        def waits() -> bool:
            return session.execute(f"SELECT count(*) FROM {WAITING}").fetchone() == (1,)

        with Sealer(own, log=log) as sealer:
            asyncio.run(load(running.port, 20))
            until_published(own, 20)
            before = (own.publication / CHECKPOINT).read_text()
            os.kill(sealer.pid, signal.SIGSTOP)
            asyncio.run(load(running.port, 20))
            wait_for(own, NOBODY)
            os.kill(sealer.pid, signal.SIGCONT)
            try:
                assert eventually(waits)
                assert session.execute(f"SELECT {function}(pid) FROM {WAITING}").rowcount == 1
                assert eventually(lambda: state(own)["size"] == 40), "it is committed here, with a warning"
                assert eventually(waits), "the next one waits for all that was committed"
                assert (own.publication / CHECKPOINT).read_text() == before
                assert published(own) == 20
            finally:
                wait_for(own, "")
            until_published(own, 40)
            assert eventually(lambda: "Sealing goes on, with 40 leaves." in log.read_text())
    running.stop()
    assert "Traceback" not in log.read_text()
    naive_log.check_published(own, naive_log.check(own))
