"""What bulk issuing promises over HTTP, in both ways in."""

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.plugin import Database
from tests.support.clients.api_keys import make_key
from tests.support.clients.bulk import OTHER_CUSTOMER, PATH, begins_a_block, numbers, order, orders, post
from tests.support.clients.http import ask, problem
from tests.support.clients.orders import GOOD
from tests.support.database import ledger

SHARES = True

SINGLE = [
    *("tracking_number", "created_at", "origin_country_id", "destination_country_id", "weight_band"),
    *("request_id", "leaf_hash", "links"),
]


@pytest.fixture(scope="module")
def key(database: Database) -> str:
    return make_key(database, "issue")


@pytest.fixture(scope="module")
def bound_key(database: Database) -> str:
    return make_key(database, "issue", customer=GOOD["customer_id"])


def rows(database: Database, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the ledger holds of some numbers."""
    columns = "number, serial, origin, destination, weight_band, request_id::text, requested_at, principal"
    with ledger.reading(database.owner_url) as session:
        found = session.execute(
            f"SELECT {columns} FROM issuance_event WHERE number = ANY(%s)", [list(wanted)]
        ).fetchall()
    names = [name.partition("::")[0] for name in columns.split(", ")]
    return {row[0]: dict(zip(names, row, strict=True)) for row in found}


def test_orders_are_answered_in_their_order_each_as_a_single_one_would_be(
    port: int, database: Database, key: str
) -> None:
    wanted = orders(300)
    response = post(port, key, wanted)
    answers = response.json()
    assert response.status_code == 201
    assert all(list(answer) == SINGLE for answer in answers)
    recorded = rows(database, numbers(response))
    assert len(recorded) == len(answers) == 300
    for asked, answer in zip(wanted, answers, strict=True):
        number = answer["tracking_number"]
        route = asked["origin_country_id"] + asked["destination_country_id"]
        assert re.fullmatch("[A-Z0-9]{16}", number)
        assert number[11:15] == route == answer["origin_country_id"] + answer["destination_country_id"]
        assert recorded[number]["origin"] + recorded[number]["destination"] == route
        assert answer["links"] == {"self": f"{PATH}/{number}", "proof": f"{PATH}/{number}/proof"}
    serials = [recorded[number]["serial"] for number in numbers(response)]
    assert all(after == before + 1 or begins_a_block(before, after) for before, after in pairwise(serials))
    by_weight = sorted(
        zip((float(each["weight"]) for each in wanted), recorded.values(), strict=True), key=lambda x: x[0]
    )
    assert [row["weight_band"] for _, row in by_weight] == sorted(row["weight_band"] for row in recorded.values())


def test_all_events_of_a_call_have_its_request_id_its_caller_and_the_time_it_was_taken(
    port: int, database: Database, key: str
) -> None:
    before, given = datetime.now(UTC), str(uuid4())
    response = post(port, key, orders(50), X_Request_ID=given.upper())
    assert response.headers["x-request-id"] == given
    (created_at,) = {answer["created_at"] for answer in response.json()}
    assert {answer["request_id"] for answer in response.json()} == {given}
    assert before <= datetime.fromisoformat(created_at) <= datetime.now(UTC)
    for row in rows(database, numbers(response)).values():
        assert (row["request_id"], row["principal"]) == (given, int(key.split("_")[1]))
        assert row["requested_at"] == datetime.fromisoformat(created_at)


def test_a_request_id_that_is_none_is_replaced_for_answers_and_problems_alike(port: int, key: str) -> None:
    bad: list[Any] = [{}]
    for wanted in (orders(1), bad):
        response = post(port, key, wanted, X_Request_ID="Robert'); DROP TABLE")
        assert UUID(response.headers["x-request-id"]).version == 7
    given = str(uuid4())
    refused = post(port, key, bad, X_Request_ID=given)
    assert refused.headers["x-request-id"] == refused.json()["request_id"] == given


def test_ten_thousand_orders_are_answered_and_one_more_is_refused(port: int, database: Database, key: str) -> None:
    assert len(set(numbers(post(port, key, orders(10_000))))) == 10_000
    count = ledger.count(database.owner_url)
    refused = post(port, key, orders(10_001))
    assert problem(refused) == (400, "malformed-body")
    assert refused.json()["errors"] == [
        {"parameter": "", "code": "too-many", "detail": "At most 10,000 orders are allowed."}
    ]
    assert ledger.count(database.owner_url) == count


def test_nothing_keeps_the_answer_and_crawlers_stay_away(port: int, key: str) -> None:
    headers = post(port, key, orders(1)).headers
    assert headers["content-type"] == "application/json"
    assert (headers["cache-control"], headers["x-robots-tag"]) == ("no-store", "noindex, nofollow")
    assert headers["x-content-type-options"] == "nosniff"
    assert not [name for name in headers if name.startswith("access-control-")]


def test_one_order_that_is_wrong_keeps_all_from_being_issued_and_is_named_by_its_index(
    port: int, database: Database, key: str
) -> None:
    wanted: list[Any] = orders(200)
    wanted[17]["weight"] = "0"
    wanted[17]["colour"] = "red"
    del wanted[199]["customer_slug"]
    wanted[120] = "MY"
    count = ledger.count(database.owner_url)
    refused = post(port, key, wanted)
    assert problem(refused) == (400, "invalid-parameters")
    assert [(each["parameter"], each["code"]) for each in refused.json()["errors"]] == [
        *(("[17].weight", "range"), ("[17].colour", "unknown"), ("[120]", "type"), ("[199].customer_slug", "missing")),
    ]
    assert ledger.count(database.owner_url) == count


def test_a_hundred_flaws_are_listed_and_then_how_many_more_there_are(port: int, key: str) -> None:
    flaws = post(port, key, [{}] * 1000).json()["errors"]
    assert len(flaws) == 101
    assert flaws[0]["parameter"] == "[0].origin_country_id"
    assert flaws[99]["parameter"] == "[14].destination_country_id"
    assert flaws[100] == {"parameter": "", "code": "more", "detail": "There are 6,900 more flaws."}
    exactly = post(port, key, [*([{}] * 14), order(weight="0"), order(weight="0")]).json()["errors"]
    assert len(exactly) == 100
    assert exactly[99]["parameter"] == "[15].weight"


def test_weights_are_numbers_or_texts_and_the_same(port: int, database: Database, key: str) -> None:
    answers = numbers(post(port, key, [order(weight=1.234), order(weight="1.234"), order(weight=1), order(weight="1")]))
    recorded = rows(database, answers)
    assert [recorded[number]["weight_band"] for number in answers] == [4, 4, 3, 3]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer {key}0", "Basic {key}"])
def test_nothing_is_issued_without_a_key(port: int, database: Database, key: str, authorization: str) -> None:
    count = ledger.count(database.owner_url)
    for wanted in (orders(2), b"not read"):
        refused = post(port, key, wanted, Authorization=authorization.format(key=key))
        assert problem(refused) == (401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"
    assert ledger.count(database.owner_url) == count


def test_a_key_of_other_scopes_issues_nothing(port: int, database: Database) -> None:
    key = make_key(database, "audit", "reports", "operate")
    assert problem(post(port, key, orders(2))) == (403, "missing-scope")


def test_a_key_that_is_bound_to_a_customer_issues_for_that_customer_and_is_shown_the_entries(
    port: int, bound_key: str
) -> None:
    for answer in post(port, bound_key, [order(weight=each) for each in ("1", "20")]).json():
        assert list(answer) == [*SINGLE, "entry"]
        assert hashlib.sha256(b"\0" + answer["entry"].encode()).hexdigest() == answer["leaf_hash"]
        entry = json.loads(answer["entry"])
        assert (entry["number"], entry["request_id"]) == (answer["tracking_number"], answer["request_id"])
        assert entry["principal"] == int(bound_key.split("_")[1])


def test_a_key_that_is_bound_to_a_customer_issues_nothing_if_one_order_is_another_customer_s(
    port: int, database: Database, bound_key: str
) -> None:
    count = ledger.count(database.owner_url)
    wanted = [*(order() for _ in range(9)), order(customer_id=OTHER_CUSTOMER)]
    assert problem(post(port, bound_key, wanted)) == (403, "other-customer")
    assert ledger.count(database.owner_url) == count


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_are_not_allowed_here(port: int, method: str) -> None:
    response = ask(port, PATH, method)
    assert problem(response) == (405, "method-not-allowed")
    assert "POST" in response.headers["allow"]


def test_options_names_the_methods_to_everybody(port: int) -> None:
    response = ask(port, PATH, "OPTIONS", Origin="https://elsewhere.example")
    assert response.status_code == 204
    assert "POST" in response.headers["allow"]
    assert not [name for name in response.headers if name.startswith("access-control-")]


def test_what_identifies_a_customer_is_nowhere_in_the_database(port: int, database: Database, key: str) -> None:
    customer = {
        "customer_id": str(uuid4()),
        "customer_name": "Zaphod Unmistakable",
        "customer_slug": "zaphod-unmistakable",
    }
    towel = f"towel-{uuid4()}"
    assert post(port, key, [order(**customer)] * 3, Idempotency_Key=towel).status_code == 201
    with ledger.reading(database.owner_url) as session:
        tables = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        everything = "\n".join(
            str(row) for (table,) in tables for row in session.execute(f'SELECT t::text FROM "{table}" t').fetchall()
        )
    for secret in (*customer.values(), customer["customer_id"].replace("-", ""), "towel"):
        assert secret not in everything
