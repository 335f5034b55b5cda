"""A standby: what is signed is on it, and when it is promoted, the log goes on there and contradicts nothing."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ledger.publication import CHECKPOINT
from tests.plugin import Cluster, Database
from tests.support import ledger, naive_log
from tests.support.load import load
from tests.support.orders import PATH, query
from tests.support.processes import eventually
from tests.support.sealing import Sealer, published, state, until_published
from tests.support.service import ServiceFactory
from tests.support.standby import NAME, Standby

NOBODY = "nobody_is_called_this"
WAITING = "pg_stat_activity WHERE application_name = 'tracking-sealer' AND wait_event = 'SyncRep'"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that may be stopped, and copied."""
    with tempfile.TemporaryDirectory(prefix="pair-") as folder:
        made = Cluster(Path(folder) / "a")
        yield made
        made.server.stop()


@pytest.fixture
def own(cluster: Cluster) -> Database:
    return cluster.create()


def wait_for(database: Database, name: str) -> None:
    """Have each commit wait for a standby of this name from now on; for none, if it is empty."""
    with ledger.reading(database.owner_url) as session:
        session.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        session.execute("SELECT pg_reload_conf()")
        shown = "SELECT current_setting('synchronous_standby_names')"
    with ledger.reading(database.owner_url) as session:
        assert eventually(lambda: session.execute(shown).fetchone() == (name,))


def test_a_promoted_standby_goes_on_with_the_log(cluster: Cluster, own: Database, service: ServiceFactory) -> None:
    numbers: list[str] = []
    with Standby(cluster) as standby:
        wait_for(own, NAME)
        running = service(own, WEB_CONCURRENCY="2")
        with Sealer(own):
            numbers += asyncio.run(load(running.port, 300)).numbers
            until_published(own, 300)

            def kill_midway(answered: int) -> None:
                if answered == 700:
                    os.kill(cluster.server.pid, signal.SIGKILL)

            numbers += asyncio.run(load(running.port, 1500, on_answer=kill_midway)).numbers
        running.stop()
        before = (own.publication / CHECKPOINT).read_text()
        standby.promote()
        promoted = standby.of(own)
        wait_for(promoted, "")
        after = service(promoted, initialise=False, WEB_CONCURRENCY="2")
        with Sealer(promoted):
            numbers += asyncio.run(load(after.port, 300, patience=20)).numbers
            until_published(promoted, ledger.count(promoted.owner_url))
        after.stop()
        log = naive_log.check(promoted)
        naive_log.check_published(promoted, log)
        assert 300 <= naive_log.check_checkpoint(before, log) < len(log.serials)
        assert len(numbers) >= 1300
        assert set(numbers) <= set(ledger.numbers(promoted.owner_url)), "what was answered is there"


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
        answer = httpx.get(f"{after.base_url}{PATH}?{query().decode()}", timeout=20)
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/restored-database")
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
