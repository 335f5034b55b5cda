"""verify_ledger on ledgers that are what was signed: at rest, at work, empty, not sealed yet; and its exit codes."""

import asyncio
import io
import itertools
import sys
import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace

import psycopg
import pytest

from core.embedded import postgres
from core.progress import Progress
from ledger.domain.note import SignerKey
from tests.plugin import CLUSTER, LEDGER_KEY, Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.log.tampering import verify
from tests.support.processes.commands import command
from tests.support.processes.sealers import Sealer, published, seal, sealing, until_published
from tests.support.processes.service import Service, ServiceFactory

AWAY = {
    "PUBLICATION": "s3://bucket/log",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "test-key",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
}
"""A bucket that nobody answers for."""


@pytest.fixture(scope="module")
def running(database: Database, service: ServiceFactory) -> Service:
    return service(database, WEB_CONCURRENCY="2")


@pytest.fixture
def empty() -> Iterator[Database]:
    made = CLUSTER.create()
    yield made
    CLUSTER.drop(made)


def test_an_empty_ledger_fits(empty: Database) -> None:
    outcome = verify(empty)
    assert (outcome.code, outcome.faults) == (0, []), outcome
    assert "0 leaves, 0 full tiles and 0 checkpoints checked" in outcome.summary


def test_a_ledger_that_was_never_sealed_fits_and_its_events_are_counted(database: Database, running: Service) -> None:
    asyncio.run(load(running.port, 300))
    outcome = verify(database)
    assert (outcome.code, outcome.faults) == (0, []), outcome
    assert "0 leaves, 0 full tiles" in outcome.summary
    assert "300 events are not sealed yet. Everything fits." in outcome.summary


def test_a_sealed_ledger_fits_and_what_came_after_is_counted(database: Database, running: Service) -> None:
    seal(database, ledger.count(database.owner_url))
    sealed = published(database)
    asyncio.run(load(running.port, 7))
    outcome = verify(database)
    assert (outcome.code, outcome.faults) == (0, []), outcome
    assert f"{sealed} leaves, {sealed // 256} full tiles and " in outcome.summary
    assert "7 events are not sealed yet. Everything fits." in outcome.summary


def test_a_ledger_fits_while_numbers_are_issued_and_sealed(database: Database, running: Service) -> None:
    sizes: list[int] = []

    async def work() -> None:
        busy = asyncio.create_task(load(running.port, 900))
        while not busy.done():
            outcome = await asyncio.to_thread(verify, database)
            assert (outcome.code, outcome.faults) == (0, []), outcome
            sizes.append(int(outcome.summary.split()[0]))
        await busy

    with Sealer(database):
        for _ in range(7):
            asyncio.run(work())
            until_published(database, ledger.count(database.owner_url))
    assert len(set(sizes)) > 3, "the log grew meanwhile"


def test_chunks_of_any_size_give_the_same(
    database: Database, running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(load(running.port, 600))
    seal(database, ledger.count(database.owner_url))
    whole = verify(database).summary.partition(" checked in ")[0]
    for leaves, runs in ((1, 1), (255, 3), (257, 2_000)):
        monkeypatch.setattr("ledger.verify_pass._LEAVES_AT_ONCE", leaves)
        monkeypatch.setattr("ledger.verify_pass._RUNS_AT_ONCE", runs)
        outcome = verify(database)
        assert (outcome.code, outcome.faults) == (0, []), outcome
        assert outcome.summary.partition(" checked in ")[0] == whole


def test_memory_does_not_grow_with_the_log(service: ServiceFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """As much for a log several times as long, with runs and checkpoints in proportion."""
    monkeypatch.setattr("ledger.verify_pass._LEAVES_AT_ONCE", 256)
    monkeypatch.setattr("ledger.verify_pass._RUNS_AT_ONCE", 10)
    own = CLUSTER.create()
    grown = service(own, WEB_CONCURRENCY="1")
    peaks: list[int] = []
    with sealing(own) as active:
        for ticks in (30, 120):
            for _ in range(ticks):
                asyncio.run(load(grown.port, 50))
                active.tick()
            verify(own)  # what is kept for good is kept by now
            tracemalloc.start()
            outcome = verify(own)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert (outcome.code, outcome.faults) == (0, []), outcome
    assert outcome.summary.startswith("7500 leaves, 29 full tiles and 150 checkpoints")
    assert peaks[1] < 1.1 * peaks[0], peaks
    grown.stop()
    CLUSTER.drop(own)


@pytest.mark.usefixtures("running")
def test_the_command_ends_with_0_where_all_fits_with_1_where_not_and_says_how_fast_it_was(database: Database) -> None:
    fine = command(database, "verify_ledger")
    assert (fine.returncode, fine.stderr) == (0, ""), fine
    assert "leaves/s." in fine.stdout
    right, wrong = SignerKey.parse(LEDGER_KEY), SignerKey("log.test/tracking", bytes(32))
    assert command(database, "verify_ledger", "--key", str(right.verifier), LEDGER_KEY=wrong.export()).returncode == 0
    other = command(database, "verify_ledger", "--key", str(wrong.verifier))
    assert (other.returncode, "The ledger is not what was signed." in other.stderr) == (1, True), other


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["--key", "nonsense"], {}, "A verifier key is written name+id+base64."),
        ([], {"PUBLICATION": ""}, "Production needs PUBLICATION"),
        ([], {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}, "The ledger can't be read: connection"),
        ([], AWAY, "The publication can't be reached: "),
    ],
)
def test_what_can_not_be_checked_ends_with_2_and_says_why(
    database: Database, arguments: list[str], settings: dict[str, str], said: str
) -> None:
    done = command(database, "verify_ledger", *arguments, **settings)
    assert (done.returncode, said in done.stderr) == (2, True), done


def test_a_database_without_a_ledger_is_to_be_migrated() -> None:
    bare = CLUSTER.create()
    CLUSTER.drop(bare)
    postgres.create_database(CLUSTER.server.url(), bare.name)
    try:
        done = command(bare, "verify_ledger")
        assert (done.returncode, "manage.py migrate" in done.stderr) == (2, True), done
    finally:
        CLUSTER.drop(bare)


@pytest.mark.usefixtures("running")
def test_it_reads_and_never_writes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def show(*_: object) -> None:
        with psycopg.connect(database.owner_url) as session:
            told.extend(
                row[0]
                for row in session.execute(
                    "SELECT usename || ' ' || coalesce(backend_xid::text, 'nothing') FROM pg_stat_activity"
                    " WHERE datname = %s AND state = 'idle in transaction'",
                    [database.name],
                )
            )

    monkeypatch.setattr(Progress, "show", show)
    assert verify(database).code == 0
    assert f"{postgres.SERVING_LOGIN} nothing" in told


def test_progress_is_a_line_now_and_then_or_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    moments = itertools.count()
    monkeypatch.setattr("core.progress.time", SimpleNamespace(monotonic=lambda: next(moments)))
    plain = io.StringIO()
    monkeypatch.setattr(sys, "stderr", plain)
    progress = Progress()
    for done in range(100, 1_300, 100):
        progress.show(done, 1_200)
    progress.end()
    assert plain.getvalue().splitlines() == ["500 of 1,200 leaves", "1,000 of 1,200 leaves"]

    bar = Terminal()
    monkeypatch.setattr(sys, "stderr", bar)
    progress = Progress()
    progress.show(600, 1_200)
    progress.show(1_200, 1_200)
    progress.end()
    assert bar.getvalue() == f"\r[{'#' * 20}{'.' * 20}] 600 of 1,200 leaves \r[{'#' * 40}] 1,200 of 1,200 leaves \n"
