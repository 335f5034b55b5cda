"""The console's pages: they show what was issued, change nothing, and load nothing from elsewhere."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import msgspec
import psycopg
import pytest

from ledger.domain import form, weight
from tests.plugin import LEDGER_KEY, Database
from tests.support.clients.console import Browser, Page, staff
from tests.support.clients.orders import GOOD
from tests.support.database.accounts import night, nights
from tests.support.database.report_counts import roll_up
from tests.support.log.tampering import insert, tamper
from tests.support.processes.sealers import Sealer, until_published

ORDERS = [
    *[{"weight": "1.5"}] * 3,
    *[{"origin_country_id": "SG", "weight": "0.1"}] * 2,
    {"destination_country_id": "DE", "weight": "80"},
]
"""What differs from the good order."""
PAGES = ("", "ledger/", "customer/", "keys/", "password/")
UNKNOWN = re.compile(r"`|=>|\b(?:if|for|return)\b|[?][.]|[.]{3}")
"""Statements, template strings, arrows, optional chains, spreads: what Alpine's CSP build does not evaluate."""
ADMIN = ("issuance_event", "ledger/issuanceevent", "ledger/issuanceevent/add", "staff/staffuser", "auth/user/add")


class Issued(NamedTuple):
    port: int
    events: list[dict[str, Any]]
    browser: Browser


@pytest.fixture(scope="module")
def issued(database: Database, lane_port: int) -> Iterator[Issued]:
    """A service with some numbers in its log, half of them rolled up, and somebody at its console."""
    events = []
    with Sealer(database):
        for count, change in enumerate(ORDERS, 1):
            answer = httpx.get(f"http://127.0.0.1:{lane_port}/next-tracking-number", params=GOOD | change, timeout=90)
            events.append(answer.raise_for_status().json())
            if count == len(ORDERS) // 2:
                until_published(database, count)
                roll_up(database)
        until_published(database, len(ORDERS))
    with staff(database, lane_port) as browser:
        yield Issued(lane_port, events, browser)


@pytest.fixture(scope="module")
def pages(issued: Issued) -> dict[str, httpx.Response]:
    """Every page there is, as it is answered."""
    number = issued.events[0]["tracking_number"]
    found = {path: issued.browser.get(path) for path in (*PAGES, f"ledger/{number}/")}
    found["login/"] = httpx.get(f"http://127.0.0.1:{issued.port}/console/login/", timeout=90)
    found["a customer's"] = issued.browser.post("customer/", customer=GOOD["customer_id"])
    found["a new key's"] = issued.browser.post("keys/", name="a page's", scopes=["audit"])
    found["a wrong form"] = issued.browser.post("keys/")
    found["an unknown number"] = issued.browser.get("ledger/3K9M7QX2PZ4MYIDT/")
    return found


def chart(page: Page, name: str) -> dict[str, int]:
    """What a chart shows."""
    [text] = [text for attrs, text in page.scripts if attrs.get("id") == f"{name}-data"]
    data = msgspec.json.decode(text)
    return dict(zip(data["labels"], data["values"], strict=True))


def shown(page: Page) -> list[str]:
    """The numbers of a list."""
    found = [re.fullmatch(r"/console/ledger/(\w{16})/", given.get("href", "")) for _, given in page.elements]
    return [match[1] for match in found if match]


def test_the_overview_counts_what_was_issued_rolled_up_or_not(issued: Issued) -> None:
    page = issued.browser.page("")
    total = len(ORDERS)
    days = chart(page, "by-day")
    assert len(days) == 30
    issued_on = Counter(each["created_at"][:10] for each in issued.events)
    assert days == dict.fromkeys(days, 0) | issued_on
    today = list(days)[-1]
    assert today >= max(issued_on)
    assert [page.text(f"issued-{each}") for each in ("today", "week", "month")] == [
        *(str(issued_on[today]), str(total), str(total)),
    ]
    routes = Counter(f"{each['origin_country_id']} → {each['destination_country_id']}" for each in issued.events)
    assert chart(page, "by-route") == dict(routes)
    assert list(chart(page, "by-route")) == [route for route, _ in routes.most_common()]
    bands = Counter(each["weight_band"] for each in issued.events)
    assert chart(page, "by-weight") == {label: bands[label] for label in weight.LABELS}


