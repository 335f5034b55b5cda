"""A web process that is told to stop serves on for a while, so that no request is lost on its way."""

import asyncio
import contextlib
import os
import signal
import time
from http.client import HTTPConnection, HTTPResponse

import httpx

from tests.plugin import Database
from tests.support import ledger
from tests.support.load import load
from tests.support.orders import PATH, query
from tests.support.processes import alive, eventually
from tests.support.service import Service, ServiceFactory

ORDER = f"{PATH}?{query().decode()}"


def test_until_it_stops_it_takes_connections_answers_and_closes_each(
    database: Database, service: ServiceFactory
) -> None:
    running = service(database, WEB_CONCURRENCY="1", DRAIN_SECONDS="3")
    idle = HTTPConnection("127.0.0.1", running.port, timeout=10)
    assert asked(idle).getheader("connection") is None
    os.kill(running.pid, signal.SIGTERM)
    begun = time.monotonic()
    assert eventually(lambda: readiness(running) == 503), "proxies are told"
    assert (answer := asked(idle)).status == 200, "an idle connection is not cut off"
    assert answer.getheader("connection") == "close"
    for path in (ORDER, "/livez"):  # the lane, and Django
        answer = asked(HTTPConnection("127.0.0.1", running.port, timeout=10), path)
        assert (answer.status, answer.getheader("connection")) == (200, "close")
    assert running.running
    running.stop()
    assert 3 <= time.monotonic() - begun < 5
    assert ledger.count(database.owner_url) == 3


def test_a_reload_under_load_fails_nothing_and_turns_no_proxy_away(database: Database, service: ServiceFactory) -> None:
    running = service(database, WEB_CONCURRENCY="2", DRAIN_SECONDS="2")
    before, seen = ledger.count(database.owner_url), set[int]()
    workers = running.worker_pids

    def reload_midway(answered: int) -> None:
        if answered == 500:
            os.kill(running.pid, signal.SIGHUP)

    async def loaded_and_watched() -> tuple[int, int]:
        outcome = None

        async def issue() -> None:
            nonlocal outcome
            outcome = await load(running.port, 8_000, on_answer=reload_midway)

        async def watch() -> None:
            async with httpx.AsyncClient() as client:
                while alive(workers):
                    seen.add((await client.get(f"{running.base_url}/readyz")).status_code)
                    await asyncio.sleep(0.05)

        await asyncio.gather(issue(), watch())
        assert outcome is not None
        return len(outcome.numbers), outcome.broken

    assert asyncio.run(loaded_and_watched()) == (8_000, 0)
    assert ledger.count(database.owner_url) == before + 8_000
    assert seen == {200}
    assert eventually(lambda: not set(workers) & set(running.worker_pids)), "the master takes their end in"
    running.stop()


def test_the_master_ends_the_pause_when_told_to_be_quick(database: Database, service: ServiceFactory) -> None:
    running = service(database, WEB_CONCURRENCY="1", DRAIN_SECONDS="60")
    os.kill(running.pid, signal.SIGTERM)
    assert eventually(lambda: readiness(running) == 503)
    os.kill(running.pid, signal.SIGQUIT)
    assert eventually(lambda: not running.running, 4)


def test_a_second_signal_ends_a_workers_pause(database: Database, service: ServiceFactory) -> None:
    running = service(database, WEB_CONCURRENCY="1", DRAIN_SECONDS="60")
    (worker,) = running.worker_pids
    os.kill(worker, signal.SIGTERM)
    connection = HTTPConnection("127.0.0.1", running.port, timeout=10)
    assert eventually(lambda: asked(connection, "/livez").getheader("connection") == "close")
    assert alive([worker])
    os.kill(worker, signal.SIGTERM)
    assert eventually(lambda: not alive([worker]), 4)
    os.kill(running.pid, signal.SIGINT)
    assert eventually(lambda: not running.running, 4)


def test_a_worker_whose_master_was_killed_makes_no_pause(database: Database, service: ServiceFactory) -> None:
    running = service(database, WEB_CONCURRENCY="1", DRAIN_SECONDS="60")
    workers = running.worker_pids
    os.kill(running.pid, signal.SIGKILL)
    assert eventually(lambda: not alive(workers), 4), "the port is free for the next one"


def asked(connection: HTTPConnection, path: str = ORDER) -> HTTPResponse:
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response


def readiness(running: Service) -> int:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{running.base_url}/readyz").status_code
    return 0
