"""What a list is narrowed down by, as a page and as a file, and what a key of one customer sees of it."""

import csv
import hmac
import json
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import combinations
from typing import NamedTuple

import pytest

from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem
from tests.support.clients.orders import PATH as ISSUE
from tests.support.clients.orders import query
from tests.support.log import lists
from tests.support.log.history import issue
from tests.support.log.lists import PATH, Row, follow, in_order, leaves, numbers, path
from tests.support.processes.sealers import seal
from tests.support.processes.secret_keys import NEXT_TAG_KEY, TAG_KEY
from tests.support.processes.service import ServiceFactory

KEYS = {1: bytes.fromhex(TAG_KEY), 2: bytes.fromhex(NEXT_TAG_KEY)}
OLD, NEW = (f"{number}:{key.hex()}" for number, key in KEYS.items())
OURS, THEIRS = "de619854-b59b-425e-9db4-000000000000", "de619854-b59b-425e-9db4-000000000001"
"""Those that have most of what a load issues."""
REQUEST_ID = "b3bb2b67-2e4a-4e4f-9c8c-3f3ad3f0a111"


class Ledger(NamedTuple):
    """A service, the keys of an auditor and of auditors of one customer, and all rows in the order of issue."""

    port: int
    auditor: str
    ours: str
    theirs: str
    rows: list[Row]


@pytest.fixture(scope="module")
def ledger(database: Database, service: ServiceFactory) -> Ledger:
    """Issued under one customer key and then under the next, with and without an API key."""
    before = service(database, CUSTOMER_TAG_KEYS=f"{NEW},{OLD}", WEB_CONCURRENCY="1")
    issue(before.port, 300)
    port = service(database, initialise=False, CUSTOMER_TAG_KEYS=f"{OLD},{NEW}", WEB_CONCURRENCY="1").port
    issue(port, 301)
    issuer = make_key(database, "issue")
    for customer in (OURS, THEIRS, OURS):
        order = f"{ISSUE}?{query(customer_id=customer).decode()}"
        assert ask(port, order, X_Request_ID=REQUEST_ID, **bearer(issuer)).status_code == 200
    seal(database, 604)
    keys = (make_key(database, "audit", customer=customer) for customer in (None, OURS, THEIRS))
    auditor, ours, theirs = keys
    return Ledger(port, auditor, ours, theirs, in_order(leaves(port, auditor, 604)))


def of_customer(customer: str) -> set[str]:
    """The tags of a customer."""
    return {hmac.digest(key, uuid.UUID(customer).bytes, "sha256").hex() for key in KEYS.values()}


MATCHES: dict[str, Callable[[Row, str], bool]] = {
    "customer_id": lambda row, text: row["customer_tag"] in of_customer(text),
    "origin_country_id": lambda row, text: row["origin_country_id"] == text,
    "destination_country_id": lambda row, text: row["destination_country_id"] == text,
    "route": lambda row, text: f"{row['origin_country_id']}-{row['destination_country_id']}" == text,
    "weight_band": lambda row, text: row["weight_band_code"] == int(text),
    "issued_after": lambda row, text: row["created_at"] >= text,
    "issued_before": lambda row, text: row["created_at"] < text,
    "request_id": lambda row, text: row["request_id"] == text,
    "principal": lambda row, text: row["principal"] == int(text),
}
"""Whether a row is what a filter with a value leaves."""


def matching(rows: list[Row], **texts: str) -> list[Row]:
    """The rows that a list must have."""
    return [row for row in rows if all(MATCHES[name](row, text) for name, text in texts.items())]


