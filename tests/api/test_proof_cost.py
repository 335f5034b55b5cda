"""What a proof costs the database: three statements at most, and never a walk through a table that grows."""

import pytest
from django.test import Client

from ledger import reading
from tests.plugin import Database
from tests.support.clients.api_keys import make_key
from tests.support.database import query_plans
from tests.support.log import history as histories
from tests.support.processes.service import ServiceFactory


@pytest.fixture(scope="module")
def history(database: Database, lane_port: int) -> histories.History:
    """A history beside tables that are large, in a database that logs the plan of every statement."""
    made = histories.make(database, lane_port, published_events=600, committed_events=10)
    query_plans.fill_and_log(database)
    return made


@pytest.fixture(scope="module")
def logged_port(database: Database, history: histories.History, service: ServiceFactory) -> int:
    """A service whose sessions began after that."""
    assert history.published
    return query_plans.until_idle(service(database, WEB_CONCURRENCY="1", initialise=False).port)


@pytest.fixture(scope="module")
def auditor(database: Database, logged_port: int) -> str:
    """An auditor's key."""
    assert logged_port
    return make_key(database, "audit")


def test_a_proof_takes_three_statements_at_most_all_by_index(logged_port: int, history: histories.History) -> None:
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
def test_a_checkpoint_is_verified_once_while_the_tree_stands_still(history: histories.History) -> None:
    reading._published.cache_clear()
    client = Client(headers={"Host": "localhost"})
    for number in history.numbers[:5]:
        assert client.get(f"/v1/tracking-numbers/{number}/proof").status_code == 200
        assert client.get("/checkpoint").status_code == 200
    assert reading._published.cache_info().misses == 1
