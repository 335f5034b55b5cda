"""A web process whose publication is gone, or whose database was set back, issues nothing and says so."""

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest

from ledger import log
from ledger import sealer as sealer_module
from ledger.domain.entry import Event
from ledger.domain.tiles import WIDTH
from tests.plugin import CLUSTER, Database
from tests.support.clients.load import load
from tests.support.clients.orders import PATH, query
from tests.support.database import ledger
from tests.support.database.database_copies import duplicate
from tests.support.log import naive_log
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published, seal, sealing
from tests.support.processes.service import Service, ServiceFactory


def problem(running: Service) -> tuple[int, str]:
    """What an order is answered with."""
    answer = httpx.get(f"{running.base_url}{PATH}?{query().decode()}", timeout=20)
    return answer.status_code, answer.json().get("type", "")


def test_nothing_is_issued_from_a_database_that_is_behind_what_was_published(
    database: Database, service: ServiceFactory, tmp_path: Path
) -> None:
    before = service(database, WEB_CONCURRENCY="1")
    asyncio.run(load(before.port, 30))
    seal(database, 30)
    before.stop()
    restored = CLUSTER.database(f"{database.name}_restored")
    duplicate(database, restored)
    after = service(database, initialise=False, WEB_CONCURRENCY="1")
    asyncio.run(load(after.port, 10))
    seal(database, 40)
    after.stop()
    # The fence is its own guard, tested elsewhere; here it agrees, and the log alone tells.
    shutil.copytree(database.publication, restored.publication)
    checkpoint = (restored.publication / "public/checkpoint").read_text()
    (highest,) = ledger_highest(restored)
    restored.fence.write_text(database.fence.read_text().replace(f"{ledger_highest(database)[0]}}}", f"{highest}}}"))
    running = service(restored, initialise=False, WEB_CONCURRENCY="1")
    assert problem(running) == (503, "/problems/restored-database")
    with Sealer(restored, log=tmp_path / "log"):
        assert eventually(lambda: (tmp_path / "log").exists() and "Nothing is sealed" in (tmp_path / "log").read_text())
    assert "log has 30 leaves, but a checkpoint of 40 was published" in (tmp_path / "log").read_text()
    assert published(restored) == 30
    assert (restored.publication / "public/checkpoint").read_text() == checkpoint
    assert ledger.count(restored.owner_url) == 30
    running.stop()
    CLUSTER.drop(restored)


def test_a_database_with_another_history_than_was_published_is_neither_issued_from_nor_signed(
    service: ServiceFactory, tmp_path: Path
) -> None:
    """As large as what was published, so that its root alone tells."""
    first = CLUSTER.create()
    running = service(first, WEB_CONCURRENCY="1")
    asyncio.run(load(running.port, 5))
    seal(first, 5)
    checkpoint = (first.publication / "public/checkpoint").read_text()
    shutil.copy(first.publication / "public/checkpoint", tmp_path)
    running.stop()
    CLUSTER.drop(first)

    other, said = CLUSTER.create(), tmp_path / "log"
    running = service(other, WEB_CONCURRENCY="1")
    asyncio.run(load(running.port, 9))
    seal(other, 9)
    running.stop()
    shutil.copy(tmp_path / "checkpoint", other.publication / "public/checkpoint")
    running = service(other, initialise=False, WEB_CONCURRENCY="1")
    assert problem(running) == (503, "/problems/restored-database")
    with Sealer(other, log=said):
        assert eventually(lambda: said.exists() and "Nothing is sealed: The first 5 leaves" in said.read_text())
    assert "the database holds another history" in said.read_text()
    assert (other.publication / "public/checkpoint").read_text() == checkpoint
    assert (published(other), ledger.count(other.owner_url)) == (9, 9)
    running.stop()
    CLUSTER.drop(other)


def ledger_highest(database: Database) -> tuple[int]:
    """The highest block of a database."""
    with ledger.reading(database.owner_url) as session:
        row = session.execute("SELECT max(id) FROM number_block").fetchone()
        assert row is not None
        return (int(row[0]),)


@pytest.mark.parametrize("part", [300, 65_536])
def test_a_publication_put_back_from_an_old_copy_is_completed_part_by_part(
    service: ServiceFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    own = CLUSTER.create()
    running = service(own, WEB_CONCURRENCY="1")
    with sealing(own) as active:
        for count in (100, 1_300, 40):
            asyncio.run(load(running.port, count))
            assert active.tick() == count
            if count == 100:
                shutil.copytree(own.publication, tmp_path / "copy")
        asyncio.run(load(running.port, 7))
    running.stop()
    shutil.rmtree(own.publication)
    shutil.copytree(tmp_path / "copy", own.publication)
    monkeypatch.setattr(sealer_module, "MOST_EVENTS", part)
    read, asked = log.read_leaves, []

    def read_leaves(connection: log.Connection, begin: int, end: int) -> list[Event]:
        asked.append(end - begin)
        return read(connection, begin, end)

    monkeypatch.setattr(log, "read_leaves", read_leaves)
    with sealing(own) as following:
        assert max(asked) <= part + WIDTH, "memory must hold a part, not all that the copy lacks"
        assert following.tick() == 7
    naive_log.check_published(own, naive_log.check(own))
    CLUSTER.drop(own)


def test_nothing_is_issued_where_a_log_was_published_and_its_publication_is_gone(
    database: Database, service: ServiceFactory
) -> None:
    shutil.move(database.publication, database.publication.with_name("elsewhere"))
    running = service(database, initialise=False, WEB_CONCURRENCY="1")
    assert problem(running) == (503, "/problems/issuing-refused")
    shutil.move(database.publication.with_name("elsewhere"), database.publication)
    assert asyncio.run(load(running.port, 1, patience=60)).numbers
    running.stop()