def chosen(rows: list[Row]) -> dict[str, str]:
    """For each filter a value that some rows have."""
    (principal,) = {row["principal"] for row in rows} - {None}
    ((origin, destination), _), *_ = Counter(
        (row["origin_country_id"], row["destination_country_id"]) for row in rows
    ).most_common()
    return {
        "customer_id": OURS,
        "origin_country_id": origin,
        "destination_country_id": destination,
        "route": f"{origin}-{destination}",
        "weight_band": "10",
        "issued_after": rows[len(rows) // 4]["created_at"],
        "issued_before": rows[-2]["created_at"],
        "request_id": REQUEST_ID,
        "principal": str(principal),
    }


def test_a_list_has_what_each_filter_leaves_and_what_two_together_leave(ledger: Ledger) -> None:
    texts = chosen(ledger.rows)
    for names in [*combinations(texts, 1), *combinations(texts, 2)]:
        asked = {name: texts[name] for name in names}
        wanted = matching(ledger.rows, **asked)
        assert wanted or len(names) > 1
        for order in ("serial", "-serial"):
            found = follow(ledger.port, ledger.auditor, path(**asked, order=order, limit=100))
            assert found.rows == (wanted if order == "serial" else wanted[::-1]), names


def test_a_customer_is_found_under_every_live_key(ledger: Ledger) -> None:
    found = follow(ledger.port, ledger.auditor, path(customer_id=OURS, limit=7)).rows
    assert {row["customer_tag"] for row in found} == of_customer(OURS)
    assert {row["customer_key_id"] for row in found} == set(KEYS)


def test_a_value_may_be_written_as_in_an_order(ledger: Ledger) -> None:
    moment = ledger.rows[50]["created_at"]
    there = datetime.fromisoformat(moment) + timedelta(hours=8)
    plus = there.replace(tzinfo=None).isoformat() + "+08:00"
    spellings = {
        f"{PATH}?origin_country_id=my": path(origin_country_id="MY"),
        f"{PATH}?route=my-Sg": path(route="MY-SG"),
        f"{PATH}?issued_before={plus}": path(issued_before=moment),
        f"{PATH}?issued_before={plus.replace('+', '%2B')}": path(issued_before=moment),
        f"{PATH}?issued_before={moment.lower()}": path(issued_before=moment),
        f"{PATH}?customer%5Fid={OURS.upper()}": path(customer_id=OURS),
        f"{PATH}?weight_band=010": path(weight_band=10),
    }
    for spelling, same in spellings.items():
        found = follow(ledger.port, ledger.auditor, spelling).rows
        assert found, spelling
        assert found == follow(ledger.port, ledger.auditor, same).rows, spelling


@pytest.mark.parametrize("texts", [{}, {"customer_id": OURS}, {"weight_band": "10"}])
@pytest.mark.parametrize("order", ["serial", "-serial"])
def test_a_file_has_what_the_pages_have(ledger: Ledger, texts: dict[str, str], order: str) -> None:
    wanted = matching(ledger.rows, **texts)[:: 1 if order == "serial" else -1]
    for row in wanted:
        assert row["links"]
    flat = [{name: value for name, value in row.items() if name != "links"} for row in wanted]
    lines = ask(ledger.port, path(**texts, order=order, format="jsonl"), **bearer(ledger.auditor))
    assert lines.headers["content-type"] == "application/jsonl"
    assert [json.loads(line) for line in lines.text.splitlines()] == flat
    table = ask(ledger.port, path(**texts, order=order), Accept="text/csv", **bearer(ledger.auditor))
    assert table.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert table.headers["content-disposition"] == 'attachment; filename="tracking-numbers-604.csv"'
    assert table.text.endswith("\r\n")
    as_text = [{name: "" if value is None else str(value) for name, value in row.items()} for row in flat]
    assert list(csv.DictReader(table.text.splitlines())) == as_text


@pytest.mark.parametrize(
    ("accept", "form", "content_type"),
    [
        ("text/csv", "json", "application/json"),
        ("application/json", "csv", "text/csv; charset=utf-8; header=present"),
        ("image/png", "jsonl", "application/jsonl"),
        ("application/jsonl", None, "application/jsonl"),
        ("text/csv;q=0.1, application/jsonl;q=0.2", None, "application/jsonl"),
        ("text/html, */*;q=0.1", None, "application/json"),
    ],
)
def test_the_query_says_in_which_form_and_else_accept(
    ledger: Ledger, accept: str, form: str | None, content_type: str
) -> None:
    asked = path(weight_band=0) if form is None else path(weight_band=0, format=form)
    for method in ("GET", "HEAD"):
        answer = ask(ledger.port, asked, method, Accept=accept, **bearer(ledger.auditor))
        assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
        assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Accept")


def test_what_cannot_be_had_is_not_acceptable(ledger: Ledger) -> None:
    answer = ask(ledger.port, PATH, Accept="image/png, text/html", **bearer(ledger.auditor))
    assert problem(answer) == (406, "not-acceptable")


def test_a_bound_key_sees_its_own_customer_whatever_it_asks(ledger: Ledger) -> None:
    ours = matching(ledger.rows, customer_id=OURS)
    assert follow(ledger.port, ledger.ours, path(limit=11)).rows == ours
    assert follow(ledger.port, ledger.ours, path(customer_id=OURS)).rows == ours
    assert follow(ledger.port, ledger.ours, path(customer_id=THEIRS)).rows == []
    for name, text in chosen(ledger.rows).items():
        found = follow(ledger.port, ledger.ours, path(**{name: text})).rows
        assert found == matching(ours, **{name: text}), name
    lines = ask(ledger.port, path(format="jsonl"), **bearer(ledger.ours)).text.splitlines()
    assert [json.loads(line)["tracking_number"] for line in lines] == numbers(ours)
    assert ask(ledger.port, path(format="jsonl", customer_id=THEIRS), **bearer(ledger.ours)).content == b""


def test_a_cursor_is_good_for_its_own_list_alone(ledger: Ledger) -> None:
    def cursor(key: str, **asked: str) -> str:
        link: str = ask(ledger.port, path(**asked, limit=3), **bearer(key)).json()["next"]
        return link.partition("cursor=")[2]

    start, end = ledger.rows[10]["created_at"], ledger.rows[-1]["created_at"]
    given = {"customer_id": OURS, "issued_after": start, "issued_before": end}
    good = cursor(ledger.auditor, **given)

    def refused(key: str = ledger.auditor, text: str = good, **asked: str) -> bool:
        answer = ask(ledger.port, path(**asked, cursor=text), **bearer(key))
        if answer.status_code == 200:
            return False
        assert problem(answer) == (400, "invalid-parameters")
        (flaw,) = answer.json()["errors"]
        assert flaw["parameter"] == "cursor"
        return True

    assert not refused(**given)
    assert not refused(**(given | {"customer_id": OURS.upper(), "issued_after": start.replace("Z", "+00:00")}))
    assert not refused(**given, limit="1", format="json")
    for other in (
        {"customer_id": THEIRS},
        {"issued_after": ledger.rows[11]["created_at"]},
        {"issued_before": ledger.rows[-2]["created_at"]},
        {"order": "-serial"},
        {"weight_band": "0"},
        {"origin_country_id": "MY"},
    ):
        assert refused(**(given | other)), other
    assert refused(customer_id=OURS)
    assert refused()
    assert refused(ledger.ours, **given), "the list of a key that is bound is another list"
    own = cursor(ledger.ours)
    assert not refused(ledger.ours, own)
    assert refused(ledger.theirs, own)
    assert refused(ledger.auditor, own)
    for damaged in (
        "",
        "x",
        good[:-1],
        good + "A",
        good[:-1] + chr(ord(good[-1]) ^ 1),
        good + "=",
        good[:5] + " " + good[5:],
    ):
        assert refused(text=damaged, **given), damaged
    assert refused(text="A" * 5000, **given)


def test_no_link_names_a_customer_that_the_caller_did_not_name(ledger: Ledger) -> None:
    page = ask(ledger.port, path(limit=2), **bearer(ledger.ours))
    for form in (OURS, OURS.replace("-", ""), OURS.replace("-", "").upper()):
        assert form not in page.text
    assert uuid.UUID(OURS).bytes not in lists.unsealed(page.json()["next"])
    link = ask(ledger.port, f"{PATH}?limit=2&customer_id={OURS}", **bearer(ledger.auditor)).json()["next"]
    assert link.startswith(f"{PATH}?limit=2&customer_id={OURS}&cursor=")
