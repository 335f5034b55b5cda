"""The disk of the tables is full: no number, a sentence in the log, reads go on, and all else once there is room."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from tests.logs import Heard
from tests.plugin import CLUSTER, Database
from tests.support.clients.http import ask
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.processes.service import ServiceFactory
from tests.support.servers.disks import fill, small_disk

MOST = 20_000
"""Numbers that a table's last pages may still take."""


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small file system of its own, which PostgreSQL may write to; only root can make it."""
    with tempfile.TemporaryDirectory(prefix="disk-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        CLUSTER.drop(CLUSTER.create())  # it runs from here on
        with small_disk(place, 64 << 20, CLUSTER.server.data.stat().st_uid) as mounted:
            if not mounted:
                pytest.skip("left out, since only root can mount a small file system")
            yield place


@pytest.fixture
def small(disk: Path) -> Iterator[Database]:
    """A database whose tables are there."""
    made = CLUSTER.create()
    with ledger.reading(CLUSTER.server.url()) as session:
        session.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(disk))))
        session.execute(sql.SQL("ALTER DATABASE {} SET TABLESPACE small").format(sql.Identifier(made.name)))
        yield made
        CLUSTER.drop(made)
        session.execute("DROP TABLESPACE small")


def test_a_full_disk_stops_issuing_with_a_sentence_and_not_reading(
    small: Database, disk: Path, service: ServiceFactory, heard: Heard
) -> None:
    running = service(small, WEB_CONCURRENCY="1")
    issued = asyncio.run(load(running.port, 200)).numbers
    filler = fill(disk)
    full = asyncio.run(load(running.port, MOST, connections=64))
    issued += full.numbers
    assert {answer.document["type"] for answer in full.refused} == {"/problems/database-unavailable"}
    assert ask(running.port, f"/v1/tracking-numbers/{issued[0]}/proof").json()["type"] == "/problems/not-yet-sealed"
    filler.unlink()
    issued += (again := asyncio.run(load(running.port, 200, patience=60)).numbers)
    assert len(again) == 200
    assert sorted(ledger.numbers(small.owner_url)) == sorted(issued)
    said = [line for line in heard.read().splitlines() if "No number is issued" in line]
    assert any("No space left on device. Make room on its disk; issuing goes on by itself." in line for line in said)
    running.stop()
