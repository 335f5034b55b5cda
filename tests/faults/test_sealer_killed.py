"""The sealer killed at each step, or kept from publishing: the next goes on, and nothing published is contradicted."""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.domain import merkle
from ledger.publication import CHECKPOINT
from tests.conftest import Length
from tests.plugin import CLUSTER, Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.database_copies import duplicate
from tests.support.log import naive_log
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published, sealing, state, until_published
from tests.support.processes.service import Service, ServiceFactory
from tests.support.processes.threads import Meanwhile
from tests.support.programs.dying_sealer import STEPS, ended_by
from tests.support.servers.disks import fill, small_disk

HISTORIES = {"the first leaves": (0, 300), "leaves that fill a tile": (200, 56)}
"""How many leaves there are, and how many events more."""
_ORDER = list(STEPS)
COMMITTED, RECORDED = _ORDER.index("the commit"), _ORDER.index("the record")


class Witness(Meanwhile):
    """Keeps every checkpoint that was outside, in their order."""

    def __init__(self, database: Database) -> None:
        self.seen: dict[str, None] = {}
        self._file = database.publication / CHECKPOINT
        super().__init__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._look()

    def _look(self) -> None:
        if self._file.exists():
            self.seen[self._file.read_text()] = None

    def work(self) -> None:
        self._look()
        while not self.done.wait(0.005):
            self._look()


def issue(running: Service, count: int) -> None:
    assert len(asyncio.run(load(running.port, count, connections=8)).numbers) == count


def check_all(database: Database, witness: Witness) -> None:
    """Tables, files, and every checkpoint that anybody can have seen."""
    log = naive_log.check(database)
    naive_log.check_published(database, log)
    sizes = [naive_log.check_checkpoint(text, log) for text in witness.seen]
    assert sizes == sorted(set(sizes)), "the outside moves forward only, and says one thing of each size"
    with ledger.reading(database.owner_url) as session:
        history = {size for (size,) in session.execute("SELECT size FROM checkpoint")}
    assert set(sizes) <= history, "what was published is in the history"
    for old, new in itertools.pairwise(sizes):
        proof = [log.mth(*leaves) for leaves in merkle.consistency_path(old, new)]
        merkle.verify_consistency(old, new, log.root(old), log.root(new), proof)


def tick(database: Database) -> None:
    with sealing(database) as active:
        active.tick()


@pytest.fixture(scope="module", params=list(HISTORIES.values()), ids=list(HISTORIES))
def history(request: pytest.FixtureRequest, service: ServiceFactory) -> Iterator[Database]:
    """A log that is published, and events that are to be sealed."""
    leaves, more = request.param
    own = CLUSTER.create()
    running = service(own, WEB_CONCURRENCY="2")
    if leaves:
        issue(running, leaves)
        with sealing(own) as active:
            active.tick()
    issue(running, more)
    running.stop()
    yield own
    CLUSTER.drop(own)


@pytest.fixture
def copy(history: Database) -> Iterator[Database]:
    made = CLUSTER.database(f"{history.name}_copy")
    duplicate(history, made)
    if history.publication.exists():
        shutil.copytree(history.publication, made.publication)
    yield made
    CLUSTER.drop(made)


@pytest.mark.parametrize("step", STEPS)
def test_after_a_sealer_was_killed_the_next_one_goes_on_where_it_was(copy: Database, step: str) -> None:
    issued, before = ledger.count(copy.owner_url), state(copy)
    committed, recorded = _ORDER.index(step) >= COMMITTED, _ORDER.index(step) >= RECORDED
    with Witness(copy) as witness:
        assert ended_by(lambda: tick(copy), step, signal.SIGKILL) == -signal.SIGKILL
        after = state(copy)
        assert after["size"] == (issued if committed else before["size"])
        assert after["published_size"] == (issued if recorded else before["published_size"])
        naive_log.check(copy, whole=False)
        with sealing(copy) as following:
            assert following.tick() == (0 if committed else issued - before["size"])
    assert published(copy) == issued
    check_all(copy, witness)


def test_a_sealer_killed_again_and_again_under_load_seals_everything_once(
    database: Database, service: ServiceFactory, length: Length
) -> None:
    running, pauses = service(database, WEB_CONCURRENCY="2"), length((0.35, 0.05), (0.1, 0.35, 0.2, 0.05))
    done = threading.Event()

    def issue_on() -> None:
        while not done.is_set():
            issue(running, 60)

    issuing = threading.Thread(target=issue_on)
    with Witness(database) as witness:
        issuing.start()
        try:
            for more in pauses:
                with Sealer(database) as sealer:
                    reached = published(database)
                    assert eventually(lambda: published(database) > reached)  # noqa: B023
                    time.sleep(more)
                    os.kill(sealer.pid, signal.SIGKILL)
        finally:
            done.set()
            issuing.join()
        issue(running, 10)  # for the last one, which is looked at when all is over
        with sealing(database) as last:
            while last.tick():
                pass
    assert published(database) == ledger.count(database.owner_url)
    assert len(witness.seen) > len(pauses)
    check_all(database, witness)
    running.stop()


@pytest.fixture
def on_a_disk() -> Iterator[Database]:
    """A database whose publication has a file system of its own, of one megabyte; only root can make it."""
    own = CLUSTER.create()
    own.publication.mkdir()
    with small_disk(own.publication, 1 << 20) as mounted:
        if mounted:
            yield own
    CLUSTER.drop(own)
    if not mounted:
        pytest.skip("a file system can't be mounted here")


def test_a_full_disk_and_one_that_may_only_be_read_stop_sealing_and_not_issuing(
    on_a_disk: Database, service: ServiceFactory, tmp_path: Path
) -> None:
    place, log = on_a_disk.publication, tmp_path / "log"

    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)

    def said(what: str, before: int) -> bool:
        return any(what in line for line in log.read_text().splitlines()[before:])

    running = service(on_a_disk, WEB_CONCURRENCY="1")
    obstacles: tuple[tuple[str, Callable[[], object], Callable[[], object]], ...] = (
        ("No space left on device", lambda: fill(place), (place / "filler").unlink),
        ("Read-only file system", lambda: remount("ro"), lambda: remount("rw")),
    )
    with Witness(on_a_disk) as witness, Sealer(on_a_disk, log=log):
        issue(running, 200)
        until_published(on_a_disk, 200)
        for reason, obstruct, clear in obstacles:
            reached, heard = published(on_a_disk), len(log.read_text().splitlines())
            obstruct()
            issue(running, 300)
            assert eventually(lambda: said(reason, heard))  # noqa: B023
            advice = f"{reason}. Make room, or let the sealer write there (PUBLICATION)."
            lines = log.read_text().splitlines()[heard:]
            assert all("ERROR" in line and "Sealing has stopped: " in line for line in lines)
            assert all(line.endswith(advice) for line in lines)
            issue(running, 50)
            assert published(on_a_disk) == reached
            clear()
            until_published(on_a_disk, reached + 350)
            assert eventually(lambda: said("Sealing goes on", heard))  # noqa: B023
    check_all(on_a_disk, witness)
    running.stop()
