"""Calls whose rows are refused, process killed, session ended, wire cut: all of a call is in the ledger, or none."""

import asyncio
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from core.session import PATIENCE
from issuance.bulk_api import MOST_CALLS
from issuance.domain.bulk import elements, read
from ledger.domain.tag import KeyRing, framed
from tests.conftest import Length
from tests.plugin import Database
from tests.support.clients.api_keys import make_key
from tests.support.clients.bulk import numbers, order, orders, post
from tests.support.clients.http import problem
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.own_cluster import OwnCluster
from tests.support.log.tampering import verify
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, until_published
from tests.support.processes.service import Service, ServiceFactory
from tests.support.servers.wire import COMMIT, ROWS, Wire, wire


@pytest.fixture(scope="module")
def key(database: Database) -> str:
    return make_key(database, "issue")


@pytest.fixture(scope="module")
def running(database: Database, service: ServiceFactory) -> Service:
    return service(database, WEB_CONCURRENCY="1")


@pytest.fixture(scope="module")
def both(database: Database, service: ServiceFactory) -> Service:
    """A service of two processes; the last test here stops it."""
    return service(database, WEB_CONCURRENCY="2")


class Called:
    """A call that may get no answer."""

    def __init__(self, port: int, key: str, count: int) -> None:
        self.request_id = str(uuid4())
        self.count = count
        self.numbers: list[str] | None = None
        try:
            response = post(port, key, orders(count), X_Request_ID=self.request_id)
            self.status = response.status_code
            self.numbers = numbers(response) if self.status == 201 else None
        except httpx.TransportError:
            self.status = 0


def recorded(database: Database) -> dict[str, list[str]]:
    """The numbers in the ledger by their request's id, in serial order."""
    found: dict[str, list[str]] = {}
    with ledger.reading(database.owner_url) as session:
        for identity, number in session.execute("SELECT request_id, number FROM issuance_event ORDER BY serial"):
            found.setdefault(str(UUID(str(identity))), []).append(number)
    return found


def check_all_or_nothing(database: Database, calls: Sequence[Called]) -> None:
    """What was answered is there as it was answered; of what was not, there is all or nothing."""
    held = recorded(database)
    for call in calls:
        there = held.get(call.request_id, [])
        if call.numbers is not None:
            assert there == call.numbers
        else:
            assert len(there) in {0, call.count}


def test_a_row_that_the_database_refuses_keeps_the_whole_call_out(
    database: Database, running: Service, key: str
) -> None:
    with ledger.reading(database.owner_url) as session:
        # The only way to a data error past the endpoint's checks: a rule that it does not know.
        session.execute("ALTER TABLE issuance_event ADD CHECK (destination <> 'ZW')")
        before = ledger.count(database.owner_url)
        again = str(uuid4())
        for place in (0, 700, 1499):
            wanted = orders(1500)
            wanted[place]["destination_country_id"] = "ZW"
            assert problem(post(running.port, key, wanted)) == (500, "internal")
            assert problem(post(running.port, key, wanted, Idempotency_Key=again)) == (500, "internal")
        assert ledger.count(database.owner_url) == before
        assert session.execute("SELECT count(*) FROM idempotency_claim").fetchone() == (0,), "nor is its key used"
    assert len(numbers(post(running.port, key, orders(1500), Idempotency_Key=again))) == 1500


def test_the_log_of_single_requests_and_calls_together_is_what_was_answered(
    database: Database, both: Service, key: str, length: Length
) -> None:
    with Sealer(database), ThreadPoolExecutor(3) as threads:
        calls = [
            threads.submit(Called, both.port, key, count) for count in (1, 999, 2500, 100, 1024, 1025, 7) * length(1, 3)
        ]
        single = asyncio.run(load(both.port, length(800, 3_000)))
        done = [call.result() for call in calls]
        until_published(database, ledger.count(database.owner_url))
    assert len(single.numbers) == length(800, 3_000)
    assert {call.status for call in done} == {201}
    check_all_or_nothing(database, done)
    outcome = verify(database)
    assert (outcome.code, outcome.faults) == (0, []), outcome


