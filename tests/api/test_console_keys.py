"""API keys in the console: made and shown once, listed without what makes them keys, and revoked for good."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from core.keys import domain
from tests.plugin import Database
from tests.support.clients.api_keys import bearer
from tests.support.clients.console import Browser, Page, staff
from tests.support.clients.orders import GOOD
from tests.support.database.rows import Session
from tests.support.processes.proc import stops

SHARES = True

GRACE = 3.0
KEY = re.compile(r"tna_([1-9][0-9]*)_[0-9a-f]{32}(?:_([0-9a-f]{32}))?")


@pytest.fixture(scope="module")
def browser(database: Database, lane_port: int) -> Iterator[Browser]:
    with staff(database, lane_port, "keys") as browser:
        yield browser


@pytest.fixture(scope="module")
def superuser(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        yield session


def make(browser: Browser, **given: Any) -> str:
    """The text of a new key, as its page shows it."""
    answer = browser.post("keys/", **given)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return Page(answer.text).text("key-text")


def count(session: Session) -> int:
    row = session.execute("SELECT count(*) FROM api_key").fetchone()
    assert row is not None
    return int(row[0])


def works(browser: Browser, key: str) -> bool:
    """Whether the API knows it."""
    url = f"{browser.client.base_url}/v1/tracking-numbers"
    status = httpx.get(url, headers=bearer(key), timeout=90).status_code
    assert status in {200, 401}
    return status == 200


def test_a_new_key_works_and_is_shown_once(browser: Browser, superuser: Session) -> None:
    text = make(browser, name="the warehouse", scopes=["audit", "issue"])
    found = KEY.fullmatch(text)
    assert found is not None
    assert works(browser, text)
    page = browser.get("keys/").text
    assert "the warehouse" in page
    assert found[1] in page
    assert text.split("_")[2] not in page
    row = superuser.execute("SELECT scopes, bound, digest, expires_at FROM api_key WHERE id = %s", [found[1]])
    assert row.fetchall() == [(["audit", "issue"], False, domain.digest(text), None)]


def test_a_key_ends_by_itself_and_is_bound_where_that_is_asked_for(browser: Browser, superuser: Session) -> None:
    before = datetime.now(UTC)
    text = make(browser, name="a customer's", scopes="reports", days="30", customer=GOOD["customer_id"].upper())
    after = datetime.now(UTC)
    assert text.endswith(f"_{UUID(GOOD['customer_id']).hex}")
    [(expires, bound, row)] = superuser.execute(
        "SELECT expires_at, bound, k::text FROM api_key k WHERE id = %s", [text.split("_")[1]]
    ).fetchall()
    assert bound
    assert UUID(GOOD["customer_id"]).hex not in row
    assert before <= expires - timedelta(days=30) <= after


BAD = {
    "no name": ({"scopes": "audit"}, "required"),
    "a long name": ({"name": "x" * 101, "scopes": "audit"}, "at most 100"),
    "a name that moves the cursor": ({"name": "\x1b[2J", "scopes": "audit"}, "printable"),
    "no scope": ({"name": "a"}, "required"),
    "a scope that there is not": ({"name": "a", "scopes": "everything"}, "everything is not one of"),
    "no day": ({"name": "a", "scopes": "audit", "days": "0"}, "greater than or equal to 1"),
    "days for ever": ({"name": "a", "scopes": "audit", "days": "36501"}, "less than or equal to 36500"),
    "a customer's name": ({"name": "a", "scopes": "audit", "customer": "Redbox"}, "A UUID is expected"),
}


@pytest.mark.parametrize(("given", "sentence"), BAD.values(), ids=BAD)
def test_a_form_that_is_wrong_makes_no_key_and_says_why(
    browser: Browser, superuser: Session, given: dict[str, str], sentence: str
) -> None:
    before = count(superuser)
    answer = browser.post("keys/", **given)
    assert answer.status_code == 200
    assert sentence in answer.text
    assert "new-key" not in answer.text
    assert count(superuser) == before


def test_to_look_makes_and_revokes_nothing(browser: Browser, superuser: Session) -> None:
    text = make(browser, name="looked at", scopes="audit")
    before = count(superuser)
    browser.get("keys/", name="by a link", scopes="audit")
    assert "Revoke “looked at”?" in browser.page(f"keys/{text.split('_')[1]}/revoke/").text("content")
    assert count(superuser) == before
    assert works(browser, text)


def test_a_revoked_key_stops_within_seconds_and_stays_so(browser: Browser, superuser: Session) -> None:
    text = make(browser, name="lost", scopes="audit")
    identity = text.split("_")[1]
    assert works(browser, text)
    done = browser.post(f"keys/{identity}/revoke/")
    assert (done.status_code, done.headers["location"]) == (302, "/console/keys/")
    assert stops(lambda: works(browser, text), GRACE)
    page = browser.page("keys/")
    assert "The key “lost” is revoked" in page.text("content")
    assert f"/console/keys/{identity}/revoke/" not in browser.get("keys/").text
    found = superuser.execute("SELECT revoked_at FROM api_key WHERE id = %s", [identity]).fetchall()
    token = browser.token("keys/")
    again = {"data": {"csrfmiddlewaretoken": token}, "headers": {"Origin": str(browser.client.base_url)}}
    assert browser.client.post(f"/console/keys/{identity}/revoke/", **again).status_code == 302  # type: ignore[arg-type]
    assert superuser.execute("SELECT revoked_at FROM api_key WHERE id = %s", [identity]).fetchall() == found


@pytest.mark.parametrize("identity", ["1", "99999999999999999999999"])
def test_a_key_that_there_is_not_is_not_found(browser: Browser, identity: str) -> None:
    assert browser.get(f"keys/{identity}/revoke/").status_code == 404
