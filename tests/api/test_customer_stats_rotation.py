"""A customer's statistics go by every live key of the pseudonyms: none is lost in a rotation, none found after it."""

from uuid import uuid4

import pytest

from tests.plugin import Database
from tests.support.clients.api_keys import make_key
from tests.support.clients.http import ask
from tests.support.clients.orders import PATH, query
from tests.support.clients.stats import ask_stats
from tests.support.database import ledger
from tests.support.processes.key_rotation import rotate
from tests.support.processes.sealers import seal
from tests.support.processes.secret_keys import NEW, OLD
from tests.support.processes.service import Service, ServiceFactory

CUSTOMER, OTHER = str(uuid4()), str(uuid4())


@pytest.fixture(scope="module")
def services(database: Database, service: ServiceFactory) -> dict[str, Service]:
    """The service before, while and after the key is changed; each has issued something, and all is sealed."""
    started = rotate(database, service)
    for name, count in (("before", 3), ("known", 2), ("used", 4), ("after", 5)):
        for customer in [CUSTOMER] * count + [OTHER]:
            response = ask(started[name].port, f"{PATH}?{query(customer_id=customer).decode()}")
            assert response.status_code == 200
    seal(database, ledger.count(database.owner_url))
    return started


@pytest.fixture(scope="module")
def reporter(database: Database, services: dict[str, Service]) -> str:
    """A key that may see every customer's reports."""
    assert services
    return make_key(database, "reports")


@pytest.mark.parametrize(
    ("when", "own", "others"),
    [
        ("before", 5, 2),  # what the new key tagged is not found: it may not run any more
        ("known", 14, 4),  # what others tag with the new key is found at once
        ("used", 14, 4),
        ("after", 9, 2),  # whoever ends a key erases its period
    ],
)
def test_statistics_count_what_every_live_key_finds_and_no_more(
    services: dict[str, Service], reporter: str, when: str, own: int, others: int
) -> None:
    for customer, expected in ((CUSTOMER, own), (OTHER, others), (str(uuid4()), 0)):
        answer = ask_stats(services[when].port, customer, reporter, "by=route").json()
        assert (answer["total"], answer["size"]) == (expected, 18)
        assert len(answer["rows"]) == bool(expected), "the periods of two keys are one row"


def test_a_key_that_is_given_under_two_numbers_counts_once(
    database: Database, service: ServiceFactory, services: dict[str, Service], reporter: str
) -> None:
    assert services
    doubled = f"{OLD.replace('1:', '3:')},{OLD},{NEW}"
    with service(database, CUSTOMER_TAG_KEYS=doubled, WEB_CONCURRENCY="1") as running:
        assert ask_stats(running.port, CUSTOMER, reporter).json()["total"] == 14
