"""What the console's pages cost the database: few statements, and none reads a table that grows with the ledger."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.plugin import CLUSTER, Database
from tests.support.clients.console import Browser, staff
from tests.support.clients.daily_reports import step
from tests.support.database.query_plans import log_plans
from tests.support.database.synthetic_ledger import CUSTOMER, RARE_ORIGIN, fill
from tests.support.processes.service import ServiceFactory

EVENTS = 150_000
MOMENT = f"now() - interval '29 days' + i * (interval '29 days' / {EVENTS})"
GROWING = "issuance_event|run|tile|checkpoint|daily_usage|number_block|block_cursor"
MOST = {
    "": 8,
    "ledger/": 6,
    f"ledger/?origin={RARE_ORIGIN}": 6,
    "ledger/?weight=3": 6,
    "ledger/?first=2000-01-01&last=2000-01-02": 12,
    "keys/": 3,
}
"""Statements of each page at most; a period is a stretch of its own, and one before and behind it (ADR 12)."""
NOISE = re.compile("FROM pg_type|Query Text: SELECT 1\n")
"""What psycopg and Django ask once in a while."""


@pytest.fixture(scope="module")
def browser(database: Database, service: ServiceFactory) -> Iterator[Browser]:
    """Somebody at the console of a large ledger, of which the roll-up lacks a little."""
    fill(database, EVENTS, moment=MOMENT)
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute("INSERT INTO number_block (id, writer) SELECT n, 1 FROM generate_series(0, 19999) AS n")
        session.execute("INSERT INTO block_cursor SELECT n, (n << 10) + 1000, true FROM generate_series(0, 19990) AS n")
    for _ in range(4):
        step(database, EVENTS // 5)
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute("VACUUM (ANALYZE)")
    log_plans(database)
    started = service(database, WEB_CONCURRENCY="1")
    with staff(database, started.port) as browser:
        yield browser


def plans(browser: Browser, path: str, **form: str) -> list[str]:
    """The plans of the statements of one request, as PostgreSQL logs them."""
    token = browser.token(path) if form else ""
    log = Path(CLUSTER.server.home) / "log"
    before = log.stat().st_size
    if form:
        data = {"csrfmiddlewaretoken": token, **form}
        answer = browser.client.post(f"/console/{path}", data=data, headers={"Origin": str(browser.client.base_url)})
    else:
        answer = browser.get(path)
    assert answer.status_code == 200
    found = re.findall(r"\[(\d+)\] LOG:  duration: (.*?)(?=\n\d{4}-|\Z)", log.read_bytes()[before:].decode(), re.DOTALL)
    [session] = {session for session, plan in found if "staff_user" in plan}  # others are the writer's and the sealer's
    return [plan for each, plan in found if each == session and not NOISE.search(plan)]


def check(found: list[str], most: int) -> None:
    assert 0 < len(found) <= most, f"{len(found)} statements"
    for plan in found:
        assert re.search(rf"Seq Scan on (?:{GROWING})\b", plan) is None, plan
        for condition in re.findall(rf"Index (?:Only )?Scan using \w+ on (?:{GROWING})\b.*\n\s*(.*)", plan):
            assert condition.startswith("Index Cond") or "Limit" in plan, plan


@pytest.mark.parametrize("path", MOST)
def test_no_page_reads_a_table_that_grows(browser: Browser, path: str) -> None:
    check(plans(browser, path), MOST[path])


def test_a_customer_s_usage_goes_by_the_customer_s_index(browser: Browser) -> None:
    found = plans(browser, "customer/", customer=CUSTOMER)
    assert len(found) <= 6
    for plan in found:
        assert re.search(r"Seq Scan on (?:issuance_event|daily_usage|run)\b", plan) is None, plan
    assert any("customer_tag" in plan for plan in found)
