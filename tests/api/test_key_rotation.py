"""While several customer keys live, an Idempotency-Key is claimed under each, so no retry slips through a rotation."""

from uuid import uuid4

import httpx
import pytest

from tests.plugin import Database
from tests.support.clients.orders import PATH, query
from tests.support.database import ledger
from tests.support.processes.key_rotation import MEETINGS, rotate
from tests.support.processes.service import Service, ServiceFactory


def ask(service: Service, key: str) -> httpx.Response:
    url = f"{service.base_url}{PATH}?{query().decode()}"
    return httpx.get(url, headers={"Idempotency-Key": key}, timeout=90)


@pytest.fixture(scope="module")
def services(database: Database, service: ServiceFactory) -> dict[str, Service]:
    return rotate(database, service)


@pytest.mark.parametrize(("first", "then"), MEETINGS)
def test_a_retry_that_meets_other_keys_gets_the_same_number(
    database: Database, services: dict[str, Service], first: str, then: str
) -> None:
    key = str(uuid4())
    issued = ask(services[first], key)
    count = ledger.count(database.owner_url)
    again = ask(services[then], key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == issued.json()
    assert ledger.count(database.owner_url) == count


def test_a_claim_that_was_half_won_leaves_nothing_behind(database: Database, services: dict[str, Service]) -> None:
    key = str(uuid4())
    assert ask(services["before"], key).status_code == 200
    with ledger.reading(database.owner_url) as session:
        claims = "SELECT count(*) FROM idempotency_claim"
        held = session.execute(claims).fetchone()
        assert ask(services["known"], key).headers["idempotency-replayed"] == "true"
        assert session.execute(claims).fetchone() == held, "the tag that was won went with its number"
        orphans = "SELECT count(*) FROM idempotency_claim LEFT JOIN issuance_event USING (number) WHERE serial IS NULL"
        assert session.execute(orphans).fetchone() == (0,)
