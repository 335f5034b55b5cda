"""While customer keys change, no retry slips through, and reports and look-ups find what every live key tagged."""

from uuid import uuid4

import httpx
import pytest

from tests.plugin import Database
from tests.support.clients import bulk
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem
from tests.support.clients.orders import GOOD, PATH, query
from tests.support.clients.stats import ask_stats
from tests.support.database import ledger
from tests.support.processes.key_rotation import MEETINGS, rotate
from tests.support.processes.sealers import seal, state
from tests.support.processes.secret_keys import NEW, OLD
from tests.support.processes.service import Service, ServiceFactory

CUSTOMER, OTHER = str(uuid4()), str(uuid4())


@pytest.fixture(scope="module")
def key(database: Database) -> str:
    """A key for everything."""
    return make_key(database, "issue", "reports")


@pytest.fixture(scope="module")
def bound_key(database: Database) -> str:
    """The customer's own."""
    return make_key(database, "audit", customer=CUSTOMER)


@pytest.fixture(scope="module")
def services(database: Database, service: ServiceFactory, key: str) -> dict[str, Service]:
    """The service before, while and after the key is changed; each has the sessions of its time."""
    return rotate(database, service, lambda running: bulk.post(running.port, key, bulk.orders(1)))


@pytest.fixture(scope="module")
def numbers(database: Database, services: dict[str, Service]) -> dict[str, list[str]]:
    """The customer's numbers by the service that issued them; each issued one to another too, and all is sealed."""
    issued: dict[str, list[str]] = {}
    for name, count in (("before", 3), ("known", 2), ("used", 4), ("after", 5)):
        answers = [order(services[name], customer) for customer in [CUSTOMER] * count + [OTHER]]
        issued[name] = [answer.raise_for_status().json()["tracking_number"] for answer in answers[:-1]]
    seal(database, ledger.count(database.owner_url))
    return issued


def order(service: Service, customer: str = GOOD["customer_id"], **headers: str) -> httpx.Response:
    return ask(service.port, f"{PATH}?{query(customer_id=customer).decode()}", **headers)


def claims(database: Database) -> int:
    """How many Idempotency-Keys are claimed."""
    with ledger.reading(database.owner_url) as session:
        ((count,),) = session.execute("SELECT count(*) FROM idempotency_claim")
        return int(count)


@pytest.mark.parametrize(("first", "then"), MEETINGS)
def test_a_retry_that_meets_other_keys_gets_the_same_number(
    database: Database, services: dict[str, Service], first: str, then: str
) -> None:
    again = str(uuid4())
    issued = order(services[first], Idempotency_Key=again)
    count = ledger.count(database.owner_url)
    repeated = order(services[then], Idempotency_Key=again)
    assert repeated.headers["idempotency-replayed"] == "true"
    assert repeated.json() == issued.json()
    assert ledger.count(database.owner_url) == count


@pytest.mark.parametrize(("first", "then"), MEETINGS)
def test_a_bulk_call_s_retry_that_meets_other_keys_gets_the_same_answer(
    database: Database, key: str, services: dict[str, Service], first: str, then: str
) -> None:
    again = str(uuid4())
    issued = bulk.post(services[first].port, key, bulk.orders(20), Idempotency_Key=again)
    held, events = claims(database), ledger.count(database.owner_url)
    repeated = bulk.post(services[then].port, key, bulk.orders(20), Idempotency_Key=again)
    assert bulk.replayed(repeated)
    assert repeated.content == issued.content
    assert claims(database) == held, "a tag that was won goes with its numbers"
    assert ledger.count(database.owner_url) == events


def test_a_claim_that_was_half_won_leaves_nothing_behind(database: Database, services: dict[str, Service]) -> None:
    again = str(uuid4())
    assert order(services["before"], Idempotency_Key=again).status_code == 200
    held = claims(database)
    assert order(services["known"], Idempotency_Key=again).headers["idempotency-replayed"] == "true"
    assert claims(database) == held, "the tag that was won went with its number"
    orphans = "SELECT count(*) FROM idempotency_claim LEFT JOIN issuance_event USING (number) WHERE serial IS NULL"
    with ledger.reading(database.owner_url) as session:
        assert session.execute(orphans).fetchone() == (0,)


@pytest.mark.parametrize(
    ("when", "totals"),
    [
        ("before", [5, 2, 0]),  # what the new key tagged is not found: it may not run any more
        ("known", [14, 4, 0]),  # what others tag with the new key is found at once
        ("used", [14, 4, 0]),
        ("after", [9, 2, 0]),  # whoever ends a key erases its period
    ],
)
@pytest.mark.usefixtures("numbers")
def test_statistics_count_what_every_live_key_finds_and_no_more(
    database: Database, services: dict[str, Service], key: str, when: str, totals: list[int]
) -> None:
    for customer, expected in zip((CUSTOMER, OTHER, str(uuid4())), totals, strict=True):
        answer = ask_stats(services[when].port, customer, key, "by=route").json()
        assert (answer["total"], answer["size"]) == (expected, state(database)["published_size"])
        assert len(answer["rows"]) == bool(expected), "the periods of two keys are one row"


@pytest.mark.usefixtures("numbers")
def test_a_key_that_is_given_under_two_numbers_counts_once(
    database: Database, service: ServiceFactory, key: str
) -> None:
    doubled = f"{OLD.replace('1:', '3:')},{OLD},{NEW}"
    with service(database, CUSTOMER_TAG_KEYS=doubled, WEB_CONCURRENCY="1") as running:
        assert ask_stats(running.port, CUSTOMER, key).json()["total"] == 14


def test_a_customers_numbers_are_found_under_each_key_that_lives(
    services: dict[str, Service], numbers: dict[str, list[str]], bound_key: str
) -> None:
    def look_up(when: str, number: str) -> httpx.Response:
        return ask(services[when].port, f"/v1/tracking-numbers/{number}", **bearer(bound_key))

    earlier, later = numbers["before"][0], numbers["used"][0]
    assert [look_up("used", number).status_code for number in (earlier, later)] == [200, 200]
    assert look_up("after", later).status_code == 200
    erased = look_up("after", earlier)
    assert problem(erased) == (404, "unknown-number"), "its key is gone, and with it whose it was"
