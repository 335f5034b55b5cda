"""Valkey is killed under load: the throttle lets everybody through, at once, and keeps its limits when it is back."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from core.embedded.valkey import Valkey
from tests.conftest import Length
from tests.plugin import Database
from tests.support.clients.load import Outcome, load
from tests.support.processes.proc import eventually
from tests.support.processes.service import Service, ServiceFactory
from tests.support.servers.throttle_valkey import patient, valkey

PER_ADDRESS = 100_000
"""More than a load here asks for; a thousand tokens come back in 0.6 s."""


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as made:
        yield made


@pytest.fixture(scope="module")
def running(database: Database, service: ServiceFactory, server: Valkey) -> Service:
    return service(database, REDIS_URL=patient(server, 0.5), THROTTLE_PER_ADDRESS=str(PER_ADDRESS))


def loaded(running: Service, count: int, midway: Callable[[], None]) -> Outcome:
    """A load, and something that happens in the middle of it."""
    pending = [midway]

    def at(answers: int) -> None:
        if answers >= count // 3 and pending:
            pending.pop()()

    return asyncio.run(load(running.port, count, connections=32, on_answer=at))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_valkey_gone_under_load_costs_nobody_a_number(
    running: Service, server: Valkey, how: signal.Signals, length: Length
) -> None:
    count = length(600, 3_000)
    assert server.pid is not None
    pid: int = server.pid
    try:
        outcome = loaded(running, count, lambda: os.kill(pid, how))
        assert (outcome.refused, outcome.broken) == ([], 0)
        assert len(set(outcome.numbers)) == count
        begun = time.monotonic()
        again = asyncio.run(load(running.port, 200, connections=1))
        assert len(again.numbers) == 200
        assert time.monotonic() - begun < 60, "no request waits for what does not answer, one after the other"
    finally:
        if how == signal.SIGSTOP:
            os.kill(pid, signal.SIGCONT)
        server.stop()
        server.start()


def test_it_counts_again_once_valkey_is_back(database: Database, service: ServiceFactory, server: Valkey) -> None:
    # Of one process, since each finds it again by itself.
    limited = service(
        database, initialise=False, REDIS_URL=patient(server), THROTTLE_PER_ADDRESS="50", WEB_CONCURRENCY="1"
    )
    begun = time.monotonic()
    first = asyncio.run(load(limited.port, 80))
    assert 50 <= len(first.numbers) < 52 + (time.monotonic() - begun) * 50 / 60, "and what comes back by the second"
    assert {answer.status for answer in first.refused} == {429}
    server.stop()
    assert eventually(lambda: len(asyncio.run(load(limited.port, 80)).numbers) == 80), "whoever was refused is served"
    server.start()
    assert eventually(lambda: bool(asyncio.run(load(limited.port, 80)).refused)), "limits hold again"
    last = asyncio.run(load(limited.port, 40))
    assert {answer.status for answer in last.answers} == {200, 429} or len(last.refused) == 40
