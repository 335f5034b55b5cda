"""Eight processes, two of them killed midway: no number twice, and every answered number in the ledger."""

import asyncio
import os
import signal
from collections import Counter

import pytest

from tests.plugin import Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.processes.proc import eventually
from tests.support.processes.service import ServiceFactory


@pytest.mark.timeout(900)
def test_no_number_comes_twice_and_every_answered_number_is_in_the_ledger(
    database: Database, service: ServiceFactory, request: pytest.FixtureRequest
) -> None:
    wanted: int = request.config.getoption("--numbers")
    running = service(database, WEB_CONCURRENCY="8")
    before = set(running.worker_pids)
    victims = sorted(before)[:2]

    def kill_midway(answered: int) -> None:
        if answered == wanted // 3:
            os.kill(victims[0], signal.SIGKILL)
        if answered == wanted // 2:
            os.kill(victims[1], signal.SIGKILL)

    outcome = asyncio.run(load(running.port, wanted, connections=64, seconds=600, on_answer=kill_midway))

    assert eventually(lambda: bool(set(running.worker_pids) - before)), "gunicorn started others in their place"
    assert len(outcome.numbers) > 0.9 * wanted
    twice = [number for number, times in Counter(outcome.numbers).items() if times > 1]
    assert not twice
    recorded = ledger.numbers(database.owner_url)
    assert len(recorded) == len(set(recorded))
    assert set(outcome.numbers) <= set(recorded), "a number was answered that is not in the ledger"
    unanswered = len(recorded) - len(outcome.numbers)
    assert unanswered <= outcome.broken, "only requests of the killed processes may be in the ledger unanswered"
