"""The order argument on a real PostgreSQL: whatever happens to writers, each event is sealed once, none too late."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from ledger.domain.sealing import Cursor
from ledger.domain.serial import BLOCK_SIZE
from ledger.sealer import Sealer as Active
from ledger.writers import LOCKED
from tests.conftest import Length
from tests.plugin import CLUSTER, Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.log import naive_log
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published, sealing, state, until_published
from tests.support.processes.service import Service, ServiceFactory
from tests.support.processes.threads import Meanwhile

# Batches stay open for up to a twentieth of a second, so that whatever strikes finds some that are not committed.
SLOW = """
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(random() / 20); RETURN NULL; END $$;
    CREATE TRIGGER slow AFTER INSERT ON issuance_event FOR EACH STATEMENT EXECUTE FUNCTION slow();
    ALTER TABLE issuance_event ADD CHECK (destination <> 'ZW');"""
AT_WORK = "FROM pg_stat_activity WHERE application_name = 'tracking-writer' AND datname = current_database()"
FROZEN_SECONDS = 2.0
NOBODY_WRITES = f"SELECT NOT EXISTS ({LOCKED})"
USED_UP = f"SELECT count(*) FROM block_cursor WHERE last_serial % {BLOCK_SIZE} = {BLOCK_SIZE - 1}"


@pytest.fixture
def own() -> Iterator[Database]:
    made = CLUSTER.create()
    with ledger.reading(made.owner_url) as session:
        session.execute(SLOW)
    yield made
    CLUSTER.drop(made)


class Striker(Meanwhile):
    """Kills, ends, freezes writers while they are at work, one after the other, until it is told to stop."""

    def __init__(self, database: Database, running: Service, each: int) -> None:
        self.struck: Counter[str] = Counter()
        self.sealed_meanwhile: list[bool] = []
        self._database = database
        self._running = running
        self._each = each
        self._chance = random.Random(3)
        super().__init__()

    @property
    def enough(self) -> bool:
        return all(self.struck[way] >= self._each for way in ("killed", "ended", "frozen"))

    def work(self) -> None:
        ways: list[Callable[[], str | None]] = [self._kill, self._end, self._freeze]
        while not self.done.wait(self._chance.random() / 2) and not self.enough:
            way = self._chance.choice(ways)()
            if way is not None:
                self.struck[way] += 1

    def _kill(self) -> str | None:
        """Kill a web process with -9 while its batch is under way."""
        with ledger.reading(self._database.owner_url) as session:
            if not eventually(lambda: session.execute(f"SELECT {AT_WORK} AND state = 'active'").rowcount > 1, 5):
                return None
        return "killed" if self._strike(signal.SIGKILL) else None

    def _end(self) -> str | None:
        with ledger.reading(self._database.owner_url) as session:
            statement = f"SELECT pg_terminate_backend(pid) {AT_WORK} AND state = 'active' LIMIT 1"
            return "ended" if session.execute(statement).rowcount else None

    def _freeze(self) -> str | None:
        """Stop a web process with a block open; what the others issue is sealed all the same."""
        pid = self._strike(signal.SIGSTOP)
        if pid is None:
            return None
        before = published(self._database)
        # Over connections of its own: those of the load may all be the frozen one's.
        asyncio.run(load(self._running.port, 20, connections=4))
        time.sleep(FROZEN_SECONDS)
        self.sealed_meanwhile.append(eventually(lambda: published(self._database) > before))
        os.kill(pid, signal.SIGCONT)
        return "frozen"

    def _strike(self, how: signal.Signals) -> int | None:
        """Signal one of the web processes, unless it has just ended."""
        with suppress(ProcessLookupError, IndexError):
            os.kill(pid := self._chance.choice(self._running.worker_pids), how)
            return pid
        return None


@pytest.mark.timeout(600)
def test_whatever_happens_to_writers_every_visible_event_is_sealed_once_and_none_appears_behind_a_cursor(
    own: Database, service: ServiceFactory, length: Length
) -> None:
    running = service(own, WEB_CONCURRENCY=length("3", "4"), DEADLINE="30")
    numbers: list[str] = []
    statuses: Counter[int] = Counter()
    with Sealer(own), ledger.reading(own.owner_url) as elsewhere:
        elsewhere.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        elsewhere.execute("SELECT pg_current_xact_id(), count(*) FROM issuance_event")
        until = time.monotonic() + 300
        with Striker(own, running, length(1, 3)) as striker:
            while time.monotonic() < until and not (striker.enough and row(own, USED_UP) > (0,)):
                outcome = asyncio.run(
                    load(running.port, length(800, 1_500), connections=64, poison=length(0.01, 0.002))
                )
                numbers += outcome.numbers
                statuses.update(answer.status for answer in outcome.refused)
        assert eventually(lambda: row(own, "SELECT count(DISTINCT writer) FROM number_block") > (length(4, 8),))
        running.stop()
        until_published(own, ledger.count(own.owner_url))
        (end, writers) = row(own, "SELECT max(id) + 1, count(DISTINCT writer) FROM number_block")
        assert eventually(lambda: state(own)["closed_below"] == end), "each block of a writer that is gone is closed"
        assert elsewhere.execute("SELECT count(*) FROM issuance_event").fetchone() == (0,), (
            "it saw one moment all along"
        )

    assert striker.enough, striker.struck
    assert all(striker.sealed_meanwhile), striker.sealed_meanwhile
    assert statuses[500] > 0, "the database has refused rows"
    assert writers > length(4, 8)
    assert row(own, USED_UP) > (0,), "blocks were used up"
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= set(ledger.numbers(own.owner_url)), "what was answered is in the ledger"
    log = naive_log.check(own)
    naive_log.check_published(own, log)


def test_what_a_writer_commits_behind_a_ticks_back_before_it_ends_is_sealed_by_the_next(
    own: Database, service: ServiceFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a writer is gone is looked at before the snapshot: what is gone after it may have committed after it."""
    running = service(own, WEB_CONCURRENCY="1")
    assert len(asyncio.run(load(running.port, 5)).numbers) == 5
    discover = Active._discover
    with sealing(own) as active:
        assert active.tick() == 5

        def take_the_snapshot_and_see_it_end(sealer: Active, cursors: dict[int, Cursor]) -> None:
            discover(sealer, cursors)
            if running.running:
                assert len(asyncio.run(load(running.port, 3)).numbers) == 3
                running.stop()
                assert eventually(lambda: row(own, NOBODY_WRITES) == (True,)), "a backend takes a moment to leave"

        monkeypatch.setattr(Active, "_discover", take_the_snapshot_and_see_it_end)
        assert active.tick() == 0
        assert active.tick() == 3
    naive_log.check_published(own, naive_log.check(own))


def row(database: Database, query: str) -> tuple[int, ...]:
    with ledger.reading(database.owner_url) as session:
        found = session.execute(query).fetchone()
        assert found is not None
        return found