def test_each_chart_says_the_same_in_a_table(issued: Issued) -> None:
    page = issued.browser.page("")
    for name in ("by-day", "by-route", "by-weight"):
        text = page.text(name)
        for label, count in chart(page, name).items():
            assert f"{label} {count}" in text


def test_the_overview_says_how_the_log_stands(issued: Issued) -> None:
    page = issued.browser.page("")
    total = len(ORDERS)
    assert page.text("checkpoint-size") == f"{total} leaves"
    assert page.text("rollup-lag") == str(total - total // 2)
    assert page.text("sealer-lag") == "up to date"
    assert page.text("nightly-check") == "none yet"
    assert int(page.text("serials-used").replace(",", "")) % 1024 == 0
    assert page.text("serials-share") == "less than 0.01%"
    assert re.fullmatch("(not before the year 10000|[0-9-]{10,}), at [0-9,]+ a day", page.text("serials-run-out"))
    assert page.text("accounted") == "not counted yet"
    assert page.text("nightly-account") == "none yet"
    assert re.fullmatch("[0-9.]+ MB", page.text("database-size"))


def test_numbers_that_wait_for_the_sealer_show(issued: Issued, database: Database) -> None:
    answer = httpx.get(f"http://127.0.0.1:{issued.port}/next-tracking-number", params=GOOD, timeout=90)
    number = answer.raise_for_status().json()["tracking_number"]
    page = issued.browser.page("")
    assert re.fullmatch("[0-9]+ s behind", page.text("sealer-lag"))
    assert "not in the log yet" in issued.browser.page(f"ledger/{number}/").text("event-leaf")
    assert number not in shown(issued.browser.page("ledger/"))
    with Sealer(database):
        until_published(database, len(ORDERS) + 1)
    assert issued.browser.page("").text("sealer-lag") == "up to date"
    assert shown(issued.browser.page("ledger/"))[0] == number


def test_what_became_of_the_serials_shows_and_what_nobody_issued_stands_in_red_until_it_is_gone(
    issued: Issued, database: Database
) -> None:
    assert night(database) == []
    page = issued.browser.page("")
    assert page.text("accounted") == "{:,} = {:,} + {:,} + {:,}".format(*nights(database)[-1].sums)
    assert page.text("nightly-account").startswith("passed ")
    assert not [each for _, each in page.elements if each.get("id") == "unaccounted"]
    number = insert(database, (1 << 41) - 1)
    assert len(night(database)) == 1
    page = issued.browser.page("")
    assert page.text("nightly-account").startswith("failed ")
    assert f"Number {number} (serial {(1 << 41) - 1}) lies in block 2147483647" in page.text("unaccounted")
    tamper(database, f"DELETE FROM issuance_event WHERE number = '{number}'")
    assert night(database) == []
    assert issued.browser.page("").text("nightly-account").startswith("passed ")


def test_faults_of_the_nightly_check_stand_in_red_until_a_later_check_of_the_same_finds_none(
    issued: Issued, database: Database
) -> None:
    note = "INSERT INTO ledger_check (first_leaf, end_leaf, faults) VALUES (%s, %s, %s)"
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(note, [0, 4, []])
        assert issued.browser.page("").text("nightly-check").startswith("passed")
        session.execute(note, [0, 4, ["Leaf 2 is not its event."]])
        session.execute(note, [4, 6, []])
        page = issued.browser.page("")
        assert "Leaves 0 to 3" in page.text("failed-checks")
        assert "Leaf 2 is not its event." in page.text("failed-checks")
        assert page.text("nightly-check") == "1 failed"
        session.execute(note, [0, 4, []])
        assert issued.browser.page("").text("nightly-check").startswith("passed")
        assert "failed-checks" not in issued.browser.get("").text


@pytest.mark.parametrize("written", [str, str.lower, "-".join, lambda each: f" {each[:4]} {each[4:]}"])
def test_a_number_is_found_as_its_label_has_it(issued: Issued, written: Any) -> None:
    number = issued.events[0]["tracking_number"]
    found = issued.browser.get("ledger/", number=written(number))
    assert (found.status_code, found.headers["location"]) == (302, f"/console/ledger/{number}/")


def test_a_slip_of_the_pen_is_told(issued: Issued) -> None:
    number = issued.events[0]["tracking_number"]
    wrong = number[:-1] + ("0" if number[-1] != "0" else "1")
    page = issued.browser.page("ledger/", number=wrong)
    assert f"these 15 characters end in {number[-1]}" in page.text("content")
    assert "can't be a number of ours" in issued.browser.page("ledger/", number="zaphod").text("content")


def test_a_number_that_was_never_issued_has_no_page(issued: Issued) -> None:
    body = f"7{'0' * 10}MYID"
    number = next(body + each for each in form.CROCKFORD + "ILOU" if _good(body + each))
    answer = issued.browser.get(f"ledger/{number}/")
    assert answer.status_code == 404
    assert "This number was never issued" in answer.text


def _good(number: str) -> bool:
    try:
        form.check(number)
    except form.NumberError:
        return False
    return True


def test_the_list_has_the_newest_first_and_is_narrowed_down(issued: Issued) -> None:
    numbers = [each["tracking_number"] for each in issued.events]
    listed = [each for each in shown(issued.browser.page("ledger/")) if each in numbers]
    assert listed == numbers[::-1]
    for name, typed in (("origin", "sg"), ("destination", "DE")):
        events = [each for each in issued.events if each[f"{name}_country_id"] == typed.upper()]
        expected = [each["tracking_number"] for each in events]
        assert expected
        assert shown(issued.browser.page("ledger/", **{name: typed}))[::-1] == expected
    heavy = shown(issued.browser.page("ledger/", weight=str(weight.band(80_000))))
    assert heavy == [each["tracking_number"] for each in issued.events if each["destination_country_id"] == "DE"]
    first, last = (issued.events[place]["created_at"][:10] for place in (0, -1))
    assert set(numbers) <= set(shown(issued.browser.page("ledger/", first=first, last=last)))
    assert shown(issued.browser.page("ledger/", first="2020-01-01", last="2020-12-31")) == []


def test_what_can_not_be_looked_for_is_said_beside_the_field(issued: Issued) -> None:
    page = issued.browser.page("ledger/", origin="QQ", first="2026-02-30", weight="12")
    assert "not an assigned ISO 3166-1" in page.text("id_origin_error")
    assert "There is no such day" in page.text("id_first_error")
    assert page.text("id_weight_error")
    assert not shown(page)
    assert "must not come before" in issued.browser.page("ledger/", first="2026-03-01", last="2026-02-01").text(
        "id_last_error"
    )
    assert issued.browser.get("ledger/", cursor="made-up").status_code == 400


def test_the_page_of_a_number_has_all_that_its_proof_is_verified_by(issued: Issued) -> None:
    number = issued.events[0]["tracking_number"]
    page = issued.browser.page(f"ledger/{number}/")
    [proof] = page.having("data-proof")
    assert proof["data-proof-url"] == f"/v1/tracking-numbers/{number}/proof"
    assert proof["data-leaf-hash"] == issued.events[0]["leaf_hash"]
    entry = msgspec.json.decode(proof["data-entry"])
    assert entry["number"] == number
    assert entry["requested_at"] == issued.events[0]["created_at"]
    assert proof["data-verifier-key"].startswith(LEDGER_KEY.split("+")[2] + "+")
    assert [given["role"] for given in page.having("data-proof-status")] == ["status"]
    assert list(page.having("data-proof-steps"))
    assert page.text("event-leaf") == "0"
    assert GOOD["customer_id"] not in issued.browser.get(f"ledger/{number}/").text


def test_a_row_that_was_changed_is_shown_as_what_was_not_signed(issued: Issued, database: Database) -> None:
    event = issued.events[0]
    number = event["tracking_number"]
    change = "UPDATE issuance_event SET weight_band = weight_band + %s WHERE number = %s"
    with psycopg.connect(database.owner_url, autocommit=True) as superuser:
        superuser.execute("ALTER TABLE issuance_event DISABLE TRIGGER refuse_change")
        superuser.execute(change, [1, number])
        try:
            page = issued.browser.page(f"ledger/{number}/")
        finally:
            superuser.execute(change, [-1, number])
            superuser.execute("ALTER TABLE issuance_event ENABLE ALWAYS TRIGGER refuse_change")
    assert "not what was signed" in page.text("contradiction")
    [proof] = page.having("data-proof")
    assert proof["data-leaf-hash"] != event["leaf_hash"]
    assert msgspec.json.decode(proof["data-entry"])["weight_band"] == weight.LABELS.index(event["weight_band"]) + 1
    assert "contradiction" not in issued.browser.get(f"ledger/{number}/").text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_of_the_ledger_can_be_changed_from_here(issued: Issued, method: str) -> None:
    number = issued.events[0]["tracking_number"]
    token = issued.browser.token("keys/")
    headers = {"X-CSRFToken": token, "Origin": str(issued.browser.client.base_url)}
    for path in ("", "ledger/", f"ledger/{number}/"):
        data = {"action": "delete_selected", "_selected_action": number, "post": "yes"}
        answer = issued.browser.client.request(method, f"/console/{path}", data=data, headers=headers)
        assert answer.status_code == 405, path
    assert issued.browser.get(f"ledger/{number}/").status_code == 200


@pytest.mark.parametrize("path", [*ADMIN, "r/1/1", "jsi18n", "autocomplete", "password_change", "search"])
def test_of_the_admin_s_own_pages_there_are_none(issued: Issued, path: str) -> None:
    for tail in ("", "/", "/1/change/", "/1/delete/", "/add/"):
        answer = issued.browser.get(path + tail)
        assert answer.status_code == 404
        assert Page(answer.text).text("trouble").startswith(("There is nothing here", "This number was never issued"))


def test_every_page_may_load_and_run_nothing_but_the_service_s_own_files(pages: dict[str, httpx.Response]) -> None:
    for path, response in pages.items():
        policy = dict(
            each.strip().partition(" ")[::2] for each in response.headers["content-security-policy"].split(";")
        )
        assert policy == {
            "default-src": "'none'",
            **dict.fromkeys(("script-src", "style-src", "font-src", "connect-src", "form-action"), "'self'"),
            "img-src": "'self' data:",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }, path
        assert response.headers["cache-control"] == "no-store", path
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["x-content-type-options"] == "nosniff"


def test_no_page_has_a_script_a_style_or_a_handler_in_it(pages: dict[str, httpx.Response]) -> None:
    for path, response in pages.items():
        page = Page(response.text)
        assert len(page.elements) > 20, path
        for attrs, text in page.scripts:
            assert attrs.get("type") == "application/json" or (attrs["src"] and not text.strip()), path
        for tag, attrs in page.elements:
            assert tag != "style", path
            assert "style" not in attrs, (path, attrs)
            assert not [name for name in attrs if re.fullmatch("on[a-z]+", name)], (path, attrs)


def test_alpine_s_csp_build_knows_every_expression_of_a_page(pages: dict[str, httpx.Response]) -> None:
    found = 0
    for path, response in pages.items():
        for _, attrs in Page(response.text).elements:
            for name, expression in attrs.items():
                if re.match("x-|@|:", name):
                    found += 1
                    assert not UNKNOWN.search(expression), (path, expression)
    assert found > 50


def test_every_file_and_link_of_a_page_is_the_service_s_own_and_is_there(
    issued: Issued, pages: dict[str, httpx.Response]
) -> None:
    named = set[str]()
    for response in pages.values():
        for _, attrs in Page(response.text).elements:
            named |= {attrs[name] for name in ("src", "href", "action", "data-proof-url") if attrs.get(name)}
    assert any(name.endswith("alpine.js") for name in named)
    for name in named:
        if name == "#content":
            continue
        assert re.match("/(?!/)", name), name
        expected = {"/console/login/": 302, "/console/logout/": 405}.get(name, 200)
        assert issued.browser.client.get(name).status_code == expected, name


def test_no_style_sheet_and_no_script_of_a_page_names_another_host(
    issued: Issued, pages: dict[str, httpx.Response]
) -> None:
    for _, attrs in Page(pages[""].text).elements:
        name = attrs.get("href", "")
        if name.endswith(".css"):
            for url in re.findall(r"url\(([^)]*)\)", issued.browser.client.get(name).text):
                assert not re.match("[\"']?(https?:)?//", url), (name, url)
