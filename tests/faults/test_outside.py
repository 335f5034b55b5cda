"""The whole service with its fence in Valkey and its log in a bucket, through all that may befall them."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from ledger.domain.serial import BLOCK_SIZE
from tests.conftest import Length
from tests.plugin import CLUSTER, Database
from tests.support.clients.load import load
from tests.support.clients.orders import PATH, query
from tests.support.database import ledger
from tests.support.database.database_copies import duplicate
from tests.support.log import naive_log
from tests.support.processes.commands import command
from tests.support.processes.proc import alive, eventually, family
from tests.support.processes.sealers import COMMAND, Sealer, published, until_published
from tests.support.processes.service import Service
from tests.support.processes.threads import Meanwhile
from tests.support.servers.fence_valkey import SafeValkey, safe_valkey
from tests.support.servers.object_store import BUCKET, Fault, Request, Store, store

PREFIX = "log/"
FAULTS = (Fault.BUSY, Fault.BROKEN, Fault.REFUSED, Fault.LOST)
SLOW = (Fault.SILENT, Fault.LATE)
"""Each of these costs the seconds that an answer is waited for."""


@pytest.fixture(scope="module")
def bucket() -> Iterator[Store]:
    """A store."""
    with store() as made:
        yield made


@pytest.fixture(scope="module")
def valkey() -> Iterator[SafeValkey]:
    """A Valkey."""
    with safe_valkey() as made:
        yield made


@pytest.fixture
def own(bucket: Store, valkey: SafeValkey) -> Iterator[Database]:
    """A database of its own, and nothing outside it yet."""
    for name in bucket.objects():
        bucket.client.delete_object(Bucket=BUCKET, Key=name)
    bucket.checkpoints.clear()
    valkey.command("FLUSHALL")
    made = CLUSTER.create()
    yield made
    bucket.back()
    valkey.up = True
    CLUSTER.drop(made)


@pytest.fixture
def outside(valkey: SafeValkey, bucket: Store) -> dict[str, str]:
    """The settings that lead there."""
    return {"FENCE": valkey.url, "PUBLICATION": f"s3://{BUCKET}/{PREFIX}", **bucket.settings}


def start(database: Database, settings: dict[str, str], *, web: int = 1, initialise: bool = True) -> Service:
    """The service, with everything outside the database."""
    return Service(database, initialise=initialise, **{"WEB_CONCURRENCY": str(web), **settings})


def seal(database: Database, settings: dict[str, str], log: Path | None = None) -> Sealer:
    """A sealer, likewise."""
    return Sealer(database, log=log, command=COMMAND, **settings)


def problem(running: Service) -> tuple[int, str]:
    """What an order is answered with."""
    answer = httpx.get(f"{running.base_url}{PATH}?{query().decode()}", timeout=90)
    return answer.status_code, answer.json().get("type", "")


def kill(*pids: int) -> None:
    """End processes and all that they have started, at once."""
    all_of_them = set().union(*(family(pid) for pid in pids))
    for pid in all_of_them:
        with suppress(ProcessLookupError):  # a worker goes when its master does
            os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: alive(all_of_them) == [])


def blocks(database: Database) -> int:
    """How many blocks were leased."""
    with ledger.reading(database.owner_url) as session:
        row = session.execute("SELECT count(*) FROM number_block").fetchone()
        assert row is not None
        return int(row[0])


class Reader(Meanwhile):
    """Reads the checkpoint that is served, over and over, and keeps those that were not published by then."""

    def __init__(self, port: int, bucket: Store) -> None:
        self.port = port
        self.served: set[str] = set()
        self.premature: list[str] = []
        self._bucket = bucket
        super().__init__()

    def work(self) -> None:
        while not self.done.wait(0.02):
            try:
                answer = httpx.get(f"http://127.0.0.1:{self.port}/checkpoint", timeout=10)
            except httpx.TransportError:
                continue
            if answer.status_code == 200 and answer.text not in self.served:
                self.served.add(answer.text)
                if answer.content not in self._bucket.checkpoints:
                    self.premature.append(answer.text)


def test_killed_and_cut_off_again_and_again_it_publishes_all_and_contradicts_nothing(
    own: Database, valkey: SafeValkey, bucket: Store, outside: dict[str, str], tmp_path: Path, *, length: Length
) -> None:
    count, web = length((500, 1), (1_500, 2))
    chance, slow = random.Random(7), list(SLOW)

    def at_random(request: Request) -> Fault | None:
        if slow and request.method == "PUT" and chance.random() < 0.1:
            return slow.pop()
        return chance.choice(FAULTS) if chance.random() < 0.2 else None

    settings = outside | {"PUBLICATION_SECONDS": "0.1"}
    numbers: list[str] = []
    running = start(own, settings, web=web)
    with Reader(running.port, bucket) as reader:
        for last in (False, True):
            bucket.fault = at_random
            valkey.lost = 1
            with seal(own, settings, tmp_path / "log") as sealer:
                size = published(own)
                numbers += asyncio.run(load(running.port, count, connections=16, patience=120)).numbers
                assert eventually(lambda size=size: published(own) > size)  # type: ignore[misc]  # bound here
                while last and not set(bucket.made) >= {*FAULTS, *SLOW}:  # as many publications as it takes
                    numbers += asyncio.run(load(running.port, 100, connections=16, patience=120)).numbers
                if last:
                    bucket.back()
                    until_published(own, ledger.count(own.owner_url))
                kill(sealer.pid, running.pid)
            running = start(own, settings, web=web, initialise=False)
            reader.port = running.port
        numbers += asyncio.run(load(running.port, 50, patience=60)).numbers
        with seal(own, settings):
            until_published(own, ledger.count(own.owner_url))
        proof = httpx.get(f"{running.base_url}/v1/tracking-numbers/{numbers[-1]}/proof", timeout=60)
        assert proof.text.startswith("c2sp.org/tlog-proof@v1\n")
    running.stop()

    assert len(set(numbers)) == len(numbers) >= 2 * count * 5 // 6
    assert valkey.lost == 0
    bucket.download(PREFIX, own.publication)
    log = naive_log.check(own)
    naive_log.check_published(own, log)
    sizes = [naive_log.check_checkpoint(text.decode(), log) for text in bucket.checkpoints]
    assert sizes == sorted(sizes), "the checkpoint outside has gone back"
    assert len(set(bucket.checkpoints)) == len(set(sizes)), "it said two things of one size"
    assert reader.served
    assert reader.premature == [], "it was served before it was published"
    verified = command(own, "verify_ledger", **settings)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_restored_database_is_told_by_the_fence_and_by_the_checkpoint(
    own: Database, outside: dict[str, str], tmp_path: Path
) -> None:
    def issue(count: int) -> None:
        running = start(own, outside)
        assert len(asyncio.run(load(running.port, count)).numbers) == count
        with seal(own, outside):
            until_published(own, ledger.count(own.owner_url))
        running.stop()

    issue(30)
    restored = CLUSTER.database(f"{own.name}_restored")
    duplicate(own, restored)
    issue(10)
    lost = f"{blocks(restored)} to {blocks(own) - 1}"
    refused = command(restored, "init_allocator", **outside)
    assert refused.returncode == 1
    assert "restored to an earlier state" in refused.stderr
    running = start(restored, outside, initialise=False)
    assert problem(running) == (503, "/problems/restored-database")
    said = tmp_path / "log"
    with seal(restored, outside, said):
        assert eventually(lambda: said.exists() and "a checkpoint of 40 was published" in said.read_text())
        assert f"write off blocks {lost}" in command(restored, "recover_ledger", **outside).stdout
        assert f"Wrote off blocks {lost}" in command(restored, "recover_ledger", "--yes", **outside).stdout
        assert ledger.count(restored.owner_url) == 40, "from the bucket, while a sealer waits"
        assert eventually(lambda: problem(running)[0] == 200)
        until_published(restored, 41)
    running.stop()
    CLUSTER.drop(restored)


def test_a_fence_that_another_database_has_or_that_is_empty_is_refused(
    own: Database, valkey: SafeValkey, outside: dict[str, str]
) -> None:
    start(own, outside).stop()
    other = CLUSTER.create()
    refused = command(other, "init_allocator", **outside)
    assert refused.returncode == 1
    assert "is in use, but the database knows of no allocator" in refused.stderr
    CLUSTER.drop(other)
    valkey.command("FLUSHALL")
    refused = command(own, "init_allocator", **outside)
    assert refused.returncode == 1
    assert "The database has an allocator, but there is no fence at tracking:fence:0 in Redis" in refused.stderr


def test_while_the_fence_is_away_it_issues_what_it_has_leased_and_goes_on_when_it_is_back(
    own: Database, valkey: SafeValkey, outside: dict[str, str]
) -> None:
    with start(own, outside) as running:
        assert len(asyncio.run(load(running.port, 20)).numbers) == 20
        valkey.up = False
        left = blocks(own) * BLOCK_SIZE - 20  # where a lease took long, more than one is leased ahead
        meanwhile = asyncio.run(load(running.port, left + 200, connections=4))
        assert len(meanwhile.numbers) == left, "what is in hand is used to its end"
        assert {answer.document["type"] for answer in meanwhile.refused} == {"/problems/database-unavailable"}
        valkey.up = True
        assert len(asyncio.run(load(running.port, 100, patience=60)).numbers) == 100


def test_while_the_bucket_is_away_sessions_issue_new_ones_wait_and_both_go_on_when_it_is_back(
    own: Database, bucket: Store, outside: dict[str, str], tmp_path: Path
) -> None:
    said = tmp_path / "log"
    with start(own, outside) as running, seal(own, outside, said):
        asyncio.run(load(running.port, 20))
        until_published(own, 20)
        bucket.away()
        assert len(asyncio.run(load(running.port, 20)).numbers) == 20
        with start(own, outside, initialise=False) as late:
            assert problem(late) == (503, "/problems/database-unavailable")
            assert eventually(lambda: said.exists() and "Sealing has stopped" in said.read_text())
            assert published(own) == 20
            bucket.back()
            assert len(asyncio.run(load(late.port, 20, patience=60)).numbers) == 20
            until_published(own, 60)