def test_a_process_killed_amid_calls_leaves_all_of_each_or_nothing(database: Database, both: Service, key: str) -> None:
    assert Called(both.port, key, 10).status == 201
    done, answered = threading.Event(), threading.Event()

    def kill_now_and_then() -> None:
        """One after the other, each once a call was answered since the last: it may take a while to begin again."""
        chance = random.Random(5)
        while not done.wait(0.4 + chance.random() / 2):
            if answered.is_set() and (workers := both.worker_pids):
                answered.clear()
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)

    def call(_: int) -> Called:
        made = Called(both.port, key, 2000)
        if made.status == 201:
            answered.set()
        return made

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    calls: list[Called] = []
    try:
        with ThreadPoolExecutor(MOST_CALLS) as threads:
            while not {call.status for call in calls} >= {0, 201} and len(calls) < 720:
                calls += threads.map(call, range(24))
    finally:
        done.set()
        killer.join()
    assert {0, 201} <= {call.status for call in calls} <= {0, 201, 503}, "some were killed, and some were not"
    check_all_or_nothing(database, calls)


@pytest.mark.parametrize("function", ["pg_terminate_backend", "pg_cancel_backend"])
def test_a_session_that_the_server_ends_or_cancels_amid_calls_loses_nothing(
    database: Database, running: Service, key: str, function: str
) -> None:
    struck = (
        f"SELECT {function}(pid) FROM pg_stat_activity WHERE application_name = 'tracking-writer'"
        " AND datname = current_database() AND state = 'active' AND query LIKE 'COPY%'"
    )
    done = threading.Event()
    hits: list[int] = []

    def strike() -> None:
        with ledger.reading(database.owner_url) as session:
            while len(hits) < 4 and not done.wait(0.01):
                if session.execute(struck).fetchall():
                    hits.append(1)
                    time.sleep(0.3)

    striker = threading.Thread(target=strike)
    striker.start()
    calls: list[Called] = []
    try:
        while len(hits) < 4 and len(calls) < 600:
            calls.append(Called(running.port, key, 3000))
    finally:
        done.set()
        striker.join()
    assert len(hits) == 4, "the server struck while calls were under way"
    assert {call.status for call in calls} <= {201, 503}, "503 for one that was cancelled three times"
    check_all_or_nothing(database, calls)
    held = recorded(database)
    assert not [call for call in calls if call.status == 503 and call.request_id in held]


@pytest.fixture(scope="module")
def cuttable(database: Database) -> Iterator[Wire]:
    with tempfile.TemporaryDirectory(prefix="wire-") as folder, wire(Path(folder), database.url) as made:
        yield made


@pytest.fixture(scope="module")
def behind_wire(database: Database, cuttable: Wire, service: ServiceFactory) -> Service:
    return service(database, WEB_CONCURRENCY="1", DATABASE_URL=cuttable.url(database.url))


@pytest.mark.parametrize("before_statement", [False, True], ids=["the reply is lost", "the statement is lost"])
@pytest.mark.parametrize("at", [ROWS, COMMIT], ids=["its rows", "its commit"])
def test_a_call_whose_wire_is_cut_is_answered_once_and_recorded_once(
    database: Database, cuttable: Wire, behind_wire: Service, key: str, *, before_statement: bool, at: bytes
) -> None:
    cuttable.before_statement, cuttable.at = before_statement, at
    before, made = ledger.count(database.owner_url), cuttable.cuts_made
    answered: list[str] = []
    for place in range(4):
        cuttable.cuts_left = place % 2
        headers = {"Idempotency_Key": str(uuid4())} if at == COMMIT else {}
        answered += numbers(post(behind_wire.port, key, orders(1200), **headers))
        if headers:
            again = post(behind_wire.port, key, orders(1200), **headers)
            assert numbers(again) == answered[-1200:]
            assert again.headers["idempotency-replayed"] == "true"
    assert cuttable.cuts_made - made == 2
    assert len(set(answered)) == 4 * 1200
    assert ledger.count(database.owner_url) - before == 4 * 1200
    assert set(answered) <= set(ledger.numbers(database.owner_url))


def test_a_call_under_a_key_that_is_in_flight_waits_for_it_while_single_requests_go_on(
    database: Database, running: Service, key: str
) -> None:
    again = str(uuid4())
    wanted = [order(), order(weight="5")]
    found = [framed(read(element).canonical()) for element in elements(httpx.Request("POST", "/", json=wanted).content)]
    ring = KeyRing.parse(os.environ["CUSTOMER_TAG_KEYS"])
    (claim,) = ring.claims_of_call(int(key.split("_")[1]), again.encode(), found)
    with ledger.reading(database.owner_url) as session, ThreadPoolExecutor(1) as thread:
        session.execute("BEGIN")
        session.execute("INSERT INTO idempotency_claim VALUES (%s, %s, '')", [claim.tag, claim.fingerprint])
        waiting = thread.submit(post, running.port, key, wanted, Idempotency_Key=again)
        assert len(asyncio.run(load(running.port, 300, connections=8)).numbers) == 300
        assert not waiting.done()
        session.execute("ROLLBACK")
        response = waiting.result(120)
    assert len(numbers(response)) == 2
    assert "idempotency-replayed" not in response.headers


