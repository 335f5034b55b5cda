"""A service whose database is destroyed: what its clients and auditors have by then, and what they must find after."""

import asyncio
import gzip
import os
import shutil
import signal
from bisect import bisect_right
from collections.abc import Iterable
from functools import cache
from math import inf
from typing import Any

import httpx
import msgspec
from psycopg.types.multirange import Multirange

from core import databases
from core.session import Session
from issuance.allocator import Allocator
from issuance.domain.number import Numbering
from issuance.fence import FileFence
from ledger.domain import note
from ledger.domain.tiles import WIDTH
from ledger.publication import CHECKPOINT, ENTRIES
from tests.plugin import Cluster, Database
from tests.support.clients.client_crowd import Crowd
from tests.support.clients.load import load
from tests.support.clients.orders import PATH, query
from tests.support.database import ledger
from tests.support.log import naive_log
from tests.support.log.answer_record import Line
from tests.support.log.checker import Checker, check_checkpoints
from tests.support.processes.commands import command
from tests.support.processes.proc import alive, eventually, family
from tests.support.processes.sealers import seal
from tests.support.processes.secret_keys import NUMBER_KEY
from tests.support.processes.service import Service, ServiceFactory

NUMBERS = Numbering(bytes.fromhex(NUMBER_KEY))


class Witness:
    """Somebody outside: keeps what was answered, in order, and each checkpoint that was shown."""

    def __init__(self) -> None:
        self.answers: list[Line] = []
        self.published = 0
        """How many of the answers a checkpoint covered when it was looked at last."""
        self.seen: list[str] = []
        self.more: set[str] = set()
        """Numbers that were answered, too, and are not published; there are too many to keep all that was said."""

    def asks(self, port: int, count: int) -> None:
        """Have so many numbers issued."""
        outcome = asyncio.run(load(port, count, patience=60))
        assert len(outcome.numbers) == count
        self.keeps(answer.document for answer in outcome.answers)

    def keeps(self, documents: Iterable[dict[str, Any]]) -> None:
        """Keep answers."""
        self.answers += map(_line, documents)

    def looks(self, database: Database) -> None:
        """Have all that was answered published, and keep the checkpoint."""
        seal(database, len(self.answers))
        self.published = len(self.answers)
        self.seen.append((database.publication / CHECKPOINT).read_text())

    def overhears(self, crowd: Crowd, database: Database) -> None:
        """Take over what others were answered and shown; the bundles tell what of it is published."""
        answers = [line for line in crowd.unchecked() if line.number]
        outside = (database.publication / CHECKPOINT).read_text()
        there = _bundled(database, note.read(outside, naive_log.KEY)[0].size)
        self.answers = sorted(answers, key=lambda line: line.number not in there)
        self.published = sum(line.number in there for line in answers)
        self.seen = [*crowd.seen(), outside]

    @property
    def numbers(self) -> set[str]:
        """All that were answered."""
        return {line.number for line in self.answers} | self.more


def destroy(cluster: Cluster, *running: Service) -> None:
    """End PostgreSQL as a power cut does, and throw away its disk."""
    server = family(cluster.server.pid)
    os.kill(cluster.server.pid, signal.SIGKILL)
    for each in running:
        each.stop()
    assert eventually(lambda: not cluster.server.running and not alive(server)), "who still writes there"
    cluster.server.stop()
    shutil.rmtree(cluster.server.data)


def lease(database: Database, count: int) -> None:
    """Lease blocks as a busy service would in the hours after a backup; nothing is issued from them."""

    async def run() -> None:
        session = await Session.connect(database.url, databases.APPLICATION_ROLE)
        allocator = Allocator(FileFence(database.fence), 0, NUMBERS.fingerprint, databases.APPLICATION_ROLE)
        for most in range(count, 0, -1000):
            await allocator.lease(session, 1, min(most, 1000))
        session.close()

    asyncio.run(run())


