"""A web process that is told to stop serves on for a while, so that no request is lost on its way."""

import asyncio
import contextlib
import os
import signal
import time
from http.client import HTTPConnection, HTTPResponse

import httpx

from tests.conftest import Length
from tests.plugin import Database
from tests.support.clients.load import Outcome, load
from tests.support.clients.orders import PATH, query
from tests.support.database import ledger
from tests.support.processes.commands import manage
from tests.support.processes.proc import alive, eventually
from tests.support.processes.service import Service, ServiceFactory
from tests.support.programs.patient_worker import PATIENT

ORDER = f"{PATH}?{query().decode()}"
QUICK = 45.0
"""Seconds: fewer than the pause of a minute that is cut short."""
PLENTY = 1_000_000


def test_until_it_stops_it_takes_connections_answers_and_closes_each(
    database: Database, service: ServiceFactory
) -> None:
    running = service(database, WEB_CONCURRENCY="1", DRAIN_SECONDS="60")
    idle = HTTPConnection("127.0.0.1", running.port, timeout=50)
    assert asked(idle).getheader("connection") is None
    os.kill(running.pid, signal.SIGTERM)
    assert eventually(lambda: readiness(running) == 503), "proxies are told"
    assert (answer := asked(idle)).status == 200, "an idle connection is not cut off"
    assert answer.getheader("connection") == "close"
    for path in (ORDER, "/livez"):  # the lane, and Django
        answer = asked(HTTPConnection("127.0.0.1", running.port, timeout=50), path)
        assert (answer.status, answer.getheader("connection")) == (200, "close")
    assert running.running
    os.kill(running.pid, signal.SIGQUIT)
    running.stop()
    assert ledger.count(database.owner_url) == 3


def test_it_stops_by_itself_when_the_pause_is_over(database: Database, service: ServiceFactory) -> None:
    running = service(database, WEB_CONCURRENCY="1", DRAIN_SECONDS="3")
    begun = time.monotonic()
    running.stop()
    assert 3 <= time.monotonic() - begun < 3 + 30, "gunicorn ended it, 30 seconds after the pause"


def test_a_reload_under_load_fails_nothing_and_turns_no_proxy_away(database: Database, length: Length) -> None:
    """The load lasts until the old processes are gone, and is never silent for as long as they drain."""
    manage(database, "init_allocator")
    before, missing = ledger.count(database.owner_url), set[str]()
    with Service(
        database,
        initialise=False,
        arguments=PATIENT,
        WEB_CONCURRENCY="2",
        DRAIN_SECONDS=length("5", "10"),
        LOG_LEVEL="WARNING",
    ) as running:
        workers = running.worker_pids

        def reload_midway(answered: int) -> None:
            if answered == length(200, 500):
                os.kill(running.pid, signal.SIGHUP)
            time.sleep(length(0.004, 0))  # who is not in a hurry

        async def issue() -> Outcome:
            return await load(running.port, PLENTY, on_answer=reload_midway, until=lambda: not alive(workers))

        async def watch() -> None:
            async with httpx.AsyncClient(timeout=60) as client:
                while alive(workers):
                    answer = (await client.get(f"{running.base_url}/readyz")).json()
                    missing.update(each["parameter"] for each in answer.get("errors", ()))
                    await asyncio.sleep(0.05)

        async def loaded_and_watched() -> Outcome:
            loading = asyncio.create_task(issue())
            await watch()
            return await loading

        outcome = asyncio.run(loaded_and_watched())
        assert (outcome.refused, outcome.broken) == ([], 0)
        assert ledger.count(database.owner_url) == before + len(outcome.numbers)
        assert "serving" not in missing, "whoever asks is told that they stop"
        assert eventually(lambda: not set(workers) & set(running.worker_pids)), "the master takes their end in"
        os.kill(running.pid, signal.SIGINT)  # without the pause


def test_the_master_ends_the_pause_when_told_to_be_quick(database: Database, service: ServiceFactory) -> None:
    running = service(database, WEB_CONCURRENCY="1", DRAIN_SECONDS="60")
    os.kill(running.pid, signal.SIGTERM)
    assert eventually(lambda: readiness(running) == 503)
    os.kill(running.pid, signal.SIGQUIT)
    assert eventually(lambda: not running.running, QUICK)


def test_a_second_signal_ends_a_workers_pause(database: Database, service: ServiceFactory) -> None:
    running = service(database, WEB_CONCURRENCY="1", DRAIN_SECONDS="60")
    (worker,) = running.worker_pids
    os.kill(worker, signal.SIGTERM)
    connection = HTTPConnection("127.0.0.1", running.port, timeout=50)
    assert eventually(lambda: asked(connection, "/livez").getheader("connection") == "close")
    assert alive([worker])
    os.kill(worker, signal.SIGTERM)
    assert eventually(lambda: not alive([worker]), QUICK)
    os.kill(running.pid, signal.SIGINT)
    assert eventually(lambda: not running.running, QUICK)


def test_a_worker_whose_master_was_killed_makes_no_pause(database: Database, service: ServiceFactory) -> None:
    running = service(database, WEB_CONCURRENCY="1", DRAIN_SECONDS="60")
    workers = running.worker_pids
    os.kill(running.pid, signal.SIGKILL)
    assert eventually(lambda: not alive(workers), QUICK), "the port is free for the next one"


def asked(connection: HTTPConnection, path: str = ORDER) -> HTTPResponse:
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response


def readiness(running: Service) -> int:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{running.base_url}/readyz", timeout=50).status_code
    return 0
