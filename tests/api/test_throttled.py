"""Quotas as callers meet them, in both ways in: what the headers say, who shares a quota, what 429 and 413 are for."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from secrets import token_hex
from typing import Any

import httpx
import pytest

from core.embedded.valkey import Valkey
from core.keys.callers import FRESH
from tests.plugin import Database
from tests.support.clients import bulk
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem
from tests.support.clients.orders import GOOD, PATH, query
from tests.support.clients.raw_http import exchange, raw_request
from tests.support.database import ledger
from tests.support.processes.proc import eventually
from tests.support.processes.service import ServiceFactory, runserver
from tests.support.servers.throttle_valkey import patient, valkey

PER_ADDRESS, PER_KEY = 5, 30
BACK, GONE = 60 / PER_ADDRESS, 10 * 60 / PER_KEY
"""Seconds after which an address has one number more, and a key ten."""
UNAUTHORIZED = (401, "unauthorized")
URL = f"{PATH}?{query().decode()}"


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as made:
        yield made


@pytest.fixture(scope="module")
def limits(server: Valkey) -> dict[str, Any]:
    """The settings of a service with quotas, behind one proxy."""
    return {
        "REDIS_URL": patient(server),
        "THROTTLE_PER_ADDRESS": str(PER_ADDRESS),
        "THROTTLE_PER_KEY": str(PER_KEY),
        "TRUSTED_PROXIES": "1",
    }


@pytest.fixture(scope="module")
def lane_port(database: Database, service: ServiceFactory, limits: dict[str, Any]) -> int:
    return service(database, WEB_CONCURRENCY="1", **limits).port


@pytest.fixture(scope="module")
def wsgi_port(database: Database, lane_port: int, limits: dict[str, Any]) -> Iterator[int]:
    assert lane_port
    with runserver(database, **limits) as port:
        yield port


@pytest.fixture(scope="module")
def reader(database: Database, lane_port: int) -> str:
    """A good key."""
    assert lane_port
    return make_key(database, "issue", "reports")


def wrong_key() -> str:
    """A key that nobody has, another one each time."""
    return f"tna_1_{token_hex(16)}"


_numbers = count()


def another() -> str:
    """An address that nobody has asked from."""
    number = next(_numbers)
    return f"198.51.{number // 256}.{number % 256}"


@pytest.fixture
def address() -> str:
    """An address that no other test asks from."""
    return another()


def in_time[T](seconds: float, attempt: Callable[[], T]) -> T:
    """What an attempt came to that took less time than a token takes to come back; each is made from the start."""
    while True:
        begun = time.monotonic()
        found = attempt()
        if time.monotonic() - begun < seconds:
            return found


def issue(port: int, address: str, path: str = URL, **headers: str) -> httpx.Response:
    """One request, as the proxy in front hands it on."""
    return ask(port, path, X_Forwarded_For=address, **headers)


def told(response: httpx.Response) -> dict[str, Any]:
    """What RateLimit says."""
    name, *parameters = response.headers["ratelimit"].split(";")
    return {"name": name.strip('"')} | {name: int(value) for name, value in (each.split("=") for each in parameters)}


def test_each_answer_says_what_is_left_and_after_the_last_comes_429(port: int, database: Database) -> None:
    def attempt() -> tuple[list[httpx.Response], int]:
        address = another()
        answers = [issue(port, address) for _ in range(PER_ADDRESS)]
        before = ledger.count(database.owner_url)
        return [*answers, issue(port, address)], before

    (*answers, refused), before = in_time(BACK, attempt)
    assert [answer.status_code for answer in answers] == [200] * PER_ADDRESS
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"address";q=5;w=60'}
    assert [told(answer) for answer in answers] == [{"name": "address", "r": r, "t": 12} for r in (4, 3, 2, 1, 0)]
    assert problem(refused) == (429, "quota-exceeded")
    assert refused.headers["ratelimit-policy"] == '"address";q=5;w=60'
    seconds = int(refused.headers["retry-after"])
    assert 1 <= seconds <= 12
    assert told(refused) == {"name": "address", "r": 0, "t": seconds}
    assert refused.headers["x-request-id"] == refused.json()["request_id"]
    assert ledger.count(database.owner_url) == before
    assert issue(port, "203.0.113.200").status_code in {200, 429}, "another address has its own"


def test_what_is_no_order_costs_a_token_and_what_is_no_request_costs_none(port: int) -> None:
    def attempt() -> tuple[int, int]:
        address = another()
        assert problem(issue(port, address, f"{PATH}?weight=1")) == (400, "invalid-parameters")
        bad = issue(port, address, f"{PATH}?weight=1")
        for headers in ({"Sec-Purpose": "prefetch"}, {"Idempotency-Key": "a b"}, {"Authorization": "Bearer tna_1_00"}):
            free = issue(port, address, **headers)
            assert free.status_code in {400, 401, 403}
            assert "ratelimit" not in free.headers
        return told(bad)["r"], told(issue(port, address))["r"]

    assert in_time(BACK, attempt) == (PER_ADDRESS - 2, PER_ADDRESS - 3)


def test_only_the_last_proxys_word_is_taken(port: int) -> None:
    def attempt() -> list[int]:
        address = another()
        statuses = [issue(port, f"10.0.0.{number}, {address}").status_code for number in range(PER_ADDRESS + 1)]
        raw = raw_request(query(), headers=(b"X-Forwarded-For: 10.0.0.10", b"X-Forwarded-For: " + address.encode()))
        return [*statuses, exchange(port, raw).status]

    assert in_time(BACK, attempt) == [200] * PER_ADDRESS + [429] * 2


def test_addresses_of_one_ipv6_network_share_a_quota(lane_port: int, wsgi_port: int) -> None:
    networks = (f"2001:db8:{number:x}:1" for number in count())

    def attempt(port: int) -> list[int]:
        network = next(networks)
        return [issue(port, f"{network}::{host}").status_code for host in range(1, 7)]

    for port in (lane_port, wsgi_port):
        assert in_time(BACK, partial(attempt, port)) == [200] * 5 + [429]


def test_both_ways_in_count_together(lane_port: int, wsgi_port: int) -> None:
    def attempt() -> list[int]:
        address = another()
        return [issue(port, address).status_code for port in (lane_port, wsgi_port) * 3 + (lane_port,)]

    assert in_time(BACK, attempt) == [200] * 5 + [429] * 2


def test_a_key_has_a_quota_of_its_own_wherever_it_is_used(port: int, database: Database) -> None:
    key = make_key(database, "issue")
    answers = [issue(port, f"192.0.2.{n}", **bearer(key)) for n in range(PER_KEY)]
    assert {answer.status_code for answer in answers} == {200}
    assert told(answers[0]) == {"name": "key", "r": PER_KEY - 1, "t": 2}
    assert answers[0].headers["ratelimit-policy"] == '"key";q=30;w=60'
    assert eventually(lambda: issue(port, "192.0.2.99", **bearer(key)).status_code == 429), (
        "but for what time has added"
    )
    assert issue(port, "192.0.2.100").status_code == 200, "whoever has none is counted by the address"


def test_a_bulk_call_costs_as_many_tokens_as_it_has_orders_or_none(port: int, database: Database) -> None:
    elapsed = 2 * GONE
    while elapsed > GONE:  # then all of it has come back meanwhile
        key = make_key(database, "issue")
        never = bulk.post(port, key, bulk.orders(PER_KEY + 1))
        assert problem(never) == (413, "call-exceeds-quota")
        assert "retry-after" not in never.headers, "waiting is of no use"
        assert never.headers["ratelimit-policy"] == '"key";q=30;w=60'
        begun = time.monotonic()
        bad = bulk.post(port, key, [*bulk.orders(9), bulk.order(weight="0")])
        assert problem(bad) == (400, "invalid-parameters")
        assert told(bad) == {"name": "key", "r": PER_KEY - 10, "t": 2}, "it is read like any other"
        before = ledger.count(database.owner_url)
        refused = bulk.post(port, key, bulk.orders(PER_KEY))
        elapsed = time.monotonic() - begun
    assert problem(refused) == (429, "quota-exceeded")
    assert GONE - elapsed <= int(refused.headers["retry-after"]) == told(refused)["t"] <= GONE
    assert ledger.count(database.owner_url) == before
    assert len(bulk.numbers(bulk.post(port, key, bulk.orders(PER_KEY - 10)))) == PER_KEY - 10, "a refusal costs nothing"


def test_reading_is_not_counted(port: int, address: str) -> None:
    for _ in range(2 * PER_ADDRESS):
        answer = issue(port, address, "/v1/validate/3K9M7QX2PZ4MYIDT")
        assert (answer.status_code, answer.headers.get("ratelimit")) == (200, None)


@pytest.mark.parametrize("path", [URL, f"/v1/customers/{GOOD['customer_id']}/stats"])
def test_after_twenty_wrong_keys_an_address_must_wait_and_a_good_key_need_not(
    port: int, reader: str, path: str, address: str
) -> None:
    assert {issue(port, address, path, **bearer(reader)).status_code for _ in range(10)} == {200}
    wrong = [problem(issue(port, address, path, **bearer(wrong_key()))) for _ in range(20)]
    assert wrong == [UNAUTHORIZED] * 20
    refused: list[httpx.Response] = []
    while len(refused) < 5:  # what time has added is used up soon
        each = issue(port, address, path, **bearer(wrong_key()))
        assert problem(each) in {UNAUTHORIZED, (429, "too-many-wrong-keys")}
        refused += [each] if each.status_code == 429 else []
    assert {int(each.headers["retry-after"]) for each in refused} <= {1, 2, 3}
    assert problem(issue(port, "203.0.113.77", path, **bearer(wrong_key()))) == UNAUTHORIZED, "others need not wait"
    time.sleep(FRESH)  # after which the database is asked about the good one again
    assert issue(port, address, path, **bearer(reader)).status_code == 200
