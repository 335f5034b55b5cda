"""A customer's own key looks up that customer's numbers, and tells nothing of others'."""

import pytest

from tests.logs import Heard
from tests.plugin import Database
from tests.support.clients import stats
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem
from tests.support.database import ledger
from tests.support.log.history import History
from tests.support.processes.service import ServiceFactory

SHARES = True

ONE, OTHER = (f"de619854-b59b-425e-9db4-{customer:012x}" for customer in (0, 1))
"""Those that have most of what a load issues."""


@pytest.fixture(scope="module")
def numbers(database: Database, history: History) -> dict[str, str]:
    """A sealed number of each customer."""
    first = "SELECT number FROM issuance_event WHERE customer_tag = %s ORDER BY serial LIMIT 1"
    with ledger.reading(database.owner_url) as session:
        found = {each: session.execute(first, [stats.tag(each)]).fetchall()[0][0] for each in (ONE, OTHER)}
    assert set(found.values()) < set(history.numbers[: history.published])
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
