"""API keys as callers know them: what a good one opens and a bad one does not, in the lane and in Django alike."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.keys import domain, store
from core.keys.domain import Scope
from tests.logs import Heard
from tests.plugin import Database
from tests.support.clients import stats
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem
from tests.support.clients.orders import GOOD, PATH, query
from tests.support.clients.raw_http import exchange, raw_request
from tests.support.database import ledger
from tests.support.database.rows import Session
from tests.support.processes.commands import manage
from tests.support.processes.proc import eventually, stops
from tests.support.processes.service import ServiceFactory

SHARES = True

OWN, OTHER = GOOD["customer_id"], str(uuid4())
UNAUTHORIZED = (401, "unauthorized")
WAYS = {"the lane": f"{PATH}?{query().decode()}", "Django": stats.path(OWN)}
"""What a key with the scopes issue and reports opens in each way."""
GRACE = 3.0


@pytest.fixture(scope="module")
def superuser(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        yield session


@pytest.fixture(scope="module")
def key(database: Database, lane_port: int) -> str:
    """A key that opens both, bound to nobody."""
    assert lane_port
    return make_key(database, "issue", "reports")


@pytest.fixture(scope="module")
def own_key(database: Database, lane_port: int) -> str:
    """The same, bound to a customer."""
    assert lane_port
    return make_key(database, "issue", "reports", customer=OWN)


def statuses(port: int, key: str) -> list[int]:
    """What presenting a key comes to, each way."""
    return [ask(port, path, **bearer(key)).status_code for path in WAYS.values()]


def identity(key: str) -> int:
    named = domain.read(key)
    assert named is not None
    return named.id


def minute() -> int:
    """The present one, counted from 1970 on."""
    return int(datetime.now(UTC).timestamp()) // 60


def used(session: Session, key: str) -> tuple[Any, ...]:
    """The version of a key's row, and when it was used last."""
    row = session.execute("SELECT xmin::text, last_used_at FROM api_key WHERE id = %s", [identity(key)]).fetchone()
    assert row is not None
    return row


def test_a_key_opens_what_its_scopes_name_and_nothing_else(port: int, database: Database, key: str) -> None:
    assert statuses(port, key) == [200, 200]
    issuing, reporting = make_key(database, "issue"), make_key(database, "reports")
    assert (statuses(port, issuing), statuses(port, reporting)) == ([200, 403], [403, 200])
    assert problem(ask(port, WAYS["the lane"], **bearer(reporting))) == (403, "missing-scope")
    assert problem(ask(port, WAYS["Django"], **bearer(issuing))) == (403, "missing-scope")


def test_a_number_that_was_issued_with_a_key_names_it(port: int, key: str, superuser: Session) -> None:
    number = ask(port, WAYS["the lane"], **bearer(key)).json()["tracking_number"]
    row = superuser.execute("SELECT principal FROM issuance_event WHERE number = %s", [number])
    assert row.fetchone() == (identity(key),)
    number = ask(port, WAYS["the lane"]).json()["tracking_number"]
    assert superuser.execute("SELECT principal FROM issuance_event WHERE number = %s", [number]).fetchone() == (None,)


def test_a_customers_key_issues_for_that_customer_alone_and_is_told_the_entry(port: int, own_key: str) -> None:
    own = ask(port, WAYS["the lane"], **bearer(own_key))
    assert own.status_code == 200
    assert stats.tag(OWN).hex() in own.json()["entry"]
    other = ask(port, f"{PATH}?{query(customer_id=OTHER).decode()}", **bearer(own_key))
    assert problem(other) == (403, "other-customer")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("header", ["Bearer", "bearer", "Bearer None", "Bearer tna_1_2"])
def test_a_header_that_holds_no_key_is_refused_and_not_served_as_nobody(
    port: int, database: Database, way: str, header: str
) -> None:
    before = ledger.count(database.owner_url)
    response = ask(port, WAYS[way], Authorization=header)
    assert problem(response) == UNAUTHORIZED
    assert response.headers["www-authenticate"] == "Bearer"
    assert ledger.count(database.owner_url) == before


def altered(key: str, own: str) -> dict[str, str]:
    """What somebody may make of a key that is bound to nobody, and of one that is bound to a customer."""
    return {
        "another secret": f"{key[:-32]}{'0' * 32}",
        "one digit changed": key[:-1] + ("0" if key[-1] != "0" else "1"),
        "another id": f"tna_{identity(key) - 1}_{key[-32:]}",
        "the secret of another key": f"tna_{identity(key)}_{own.split('_')[2]}",
        "a customer put behind it": f"{key}_{UUID(OWN).hex}",
        "no customer any more": own.rpartition("_")[0],
        "another customer": f"{own.rpartition('_')[0]}_{UUID(OTHER).hex}",
        "capitals": key.upper(),
        "twice": f"{key} {key}",
        "nobody's": f"tna_{'9' * 15}_{'0' * 32}",
    }


def test_a_key_that_was_altered_is_a_wrong_one_while_the_right_one_is_known(port: int, key: str, own_key: str) -> None:
    documents = []
    for wrong in altered(key, own_key).values():
        assert (statuses(port, key), statuses(port, own_key)) == ([200, 200], [200, 200])
        for path in WAYS.values():
            response = ask(port, path, **bearer(wrong))
            assert problem(response) == UNAUTHORIZED, wrong
            documents.append({k: v for k, v in response.json().items() if k not in {"instance", "request_id"}})
    assert documents == documents[:1] * len(documents), "nobody is told what was wrong with it"


