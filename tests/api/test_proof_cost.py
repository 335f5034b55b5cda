"""What a proof costs the database: three statements at most, and never a walk through a table that grows."""

import re

import psycopg
import pytest
from django.test import Client

from ledger import reading
from tests.plugin import Database
from tests.support import history as histories
from tests.support.keys import make_key
from tests.support.plans import log_plans, plans
from tests.support.service import ServiceFactory

GROWING = ("issuance_event", "run", "tile")
# Rows that were never issued, in an order that no index has: the planner looks at sizes and statistics only.
FILL = """
    INSERT INTO issuance_event
    SELECT serial, now(), now(), NULL, 1, 0, gen_random_uuid(), sha256(serial::text::bytea),
           '0' || lpad(((serial * 7919) % 10000000000)::text, 10, '0') || 'MYID0', 'MY', 'ID'
      FROM generate_series(1024::bigint << 10, (1024::bigint << 10) + 49999) AS serial;
    INSERT INTO run SELECT 1000000 + n * 100, n << 10, (n << 10) + 150, 100 FROM generate_series(2000, 21999) AS n;
    INSERT INTO tile SELECT n, 0, convert_to(repeat('x', 8192), 'UTF8') FROM generate_series(1000, 4999) AS n;"""


@pytest.fixture(scope="module")
def history(database: Database, lane_port: int) -> histories.History:
    """A history beside tables that are large, in a database that logs the plan of every statement."""
    made = histories.make(database, lane_port, published_events=600, committed_events=10)
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(FILL)
        session.execute("VACUUM (ANALYZE) issuance_event, run, tile")
    log_plans(database)
    return made


@pytest.fixture(scope="module")
def logged_port(database: Database, history: histories.History, service: ServiceFactory) -> int:
    """A service whose sessions began after that."""
    assert history.published
    return service(database, WEB_CONCURRENCY="1", initialise=False).port


@pytest.fixture(scope="module")
def auditor(database: Database, logged_port: int) -> str:
    """An auditor's key."""
    assert logged_port
    return make_key(database, "audit")


def check(found: list[str]) -> None:
    """Fail on a plan that reads all of a table, or of an index, that grows."""
    assert 0 < len(found) <= 3, f"{len(found)} statements"
    for plan in found:
        walks = re.search(rf"Seq Scan on ({'|'.join(GROWING)})\b", plan)
        assert walks is None, plan
        for scan in re.findall(rf"Scan using \w+ on (?:{'|'.join(GROWING)})\b.*\n\s*(.*)", plan):
            assert scan.startswith("Index Cond"), plan


def test_a_proof_takes_three_statements_at_most_all_by_index(logged_port: int, history: histories.History) -> None:
    for index in (0, 255, 256, 299, 300, 400, history.published - 1):
        number = history.numbers[index]
        found = plans(logged_port, f"/v1/tracking-numbers/{number}/proof")
        check(found)
        assert any(f"'{number}'" in plan and "issuance_event_pkey" in plan for plan in found), "these are the plans"


@pytest.mark.parametrize("path", ["/checkpoint", "/tile/0/000", "/tile/0/001.p/3", "/tile/1/000.p/2"])
def test_the_checkpoint_and_a_tile_take_no_more(logged_port: int, path: str) -> None:
    check(plans(logged_port, path))


@pytest.mark.parametrize("path", ["/tile/entries/000", "/tile/entries/001.p/200"])
def test_a_bundle_takes_one_more(logged_port: int, auditor: str, path: str) -> None:
    found = plans(logged_port, path, key=auditor)
    health, *rest = found
    assert "SELECT 1" in health, "Django asks whether the session lives"
    check(rest)


def test_for_what_cannot_be_a_number_no_table_is_asked(logged_port: int) -> None:
    assert all(
        "Query Text: SELECT 1\n" in plan for plan in plans(logged_port, f"/v1/tracking-numbers/{'X' * 17}/proof", 404)
    )


@pytest.mark.django_db
def test_a_checkpoint_is_verified_once_while_the_tree_stands_still(history: histories.History) -> None:
    reading._published.cache_clear()
    client = Client(headers={"Host": "localhost"})
    for number in history.numbers[:5]:
        assert client.get(f"/v1/tracking-numbers/{number}/proof").status_code == 200
        assert client.get("/checkpoint").status_code == 200
    assert reading._published.cache_info().misses == 1
