"""Four instances behind the shipped proxy, under load: stopped one by one, and one killed."""

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Length
from tests.plugin import Database
from tests.support.clients.load import Outcome, load
from tests.support.database import ledger
from tests.support.processes.haproxy import Balancer
from tests.support.processes.proc import eventually, family
from tests.support.processes.service import Service

CONNECTIONS = 16
SOME = 300
"""Answers before and after whatever happens."""
PLENTY = 1_000_000
_WRITERS = "SELECT coalesce(array_agg(DISTINCT writer), '{}') FROM number_block"
_OF_OTHERS = "SELECT FROM issuance_event JOIN number_block ON id = serial >> 10 WHERE writer <> ALL(%s) LIMIT 1"
_WRITING = """
    SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tracking-writer' AND datname = current_database()
       AND wait_event_type = 'Lock' AND query LIKE 'COPY%'"""

pytestmark = pytest.mark.timeout(600)  # five times four instances begin


class Instances:
    """Four web instances of one process each; each can be replaced by one at the same port."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.running: list[Service] = []
        for place in range(4):
            self.running.append(self._start(initialise=place == 0))

    @property
    def ports(self) -> list[int]:
        return [each.port for each in self.running]

    def restart(self, place: int) -> None:
        """Stop one as production is stopped, and start it again."""
        self.running[place].stop()
        with ledger.reading(self._database.owner_url) as session:
            ((before,),) = session.execute(_WRITERS)
            self.running[place] = self._start(PORT=str(self.running[place].port))
            assert eventually(lambda: session.execute(_OF_OTHERS, [before]).fetchone() is not None), (
                "the proxy sends requests to it again"
            )

    def stop(self) -> None:
        for each in self.running:
            os.kill(each.pid, signal.SIGINT)  # without the pause
            each.stop()

    def _start(self, *, initialise: bool = False, **given: str) -> Service:
        return Service(self._database, initialise=initialise, WEB_CONCURRENCY="1", DRAIN_SECONDS="5", **given)


@pytest.fixture(scope="module")
def instances(database: Database) -> Iterator[Instances]:
    made = Instances(database)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def balancer(
    instances: Instances, tool: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Balancer]:
    folder = tmp_path_factory.mktemp("proxy")
    with Balancer(tool("haproxy", "haproxy"), folder, instances.ports) as made:
        yield made


def test_all_four_are_stopped_one_by_one_and_no_request_fails(
    database: Database, instances: Instances, balancer: Balancer, length: Length
) -> None:
    before = ledger.count(database.owner_url)

    def restart_all() -> None:
        for place in range(4):
            instances.restart(place)

    outcome = loaded_during(balancer.port, restart_all, length(0.004, 0))
    assert outcome.broken == 0
    assert Counter(answer.status for answer in outcome.answers) == {200: len(outcome.numbers)}
    assert len(set(outcome.numbers)) == len(outcome.numbers)
    recorded = ledger.numbers(database.owner_url)
    assert set(outcome.numbers) <= set(recorded)
    assert len(recorded) == before + len(outcome.numbers), "no request was sent to two of them"


def test_of_one_that_is_killed_only_what_was_under_way_fails(
    database: Database, instances: Instances, balancer: Balancer, length: Length
) -> None:
    before = ledger.count(database.owner_url)
    victim = instances.running[0]

    def kill() -> None:
        with ledger.reading(database.owner_url) as session:
            session.execute("BEGIN")
            session.execute("LOCK TABLE issuance_event IN SHARE MODE")
            assert eventually(lambda: session.execute(_WRITING).fetchone() == (4,)), "each has something under way"
            for pid in family(victim.pid):
                os.kill(pid, signal.SIGKILL)
            session.execute("ROLLBACK")

    outcome = loaded_during(balancer.port, kill, length(0.004, 0))
    assert {answer.status for answer in outcome.refused} <= {502}
    failed = outcome.broken + len(outcome.refused)
    assert 0 < failed <= CONNECTIONS
    assert len(set(outcome.numbers)) == len(outcome.numbers)
    recorded = ledger.numbers(database.owner_url)
    assert set(outcome.numbers) <= set(recorded)
    assert len(recorded) - before - len(outcome.numbers) <= failed, "what failed may have been issued, and nothing else"


def loaded_during(port: int, happens: Callable[[], None], pause: float) -> Outcome:
    """What a load came to that lasted from before something happens until after, with pauses after each answer."""
    over, answered = threading.Event(), 0

    def on_answer(count: int) -> None:
        nonlocal answered
        answered = count
        time.sleep(pause)

    def until_more() -> None:
        before = answered
        assert eventually(lambda: answered > before + SOME)

    def ask() -> Outcome:
        given: dict[str, Any] = {"connections": CONNECTIONS, "on_answer": on_answer, "until": over.is_set}
        return asyncio.run(load(port, PLENTY, seconds=500, **given))

    with ThreadPoolExecutor(1) as threads:  # services are started by the main thread, which they end with
        asking = threads.submit(ask)
        try:
            until_more()
            happens()
            until_more()
        finally:
            over.set()
        return asking.result(120)
