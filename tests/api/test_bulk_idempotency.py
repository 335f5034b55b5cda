"""An Idempotency-Key makes a call safe to repeat: across processes, and for its caller alone."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from issuance.bulk_api import MOST_CALLS
from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.bulk import begins_a_block, numbers, order, orders, post, replayed
from tests.support.clients.http import problem
from tests.support.clients.orders import PATH as SINGLE
from tests.support.clients.orders import query
from tests.support.database import ledger
from tests.support.processes.service import ServiceFactory

SHARES = True


@pytest.fixture(scope="module")
def key(database: Database) -> str:
    return make_key(database, "issue")


@pytest.mark.parametrize("count", [1, 200, 3000])
def test_the_same_key_and_orders_give_the_same_answer(port: int, database: Database, key: str, count: int) -> None:
    again = str(uuid4())
    first = post(port, key, orders(count), Idempotency_Key=again)
    events = ledger.count(database.owner_url)
    second = post(port, key, orders(count), Idempotency_Key=again)
    assert first.content == second.content
    assert (replayed(first), replayed(second)) == (False, True)
    assert second.headers["idempotency-replayed"] == "true"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert ledger.count(database.owner_url) == events


def test_a_replay_takes_no_serials(port: int, database: Database, key: str) -> None:
    again = str(uuid4())
    (first,) = numbers(post(port, key, orders(1), Idempotency_Key=again))
    for _ in range(3):
        assert replayed(post(port, key, orders(1), Idempotency_Key=again))
    (last,) = numbers(post(port, key, orders(1)))
    serial = "SELECT serial FROM issuance_event WHERE number = %s"
    with ledger.reading(database.owner_url) as session:
        (before,), (after,) = (session.execute(serial, [number]).fetchone() or (0,) for number in (first, last))
    assert after == before + 1 or begins_a_block(before, after)


def test_two_spellings_of_one_call_are_one_call(port: int, key: str) -> None:
    again = str(uuid4())
    plain, spelled = order(), order(weight=1.234, origin_country_id="my", created_at="2018-11-20T11:29:32.000Z")
    first = post(port, key, [plain, plain], Idempotency_Key=again)
    second = post(port, key, [spelled, dict(reversed(plain.items()))], Idempotency_Key=again)
    assert numbers(first) == numbers(second)
    assert replayed(second)


def test_a_key_that_comes_again_with_other_orders_is_refused(port: int, database: Database, key: str) -> None:
    again, wanted = str(uuid4()), orders(5)
    assert post(port, key, wanted, Idempotency_Key=again).status_code == 201
    events = ledger.count(database.owner_url)
    for other in (
        *(wanted[:4], wanted[::-1], [*wanted, order()], [*wanted[:4], order(customer_name="Someone else")]),
        *([*wanted[:4], wanted[4] | {"weight": "77"}],),
    ):
        assert problem(post(port, key, other, Idempotency_Key=again)) == (422, "idempotency-key-reused")
    assert ledger.count(database.owner_url) == events


def test_a_key_is_its_callers_and_a_call_s(port: int, database: Database, key: str) -> None:
    again, other = str(uuid4()), make_key(database, "issue")
    first = post(port, key, orders(3), Idempotency_Key=again)
    another = post(port, other, orders(3), Idempotency_Key=again)
    assert not replayed(another)
    assert not set(numbers(first)) & set(numbers(another))
    headers = bearer(key) | {"Idempotency-Key": again}
    single = httpx.get(f"http://127.0.0.1:{port}{SINGLE}?{query().decode()}", headers=headers, timeout=90)
    assert single.status_code == 200
    assert "idempotency-replayed" not in single.headers


def test_a_call_that_was_refused_has_not_used_its_key(port: int, key: str) -> None:
    again = str(uuid4())
    assert post(port, key, [order(weight="0")], Idempotency_Key=again).status_code == 400
    assert not replayed(post(port, key, [order()], Idempotency_Key=again))


def test_a_key_sent_many_times_at_once_over_several_processes_is_one_call(
    database: Database, key: str, service: ServiceFactory
) -> None:
    running = service(database, WEB_CONCURRENCY="2")
    before = ledger.count(database.owner_url)
    keys = [str(uuid4()) for _ in range(4)] * 4
    with ThreadPoolExecutor(MOST_CALLS) as threads:
        answers = list(
            threads.map(lambda each: (each, post(running.port, key, orders(400), Idempotency_Key=each)), keys)
        )
    for each in keys:
        contents = {response.content for again, response in answers if again == each}
        assert len(contents) == 1
        assert sum(not replayed(response) for again, response in answers if again == each) == 1
    assert ledger.count(database.owner_url) - before == 4 * 400
    running.stop()
