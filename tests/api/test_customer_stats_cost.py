"""What a customer's statistics cost the database: one statement, by the customer's index, however large the ledger."""

import re
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.keys.callers import CALLERS
from tests.plugin import Database
from tests.support.clients import stats
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.daily_reports import step
from tests.support.database import synthetic_ledger
from tests.support.database.query_plans import log_plans, plans
from tests.support.processes.service import ServiceFactory

BY = ("day", "route", "weight_band")
PERIODS = ("", "&from=2026-01-01", "&to=2026-01-02", "&from=2026-01-01&to=2026-01-02", "&from=1970-01-01&to=9999-12-31")
EVENTS = 150_000
CUSTOMERS = {"nobody": str(uuid4()), "small": synthetic_ledger.SMALL_CUSTOMER, "large": synthetic_ledger.LARGE_CUSTOMER}


@pytest.fixture(scope="module")
def large(database: Database) -> Database:
    """A database with a large ledger, half of it rolled up: the worker is far behind."""
    synthetic_ledger.fill(database, EVENTS)
    step(database, EVENTS // 2)
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute("VACUUM (ANALYZE) daily_usage")
    log_plans(database)
    return database


@pytest.fixture(scope="module")
def port(large: Database, service: ServiceFactory) -> int:
    return service(large, WEB_CONCURRENCY="1").port


@pytest.fixture(scope="module")
def reporter(large: Database) -> str:
    return make_key(large, "reports")


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("customer", CUSTOMERS)
def test_a_customers_events_are_found_by_its_index(
    port: int, reporter: str, customer: str, by: str, period: str
) -> None:
    # Beside it the writer may look for the outside of a log that was filled without one.
    found = plans(port, stats.path(CUSTOMERS[customer], f"by={by}{period}"), key=reporter)
    (plan,) = (each for each in found if "FROM daily_usage" in each)
    assert not re.search("Seq Scan on (issuance_event|daily_usage)", plan), plan
    reads = re.findall(r"Scan (?:on|using) issuance_event_.*\n\s*(.*)", plan)
    assert all(condition.startswith("Index Cond: ") for condition in reads), plan
    assert any("customer_tag" in condition for condition in reads), plan
    assert re.search(r"daily_usage_pkey.*\n\s*Index Cond: .*customer_tag", plan), plan


@pytest.mark.django_db
def test_the_statements_are_as_many_whatever_there_is_to_count(large: Database, reporter: str) -> None:
    assert large
    client = Client(headers={"Host": "localhost", **bearer(reporter)})
    totals = []
    for customer in CUSTOMERS.values():
        for by in BY:
            for period in PERIODS:
                CALLERS.look_up(reporter)  # so that this request needs not
                with CaptureQueriesContext(connection) as statements:
                    response = client.get(stats.path(customer, f"by={by}{period}"))
                totals.append(response.json()["total"])
                assert len(statements) == 1
    assert min(totals) == 0
    assert max(totals) > 2000


@pytest.mark.django_db
def test_the_customers_id_does_not_reach_the_database(large: Database, reporter: str) -> None:
    assert large
    client = Client(headers={"Host": "localhost", **bearer(reporter)})
    with CaptureQueriesContext(connection) as statements:
        assert client.get(stats.path(CUSTOMERS["small"])).status_code == 200
    text = "".join(each["sql"] for each in statements)
    assert stats.tag(CUSTOMERS["small"]).hex() in text
    for form in (CUSTOMERS["small"], UUID(CUSTOMERS["small"]).hex):
        assert form not in text
