"""A customer's own key looks up that customer's numbers, and tells nothing of others'."""

from uuid import uuid4

import pytest

from tests.logs import Heard
from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem
from tests.support.clients.orders import PATH, query
from tests.support.processes.key_rotation import AFTER, KNOWN, USED, retire
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import seal
from tests.support.processes.service import ServiceFactory

ONE, OTHER = str(uuid4()), str(uuid4())


@pytest.fixture(scope="module")
def numbers(database: Database, lane_port: int) -> dict[str, str]:
    """A sealed number of each customer."""
    found = {
        customer: ask(lane_port, f"{PATH}?{query(customer_id=customer).decode()}").json()["tracking_number"]
        for customer in (ONE, OTHER)
    }
    seal(database, 2)
    return found


@pytest.fixture(scope="module")
def keys(database: Database) -> dict[str, str]:
    """Each customer's own key."""
    return {customer: make_key(database, "audit", customer=customer) for customer in (ONE, OTHER)}


def test_a_customer_finds_its_own_numbers(port: int, numbers: dict[str, str], keys: dict[str, str]) -> None:
    for customer, key in keys.items():
        found = ask(port, f"/v1/tracking-numbers/{numbers[customer]}", **bearer(key))
        assert found.status_code == 200
        assert found.json()["tracking_number"] == numbers[customer]
        assert found.headers["cache-control"] == "no-store"


def test_anothers_number_is_answered_as_one_that_was_never_issued(
    port: int, numbers: dict[str, str], keys: dict[str, str]
) -> None:
    def told(number: str) -> tuple[dict[str, str], dict[str, str]]:
        response = ask(port, f"/v1/tracking-numbers/{number}", **bearer(keys[ONE]))
        assert problem(response) == (404, "unknown-number")
        headers = {name: value for name, value in response.headers.items() if name not in {"x-request-id", "date"}}
        document = {k: v for k, v in response.json().items() if k not in {"instance", "request_id"}}
        return headers, document

    assert told(numbers[OTHER]) == told("3K9M7QX2PZ4MYIDT")


def test_a_customers_numbers_are_found_under_each_key_that_lives(
    database: Database, numbers: dict[str, str], keys: dict[str, str], service: ServiceFactory
) -> None:
    with service(database, initialise=False, WEB_CONCURRENCY="1", CUSTOMER_TAG_KEYS=KNOWN) as running:
        assert eventually(lambda: ask(running.port, "/readyz").status_code == 200)
    running = service(database, initialise=False, WEB_CONCURRENCY="1", CUSTOMER_TAG_KEYS=USED)
    later = ask(running.port, f"{PATH}?{query(customer_id=ONE).decode()}").json()["tracking_number"]
    for number in (numbers[ONE], later):
        assert ask(running.port, f"/v1/tracking-numbers/{number}", **bearer(keys[ONE])).status_code == 200
    running.stop()
    retire(database)
    running = service(database, initialise=False, WEB_CONCURRENCY="1", CUSTOMER_TAG_KEYS=AFTER)
    assert ask(running.port, f"/v1/tracking-numbers/{later}", **bearer(keys[ONE])).status_code == 200
    erased = ask(running.port, f"/v1/tracking-numbers/{numbers[ONE]}", **bearer(keys[ONE]))
    assert problem(erased) == (404, "unknown-number"), "its key is gone, and with it whose it was"
    running.stop()


def test_the_service_says_nothing_of_a_customer_in_its_log(
    database: Database,
    numbers: dict[str, str],
    keys: dict[str, str],
    service: ServiceFactory,
    heard: Heard,
) -> None:
    running = service(database, initialise=False, WEB_CONCURRENCY="1", LOG_LEVEL="DEBUG")
    for path in ("", "/barcode.svg", "/barcode.png", "/proof"):
        for number in numbers.values():
            ask(running.port, f"/v1/tracking-numbers/{number}{path}?customer_id={ONE}", **bearer(keys[ONE]))
            ask(running.port, f"/v1/tracking-numbers/{number}{path}", **bearer(keys[ONE]))
    running.stop()
    ours = heard.read().splitlines()
    assert any("Started server process" in line for line in ours), "this is the service's log"
    for line in ours:
        assert ONE not in line
        assert ONE.replace("-", "") not in line
        assert "customer_id" not in line
