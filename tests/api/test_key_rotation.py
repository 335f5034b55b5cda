"""While several customer keys live, an Idempotency-Key is claimed under each, so no retry slips through a rotation."""

from uuid import uuid4

import httpx
import pytest

from tests.plugin import Database
from tests.support import ledger
from tests.support.orders import PATH, query
from tests.support.secret_keys import NEW, OLD
from tests.support.service import Service, ServiceFactory


def ask(service: Service, key: str) -> httpx.Response:
    url = f"{service.base_url}{PATH}?{query().decode()}"
    return httpx.get(url, headers={"Idempotency-Key": key}, timeout=30)


@pytest.fixture(scope="module")
def before(database: Database, service: ServiceFactory) -> Service:
    return service(database, CUSTOMER_TAG_KEYS=OLD, WEB_CONCURRENCY="1")


@pytest.fixture(scope="module")
def between(database: Database, service: ServiceFactory, before: Service) -> Service:
    assert before.running
    return service(database, CUSTOMER_TAG_KEYS=f"{OLD},{NEW}", WEB_CONCURRENCY="1")


@pytest.fixture(scope="module")
def after(database: Database, service: ServiceFactory, between: Service) -> Service:
    assert between.running
    return service(database, CUSTOMER_TAG_KEYS=NEW, WEB_CONCURRENCY="1")


@pytest.mark.parametrize(("first", "then"), [("before", "between"), ("between", "before"), ("between", "after")])
def test_a_retry_that_meets_other_keys_gets_the_same_number(
    database: Database, request: pytest.FixtureRequest, first: str, then: str
) -> None:
    key = str(uuid4())
    issued = ask(request.getfixturevalue(first), key)
    count = ledger.count(database.owner_url)
    again = ask(request.getfixturevalue(then), key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == issued.json()
    assert ledger.count(database.owner_url) == count


def test_a_claim_that_was_half_won_leaves_nothing_behind(database: Database, before: Service, between: Service) -> None:
    key = str(uuid4())
    assert ask(before, key).status_code == 200
    with ledger.reading(database.owner_url) as session:
        claims = "SELECT count(*) FROM idempotency_claim"
        held = session.execute(claims).fetchone()
        assert ask(between, key).headers["idempotency-replayed"] == "true"
        assert session.execute(claims).fetchone() == held, "the tag that was won went with its number"
        orphans = "SELECT count(*) FROM idempotency_claim LEFT JOIN issuance_event USING (number) WHERE serial IS NULL"
        assert session.execute(orphans).fetchone() == (0,)
