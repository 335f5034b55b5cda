"""A customer's usage in the console: exact, and the customer's id is in no address, no log and no table."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from ledger.domain import weight
from tests.logs import Heard
from tests.plugin import Database
from tests.support.clients.console import Browser, Page, staff
from tests.support.clients.orders import GOOD
from tests.support.database.report_counts import roll_up
from tests.support.processes.sealers import Sealer, until_published
from tests.support.processes.service import runserver

OTHER = "de619854-b59b-425e-9db4-000000000001"
CUSTOMER = GOOD["customer_id"]
ORDERS = [{}, {}, {"weight": "60"}, {"origin_country_id": "SG"}, {"customer_id": OTHER}]


@pytest.fixture(scope="module")
def events(database: Database, lane_port: int) -> list[dict[str, Any]]:
    """What the customer was issued; the rest is another's."""
    found = []
    with Sealer(database):
        for count, change in enumerate(ORDERS, 1):
            answer = httpx.get(f"http://127.0.0.1:{lane_port}/next-tracking-number", params=GOOD | change, timeout=90)
            found.append(answer.raise_for_status().json())
            if count == 2:
                until_published(database, count)
                roll_up(database)
        until_published(database, len(ORDERS))
    return found[:-1]


@pytest.fixture(scope="module")
def browser(database: Database, lane_port: int, events: list[dict[str, Any]]) -> Iterator[Browser]:
    assert events
    with staff(database, lane_port) as browser:
        yield browser


def ask(browser: Browser, **given: str) -> Page:
    answer = browser.post("customer/", **{"customer": CUSTOMER} | given)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return Page(answer.text)


def test_a_customer_s_numbers_are_counted_rolled_up_or_not(browser: Browser, events: list[dict[str, Any]]) -> None:
    page = ask(browser, customer=CUSTOMER.upper())
    assert page.text("customer-total") == str(len(events))
    for day, count in Counter(each["created_at"][:10] for each in events).items():
        assert f"{day} {count}" in page.text("by-day")
    assert "MY → ID 3" in page.text("by-route")
    assert "SG → ID 1" in page.text("by-route")
    for band, count in Counter(each["weight_band"] for each in events).items():
        assert f"{band} {count}" in page.text("by-weight")


def test_the_file_has_what_the_charts_have(browser: Browser, events: list[dict[str, Any]]) -> None:
    answer = browser.post("customer/", customer=CUSTOMER, csv="1")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="customer-usage.csv"'
    rows = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert rows[0] == ["day", "origin_country_id", "destination_country_id", "weight_band", "count"]
    names = ("origin_country_id", "destination_country_id", "weight_band")
    counts = Counter((each["created_at"][:10], *(each[name] for name in names)) for each in events)
    order = {label: code for code, label in enumerate(weight.LABELS)}
    expected = sorted(counts.items(), key=lambda item: (item[0][:3], order[item[0][3]]))
    assert rows[1:] == [[*key, str(count)] for key, count in expected]
    assert CUSTOMER not in answer.text


def test_days_narrow_the_counts_down(browser: Browser) -> None:
    assert ask(browser, first="2020-01-01", last="2020-01-31").text("customer-total") == "0"
    assert "by-day" in browser.post("customer/", customer=CUSTOMER, first="2020-01-01", last="2020-01-31").text


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"customer": "zaphod"}, "A UUID is expected"),
        ({"customer": ""}, "required"),
        ({"first": "2026-02-30"}, "There is no such day"),
        ({"first": "2026-02-02", "last": "2026-02-01"}, "must not come before"),
        ({"first": "2024-01-01", "last": "2026-02-01"}, "At most 400 days"),
        ({"last": "9999-12-31"}, "1970 to 9998"),
    ],
)
def test_what_can_not_be_asked_for_is_said(browser: Browser, given: dict[str, str], sentence: str) -> None:
    page = ask(browser, **given)
    assert sentence in page.text("content")
    assert not [attrs for attrs, _ in page.scripts if attrs.get("id")]


def test_a_customer_without_numbers_is_not_told_from_one_that_there_is_not(browser: Browser) -> None:
    page = ask(browser, customer="de619854-b59b-425e-9db4-00000000beef")
    assert page.text("customer-total") == "0"
    assert "Nothing was issued in this time." in page.text("content")


def test_an_id_in_the_address_is_not_looked_at(browser: Browser) -> None:
    answer = browser.get("customer/", customer=CUSTOMER)
    assert answer.status_code == 200
    assert "customer-total" not in answer.text
    assert CUSTOMER not in answer.text.replace(f'placeholder="{CUSTOMER}"', "")


def test_no_log_and_no_table_has_the_customer_s_id(database: Database, browser: Browser, heard: Heard) -> None:
    with runserver(database) as port, Browser(port) as other:
        heard.read()
        other.client.cookies.update(browser.client.cookies)
        assert other.post("customer/", customer=CUSTOMER).status_code == 200
        assert other.post("customer/", customer=CUSTOMER, csv="1").status_code == 200
        other.post("keys/", name="bound", scopes="reports", customer=CUSTOMER)
    text = heard.read()
    assert "/console/customer/" in text, "requests are logged"
    assert CUSTOMER not in text
    assert CUSTOMER.replace("-", "") not in text
    with psycopg.connect(database.owner_url) as session:
        for (table,) in session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            holding = session.execute(f"SELECT FROM public.{table} t WHERE lower(t::text) LIKE %s", [f"%{CUSTOMER}%"])
            assert holding.fetchone() is None, table
