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
from tests.support import stats
from tests.support.keys import bearer, make_key
from tests.support.plans import log_plans, plans
from tests.support.service import ServiceFactory

BY = ("day", "route", "weight_band")
PERIODS = ("", "&from=2026-03-01", "&to=2026-03-02", "&from=2026-03-01&to=2026-03-02", "&from=1970-01-01&to=9999-12-31")
CUSTOMERS = {name: str(uuid4()) for name in ("nobody", "small", "large")}
# Rows that were never issued, of two customers among 5,000 others: the planner looks at sizes and statistics only.
# The floor is below them all, as an idle writer holds it, so every row is compared with a cursor.
FILL = """
    INSERT INTO issuance_event
    SELECT serial, now(), timestamptz '2026-01-01Z' + serial * interval '1 minute', NULL, 1, serial %% 11,
           gen_random_uuid(),
           CASE WHEN serial %% 10000 = 0 THEN %(small)s WHEN serial %% 50 = 0 THEN %(large)s
                ELSE sha256((serial %% 5000)::text::bytea) END,
           '0' || lpad(((serial * 7919) %% 10000000000)::text, 10, '0') || 'MYID0', 'MY', 'ID'
      FROM generate_series(1, 150000) AS serial"""
CURSORS = "INSERT INTO block_cursor SELECT n, (n << 10) + 1023, true FROM generate_series(0, 145) AS n"


@pytest.fixture(scope="module")
def large(database: Database) -> Database:
    """A database with a large ledger."""
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(FILL, {name: stats.tag(customer) for name, customer in CUSTOMERS.items()})
        session.execute(CURSORS)
        session.execute("VACUUM (ANALYZE) issuance_event, block_cursor, tree_state")
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
    *health, plan = plans(port, stats.path(CUSTOMERS[customer], f"by={by}{period}"), key=reporter)
    assert all("Query Text: SELECT 1\n" in each for each in health), "Django asks whether the session lives"
    assert "Seq Scan on issuance_event" not in plan
    reads = re.findall(r"Scan (?:on|using) issuance_event_.*\n\s*(.*)", plan)
    assert all(condition.startswith("Index Cond: ") for condition in reads), plan
    assert any("customer_tag" in condition for condition in reads), plan


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