@pytest.mark.parametrize("way", WAYS)
def test_two_keys_are_none(port: int, key: str, own_key: str, way: str) -> None:
    method, path = b"GET", WAYS[way].encode()
    headers = tuple(f"Authorization: Bearer {each}".encode() for each in (key, own_key))
    reply = exchange(port, raw_request(b"", method=method, path=path, headers=headers))
    assert (reply.status, reply.document["type"]) == (401, "/problems/unauthorized")


def test_a_revoked_key_stops_within_three_seconds_however_often_it_is_used(port: int, database: Database) -> None:
    key = make_key(database, "issue", "reports")
    assert statuses(port, key) == [200, 200]
    manage(database, "revoke_api_key", str(identity(key)))
    assert stops(lambda: statuses(port, key) != [401, 401], GRACE)
    assert statuses(port, key) == [401, 401]


def test_a_key_that_expires_stops_at_its_time_although_it_was_just_good(port: int, superuser: Session) -> None:
    for seconds in (1.5, 15, 60):  # until it was used in time, however slow that is
        number, text = domain.make(None)
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        superuser.execute(
            "INSERT INTO api_key (id, expires_at, bound, digest, name, scopes) VALUES (%s, %s, false, %b, 'x', %s)",
            [number, expires, domain.digest(text), ["issue", "reports"]],
        )
        used_in_time = statuses(port, text)
        if datetime.now(UTC) < expires:
            break
    assert used_in_time == [200, 200]
    while datetime.now(UTC) < expires:
        time.sleep(0.01)
    assert statuses(port, text) == [401, 401]


def test_the_last_use_is_noted_to_the_minute_and_not_at_each_request(
    port: int, database: Database, superuser: Session
) -> None:
    begun = ended = 0
    while begun != ended or not begun:  # else a minute has ended meanwhile
        key = make_key(database, "issue", "reports")
        assert used(superuser, key)[1] is None
        while datetime.now(UTC).second > 50:
            time.sleep(0.2)
        begun = minute()
        assert statuses(port, key) == [200, 200]
        version, at = used(superuser, key)
        since = time.monotonic()
        while time.monotonic() - since < GRACE:  # so that the database is asked again
            assert statuses(port, key) == [200, 200]
        later = used(superuser, key)
        ended = minute()
    assert at.timestamp() == 60 * begun
    assert later == (version, at), "one row version a minute"
    superuser.execute("UPDATE api_key SET last_used_at = %s WHERE id = %s", [at - timedelta(minutes=1), identity(key)])
    assert eventually(lambda: statuses(port, key) == [200, 200] and used(superuser, key)[1] >= at)


def test_a_wrong_key_notes_no_use(port: int, database: Database, superuser: Session) -> None:
    key = make_key(database, "issue", "reports")
    before = used(superuser, key)
    assert statuses(port, f"{key[:-32]}{'0' * 32}") == [401, 401]
    manage(database, "revoke_api_key", key)
    revoked = used(superuser, key)
    assert statuses(port, key) == [401, 401]
    assert (used(superuser, key), revoked[1]) == (revoked, before[1])


@pytest.mark.django_db
def test_every_key_takes_the_database_one_statement_and_no_more_whatever_is_wrong_with_it(database: Database) -> None:
    assert database
    scopes = {Scope.AUDIT}
    good = store.create("good", scopes)
    revoked, expired = store.create("revoked", scopes), store.create("expired", scopes, expires_at=datetime.now(UTC))
    store.revoke(identity(revoked))
    wrong = [revoked, expired, f"{good[:-32]}{'0' * 32}", f"tna_1_{good[-32:]}", f"{good}_{'0' * 32}"]
    costs = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as statements:
            store.find(good)
        costs.append(len(statements))
    assert min(costs) == 1, "and another with the first use of a minute"
    for text in wrong:
        with CaptureQueriesContext(connection) as asked, pytest.raises(store.InvalidKeyError):
            store.find(text)
        assert len(asked) == 1, "so that the time that it takes tells nothing"
    with CaptureQueriesContext(connection) as asked, pytest.raises(store.InvalidKeyError):
        store.find("no key at all")
    assert len(asked) == 0


def test_no_key_is_in_the_database_or_in_any_log(
    database: Database, superuser: Session, service: ServiceFactory, heard: Heard
) -> None:
    keys = [make_key(database, "issue", "reports", customer=customer) for customer in (None, OWN)]
    tried = [*keys, f"tna_{identity(keys[0])}_{'ab12' * 8}", "hunter2-is-no-key"]
    with service(database, WEB_CONCURRENCY="1", LOG_LEVEL="DEBUG") as running:
        for key in tried:
            for path in (*WAYS.values(), "/checkpoint", "/nothing-here", f"/{key}", f"/v1/customers/{key}/stats"):
                httpx.get(f"{running.base_url}{path}", headers=bearer(key), timeout=90)
    log = heard.read()
    assert "Started server process" in log, "this is the service's log"
    tables = superuser.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    kept = "".join(str(row) for (table,) in tables for row in superuser.execute(f"SELECT t::text FROM {table} t"))
    assert str(identity(keys[0])) in kept
    for key in tried:
        for secret in (key, key.split("_")[2] if "_" in key else "hunter2"):
            assert secret not in kept
            assert secret not in log.replace("Not Found: /hunter2-is-no-key", "")
    assert UUID(OWN).hex not in kept + log