def recover(restored: Database, before: Witness, service: ServiceFactory, *, after: int) -> list[Line]:
    """Recover a restored database that lacks what was answered last, and go on; returns the answers that are lost.

    Asserts that nothing is issued before, that all that was published is there again, that the rest is there or
    reported, that no number comes a second time, and that the log goes on as whoever saw it before must expect.

    Args:
        after: how many numbers are issued then.
    """
    running = service(restored, initialise=False, WEB_CONCURRENCY="1")
    assert _refuses(running)
    events, outside = ledger.count(restored.owner_url), (restored.publication / CHECKPOINT).read_text()
    fence = restored.fence.read_bytes()
    asked = command(restored, "recover_ledger")
    assert "With --yes this command would" in asked.stdout, asked.stderr
    assert _refuses(running)
    assert ledger.count(restored.owner_url) == events, "to be told changes nothing"
    assert restored.fence.read_bytes() == fence

    done = command(restored, "recover_ledger", "--yes")
    assert done.returncode == 0, done.stderr
    assert (restored.publication / CHECKPOINT).read_text() == outside
    lost = _lost(restored, before)

    now = Witness()
    seal(restored, before.published)
    now.asks(running.port, after)  # from more than one block
    seal(restored, ledger.count(restored.owner_url))
    running.stop()
    assert not before.numbers & now.numbers, "a number of before the restore came again"
    _check(restored, [line for line in before.answers if line.number not in lost] + now.answers)
    seen = [*before.seen, (restored.publication / CHECKPOINT).read_text()]
    assert not check_checkpoints(seen, restored.owner_url, naive_log.KEY)
    verified = command(restored, "verify_ledger")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    again = command(restored, "recover_ledger")
    assert (again.returncode, "Nothing is missing" in again.stdout) == (0, True), again.stderr
    return [line for line in before.answers if line.number in lost]


@cache
def serial(number: str) -> int:
    """What a number stands for; each of a million is asked for by every restore."""
    return NUMBERS.decode(number).serial


def reported(database: Database) -> "Multirange[int]":
    """The serials that recoveries have reported as lost."""
    with ledger.reading(database.owner_url) as session:
        (found,) = session.execute("SELECT range_agg(lost) FROM recovery").fetchone() or (None,)
    assert isinstance(found, Multirange)
    return found


def _lost(restored: Database, before: Witness) -> set[str]:
    """The numbers that were answered and are not there: reported, each of them, and none that is there."""
    there = set(ledger.numbers(restored.owner_url))
    lost = before.numbers - there
    assert not lost & {line.number for line in before.answers[: before.published]}, "published, and not put back"
    ranges = [(each.lower or 0, each.upper or 0) for each in reported(restored)]

    def is_reported(number: str) -> bool:
        at = bisect_right(ranges, (serial(number), inf)) - 1
        return at >= 0 and serial(number) < ranges[at][1]

    assert all(map(is_reported, lost))
    assert not any(map(is_reported, before.numbers - lost))
    return lost


def _bundled(database: Database, size: int) -> set[str]:
    """The numbers of the first leaves, as the private bundles have them."""
    found: list[str] = []
    folder = database.publication / ENTRIES
    for position in range(-(-size // WIDTH)):
        file = folder / f"{position:03}"
        if not file.exists():
            file = folder / f"{position:03}.p/{size % WIDTH}"
        lines = gzip.decompress(file.read_bytes()).splitlines()[: size - position * WIDTH]
        found += [msgspec.json.decode(line.partition(b" ")[2])["number"] for line in lines]
    assert len(found) == size
    return set(found)


def _check(database: Database, lines: list[Line]) -> None:
    checker = Checker(database.owner_url)
    checker.take(lines)
    checker.finish()
    assert checker.answers == len(lines)
    assert not checker.faults, checker.faults[:10]


def _line(document: dict[str, Any]) -> Line:
    return Line(
        client=0,
        request_id=document["request_id"],
        asked=0.0,
        answered=0.0,
        status=200,
        origin=document["origin_country_id"],
        destination=document["destination_country_id"],
        number=document["tracking_number"],
        created_at=document["created_at"],
        leaf_hash=document["leaf_hash"],
    )


def _refuses(service: Service) -> bool:
    """Whether no number is issued: from an older state, or from a database that knows of no allocator."""
    answer = httpx.get(f"{service.base_url}{PATH}?{query().decode()}", timeout=90)
    problems = {"/problems/restored-database", "/problems/issuing-refused"}
    return answer.status_code == 503 and answer.json()["type"] in problems