def test_more_calls_than_a_few_are_refused_at_once_and_those_that_wait_are_answered(
    database: Database, running: Service, key: str
) -> None:
    def insist() -> list[str]:
        while (response := post(running.port, key, orders(100))).status_code == 503:
            time.sleep(0.1)  # what asks below whether all are in may be in at the time
        return numbers(response)

    def refused() -> bool:
        begun = time.monotonic()
        response = post(running.port, key, b"not even read")
        assert time.monotonic() - begun < 30, "it has not waited for the others"
        return problem(response) == (503, "overloaded") and response.headers["retry-after"] == "1"

    with ledger.reading(database.owner_url) as session, ThreadPoolExecutor(MOST_CALLS) as threads:
        session.execute("BEGIN")
        session.execute("LOCK TABLE issuance_event IN SHARE MODE")
        waiting = [threads.submit(insist) for _ in range(MOST_CALLS)]
        assert eventually(refused), "until all are in, a call is told what is wrong with it"
        session.execute("ROLLBACK")
        assert [len(each.result(120)) for each in waiting] == [100] * MOST_CALLS
    assert post(running.port, key, orders(1)).status_code == 201


def test_a_call_past_its_deadline_gets_503_and_its_numbers_may_stand_in_the_ledger_unanswered(
    database: Database, service: ServiceFactory, key: str
) -> None:
    running = service(database, WEB_CONCURRENCY="1", DEADLINE="1")
    assert eventually(lambda: Called(running.port, key, 1).status == 201), "it begins within its deadline, or later"
    with ledger.reading(database.owner_url) as session:
        session.execute("BEGIN")
        session.execute("LOCK TABLE issuance_event IN SHARE MODE")
        begun = time.monotonic()
        late = post(running.port, key, orders(100))
        assert 0.9 < time.monotonic() - begun < PATIENCE, "not once the session is given up"
        session.execute("ROLLBACK")
    assert problem(late) == (503, "database-unavailable")
    assert eventually(lambda: Called(running.port, key, 1).status == 201)
    running.stop()


def test_while_the_database_is_away_calls_get_503_and_numbers_again_by_themselves(service: ServiceFactory) -> None:
    with tempfile.TemporaryDirectory(prefix="away-") as folder:
        cluster = OwnCluster(Path(folder) / "c")
        own = cluster.create()
        key = make_key(own, "issue")
        running = service(own, WEB_CONCURRENCY="1")
        assert len(numbers(post(running.port, key, orders(10)))) == 10
        cluster.server.stop()
        assert problem(post(running.port, key, orders(10))) == (503, "database-unavailable")
        cluster.server.start()
        assert eventually(lambda: post(running.port, key, orders(10)).status_code == 201)
        running.stop()
        cluster.server.stop()


def test_a_fence_that_is_not_there_keeps_calls_from_being_issued(
    database: Database, service: ServiceFactory, key: str, tmp_path: Path
) -> None:
    before = ledger.count(database.owner_url)
    running = service(database, initialise=False, WEB_CONCURRENCY="1", FENCE=str(tmp_path / "nowhere"))
    assert problem(post(running.port, key, orders(3))) == (503, "issuing-refused")
    running.stop()
    assert ledger.count(database.owner_url) == before


def test_a_service_stopped_amid_calls_answers_those_that_it_took(database: Database, both: Service, key: str) -> None:
    with ThreadPoolExecutor(MOST_CALLS) as threads:
        calls = [threads.submit(Called, both.port, key, 3000) for _ in range(30)]
        calls[3].result()
        os.kill(both.pid, signal.SIGTERM)
        done = [call.result() for call in calls]
    both.stop()
    assert {call.status for call in done} <= {0, 201, 503}
    held = recorded(database)
    for call in done:
        assert held.get(call.request_id, []) == (call.numbers or []), "committed is answered, and the other way round"
