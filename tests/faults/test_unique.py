"""Several processes, two of them killed midway: no number twice, and every answered number in the ledger."""

import asyncio
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conftest import Length
from tests.plugin import Database
from tests.support.clients import bulk
from tests.support.clients.api_keys import make_key
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.processes.proc import eventually
from tests.support.processes.service import ServiceFactory

CALL = 10_000
SINGLES = 60_000
"""Of a million; they take as long as the rest of it in calls."""


@pytest.mark.timeout(1200)
def test_no_number_comes_twice_and_every_answered_number_is_in_the_ledger(
    database: Database, service: ServiceFactory, request: pytest.FixtureRequest, length: Length
) -> None:
    """By single requests and by calls, at the same time."""
    given: int = request.config.getoption("--numbers")
    wanted = given or length(5_000, 1_000_000)
    singles = min(SINGLES, wanted * 4 // 5)
    running = service(database, WEB_CONCURRENCY=length("4", "8"))
    key = make_key(database, "issue")
    before = set(running.worker_pids)
    victims = sorted(before)[:2]

    def kill_midway(answered: int) -> None:
        if answered == singles // 3:
            os.kill(victims[0], signal.SIGKILL)
        if answered == singles // 2:
            os.kill(victims[1], signal.SIGKILL)

    def call(count: int) -> list[str]:
        """The numbers of a call; none if its process was killed."""
        try:
            return bulk.numbers(bulk.post(running.port, key, bulk.orders(count)))
        except httpx.TransportError:
            return []

    left = wanted - singles
    sizes = [min(CALL, left - at) for at in range(0, left, CALL)]
    with ThreadPoolExecutor(2) as threads:
        calling = threads.map(call, sizes)
        outcome = asyncio.run(load(running.port, singles, connections=64, seconds=600, on_answer=kill_midway))
        calls = list(calling)
    answered = [*outcome.numbers, *(number for numbers in calls for number in numbers)]
    lost = sum(size for size, numbers in zip(sizes, calls, strict=True) if not numbers)

    assert eventually(lambda: bool(set(running.worker_pids) - before)), "gunicorn started others in their place"
    assert len(outcome.numbers) > 0.9 * singles
    assert calls.count([]) <= 2 * 2, "those of the killed processes"
    twice = [number for number, times in Counter(answered).items() if times > 1]
    assert not twice
    recorded = ledger.numbers(database.owner_url)
    assert len(recorded) == len(set(recorded))
    assert set(answered) <= set(recorded), "a number was answered that is not in the ledger"
    unanswered = len(recorded) - len(answered)
    assert unanswered <= outcome.broken + lost, "only requests of the killed processes may be in the ledger unanswered"
