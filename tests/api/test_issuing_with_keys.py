"""Issuing where a key is required, in both ways in: who may, for whom, what a bound key is shown, when a key ends."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from core.keys import domain
from tests.api.conftest import Shared
from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.bulk import OTHER_CUSTOMER
from tests.support.clients.http import ask, problem
from tests.support.clients.orders import GOOD, PATH, query
from tests.support.clients.stats import ask_stats
from tests.support.database import ledger
from tests.support.processes.commands import manage
from tests.support.processes.proc import stops
from tests.support.processes.service import runserver

SHARES = True


@pytest.fixture(scope="module")
def lane_port(closed_port: int) -> int:
    """The port of a service that issues to nobody without a key."""
    return closed_port


@pytest.fixture(scope="module")
def wsgi_port(database: Database) -> Iterator[int]:
    """The same under `manage.py runserver`."""
    with runserver(database, ISSUANCE_REQUIRES_KEY="1", WRONG_KEYS_PER_ADDRESS="0") as port:
        yield port


@pytest.fixture(scope="module")
def key(database: Database) -> str:
    return make_key(database, "issue")


@pytest.fixture(scope="module")
def bound_key(database: Database) -> str:
    return make_key(database, "issue", customer=GOOD["customer_id"])


def issue(port: int, key: str = "", raw_query: bytes | None = None, **headers: str) -> httpx.Response:
    """One request for a number, with a key or without one."""
    text = (query() if raw_query is None else raw_query).decode()
    return ask(port, f"{PATH}?{text}", **(bearer(key) if key else {}), **headers)


def principal(database: Database, response: httpx.Response) -> Any:
    """Whose key the ledger says the event was issued with."""
    assert response.status_code == 200, response.text
    with ledger.reading(database.owner_url) as session:
        (found,) = session.execute(
            "SELECT principal FROM issuance_event WHERE number = %s", [response.json()["tracking_number"]]
        )
    return found[0]


@contextmanager
def nothing_issued(database: Database) -> Iterator[None]:
    before = ledger.count(database.owner_url)
    yield
    assert ledger.count(database.owner_url) == before


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer {key}0", "Bearer tna_1_00", "Basic {key}", "Basic abc", "{key}"],
)
def test_without_a_good_key_nothing_is_issued(
    port: int, database: Database, key: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.format(key=key)}
    with nothing_issued(database):
        refused = ask(port, f"{PATH}?{query().decode()}", **headers)
    assert problem(refused) == (401, "unauthorized")
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scopes", [("audit",), ("reports", "operate")])
def test_a_key_of_other_scopes_issues_nothing(port: int, database: Database, scopes: tuple[str, ...]) -> None:
    key = make_key(database, *scopes)
    with nothing_issued(database):
        assert problem(issue(port, key)) == (403, "missing-scope")


def test_an_event_says_whose_key_it_was_issued_with(port: int, database: Database, key: str) -> None:
    response = issue(port, key)
    assert "entry" not in response.json(), "an open key is not told the customer's tag"
    assert principal(database, response) == int(key.split("_")[1])


def test_a_key_of_several_scopes_issues(port: int, database: Database) -> None:
    key = make_key(database, "audit", "issue")
    assert principal(database, issue(port, key)) == int(key.split("_")[1])


def test_a_bound_key_is_shown_the_entry_that_its_leaf_hash_is_of(port: int, database: Database, bound_key: str) -> None:
    response = issue(port, bound_key)
    answer = response.json()
    assert hashlib.sha256(b"\0" + answer["entry"].encode()).hexdigest() == answer["leaf_hash"]
    entry = json.loads(answer["entry"])
    assert (entry["number"], entry["request_id"]) == (answer["tracking_number"], answer["request_id"])
    assert entry["principal"] == principal(database, response) == int(bound_key.split("_")[1])


def test_a_bound_key_issues_nothing_for_another_customer(port: int, database: Database, bound_key: str) -> None:
    with nothing_issued(database):
        assert problem(issue(port, bound_key, query(customer_id=OTHER_CUSTOMER))) == (403, "other-customer")


def test_what_is_wrong_with_an_order_is_told_to_those_who_may_issue_alone(port: int, key: str, bound_key: str) -> None:
    bad = query(weight="0", customer_id=OTHER_CUSTOMER)
    assert problem(issue(port, raw_query=bad)) == (401, "unauthorized"), "without any header"
    assert problem(issue(port, key, bad)) == (400, "invalid-parameters")
    assert problem(issue(port, bound_key, bad)) == (400, "invalid-parameters")


def test_an_idempotency_key_is_its_callers_alone(port: int, database: Database, key: str, bound_key: str) -> None:
    again = str(uuid4())
    first, second = issue(port, key, Idempotency_Key=again), issue(port, bound_key, Idempotency_Key=again)
    assert first.json()["tracking_number"] != second.json()["tracking_number"]
    with nothing_issued(database):
        for presented, before in ((key, first), (bound_key, second)):
            repeated = issue(port, presented, Idempotency_Key=again)
            assert repeated.headers["idempotency-replayed"] == "true"
            assert repeated.json() == before.json()


def test_a_key_that_is_revoked_is_refused_within_three_seconds_while_it_is_in_use(
    port: int, database: Database
) -> None:
    key = make_key(database, "issue")
    assert issue(port, key).status_code == 200
    manage(database, "revoke_api_key", key.split("_")[1])
    assert stops(lambda: issue(port, key).status_code == 200, 3)
    assert problem(issue(port, key)) == (401, "unauthorized"), "and stays so"


def test_a_key_that_expires_is_refused_from_that_moment_on_while_it_is_in_use(port: int, database: Database) -> None:
    answered = 0
    for seconds in (2, 15, 60):  # until it was used in time, however slow that is
        identity, key = domain.make(None)  # the command knows of days only
        expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
        with psycopg.connect(database.owner_url, autocommit=True) as session:
            session.execute(
                "INSERT INTO api_key (id, expires_at, bound, digest, name, scopes)"
                " VALUES (%s, %s, false, %s, 'brief', %s)",
                [identity, expires_at, domain.digest(key), ["issue"]],
            )
        asked = datetime.now(UTC)
        while (response := issue(port, key)).status_code == 200:
            assert asked < expires_at
            answered += 1
            time.sleep(0.02)
            asked = datetime.now(UTC)
        if answered:
            break
    assert answered
    assert datetime.now(UTC) > expires_at
    assert problem(response) == (401, "unauthorized")


def test_a_key_that_issues_opens_what_else_its_scopes_name(port: int, database: Database) -> None:
    key = make_key(database, "issue", "reports")
    assert issue(port, key).status_code == 200
    assert ask_stats(port, GOOD["customer_id"], key).status_code == 200


def test_a_service_that_is_open_still_looks_at_a_key_that_is_shown(
    database: Database, shared: Shared, key: str, bound_key: str
) -> None:
    port = shared.lane_port
    assert principal(database, issue(port)) is None
    assert principal(database, issue(port, key)) == int(key.split("_")[1])
    assert "entry" in issue(port, bound_key).json()
    with nothing_issued(database):
        assert problem(issue(port, f"{key}0")) == (401, "unauthorized")
        assert problem(issue(port, make_key(database, "audit"))) == (403, "missing-scope")
