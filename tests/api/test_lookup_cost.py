"""What a look-up and a proof cost the database: few statements, however large it is, each by index, planned once."""

import re

import pytest
from django.db import connection
from django.test import Client

from ledger import reading
from ledger.domain.note import Checkpoint, VerifierKey
from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.database import query_plans
from tests.support.log import history as histories
from tests.support.log.history import History
from tests.support.processes.service import ServiceFactory

CUSTOMER = "de619854-b59b-425e-9db4-000000000007"


@pytest.fixture(scope="module")
def history(database: Database, lane_port: int) -> History:
    """A history beside tables that are large, in a database that logs the plan of every statement."""
    made = histories.make(database, lane_port, published_events=600, committed_events=10)
    query_plans.fill_and_log(database)
    return made


@pytest.fixture(scope="module")
def logged_port(database: Database, history: History, service: ServiceFactory) -> int:
    """A service whose sessions began after that."""
    assert history.published
    return query_plans.until_idle(service(database, WEB_CONCURRENCY="1", initialise=False).port)


@pytest.fixture(scope="module")
def auditor(database: Database) -> str:
    """An auditor's key."""
    return make_key(database, "audit")


def asked(port: int, path: str, expected: int = 200, key: str | None = None) -> list[str]:
    """The plans of one request but for Django's question."""
    return [plan for plan in query_plans.plans(port, path, expected, key) if query_plans.ALIVE not in plan]


def test_a_look_up_takes_two_statements_at_most_all_by_index(logged_port: int, history: History, auditor: str) -> None:
    walked = 0
    for index in (0, 255, 256, 299, 300, 400, history.published - 1, history.published + 3):
        number = history.numbers[index]
        first = asked(logged_port, f"/v1/tracking-numbers/{number}", key=auditor)
        query_plans.check(first, most=2)
        assert any("issuance_event_pkey" in plan and number in plan for plan in first), "these are the plans"
        walked += sum(len(re.findall("Bitmap Heap Scan on checkpoint", plan)) for plan in first)
        again = asked(logged_port, f"/v1/tracking-numbers/{number}", key=auditor)
        query_plans.check(again, most=1)
    assert walked, "each checkpoint was read once"


def test_a_customers_look_up_goes_by_the_number_too(database: Database, logged_port: int, history: History) -> None:
    key = make_key(database, "audit", customer=CUSTOMER)
    (plan,) = asked(logged_port, f"/v1/tracking-numbers/{history.numbers[0]}", 404, key)
    query_plans.check([plan], most=1)
    assert "issuance_event_pkey" in plan
    assert "issuance_event_customer" not in plan


@pytest.mark.parametrize("path", ["barcode.svg", "barcode.png"])
def test_a_barcode_takes_one_statement(logged_port: int, history: History, path: str) -> None:
    found = asked(logged_port, f"/v1/tracking-numbers/{history.numbers[0]}/{path}")
    query_plans.check(found, most=1)


def test_what_cannot_be_a_number_is_asked_of_no_database(logged_port: int, auditor: str) -> None:
    for number in ("X" * 17, "3K9M7QX2PZ4MYIDS", "%00"):
        for path in ("", "/barcode.svg", "/barcode.png"):
            assert asked(logged_port, f"/v1/tracking-numbers/{number}{path}", 404, auditor) == []


def test_validating_asks_no_database(logged_port: int, history: History) -> None:
    for number in (history.numbers[0], "X"):
        assert query_plans.plans(logged_port, f"/v1/validate/{number}") == []


@pytest.mark.django_db
def test_a_session_plans_the_look_up_once_and_verifies_a_checkpoint_once(
    history: History, auditor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[int] = []
    verify = reading.verified

    def counting(key: VerifierKey, size: int, root: bytes, signature: bytes) -> tuple[Checkpoint, str]:
        verified.append(size)
        return verify(key, size, root, signature)

    monkeypatch.setattr(reading, "verified", counting)
    client = Client(headers={"Host": "localhost", **bearer(auditor)})
    sizes = {
        client.get(f"/v1/tracking-numbers/{number}").json()["sealed_in"]["size"]
        for _ in range(2)
        for number in history.numbers[:100:9]
    }
    assert sorted(verified) == sorted(sizes)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans > custom_plans FROM pg_prepared_statements WHERE statement LIKE '%number%'"
        )
        assert cursor.fetchall() == [(True,)]


def test_a_proof_takes_three_statements_at_most_all_by_index(logged_port: int, history: History) -> None:
    for index in (0, 255, 256, 299, 300, 400, history.published - 1):
        number = history.numbers[index]
        found = query_plans.plans(logged_port, f"/v1/tracking-numbers/{number}/proof")
        query_plans.check(found)
        assert any(f"'{number}'" in plan and "issuance_event_pkey" in plan for plan in found), "these are the plans"


@pytest.mark.parametrize("path", ["/checkpoint", "/tile/0/000", "/tile/0/001.p/3", "/tile/1/000.p/2"])
def test_the_checkpoint_and_a_tile_take_no_more(logged_port: int, path: str) -> None:
    query_plans.check(query_plans.plans(logged_port, path))


@pytest.mark.parametrize("path", ["/tile/entries/000", "/tile/entries/001.p/200"])
def test_a_bundle_takes_one_more(logged_port: int, auditor: str, path: str) -> None:
    found = query_plans.plans(logged_port, path, key=auditor)
    query_plans.check([plan for plan in found if query_plans.ALIVE not in plan])


def test_for_what_cannot_be_a_number_no_table_is_asked(logged_port: int) -> None:
    for number in ("X" * 17, "3K9M7QX2PZ4MYIDS"):
        assert query_plans.plans(logged_port, f"/v1/tracking-numbers/{number}/proof", 404) == []


@pytest.mark.django_db
def test_a_checkpoint_is_verified_once_while_the_tree_stands_still(history: History) -> None:
    reading._published.cache_clear()
    client = Client(headers={"Host": "localhost"})
    for number in history.numbers[:5]:
        assert client.get(f"/v1/tracking-numbers/{number}/proof").status_code == 200
        assert client.get("/checkpoint").status_code == 200
    assert reading._published.cache_info().misses == 1
