"""A customer's statistics go by every live key of the pseudonyms: none is lost in a rotation, none found after it."""

from uuid import uuid4

import pytest

from tests.plugin import Database
from tests.support import ledger
from tests.support.keys import make_key
from tests.support.orders import PATH, query
from tests.support.sealing import seal
from tests.support.secret_keys import NEW, OLD
from tests.support.service import Service, ServiceFactory
from tests.support.stats import ask_stats
from tests.support.web import ask

CUSTOMER, OTHER = str(uuid4()), str(uuid4())


@pytest.fixture(scope="module")
def services(database: Database, service: ServiceFactory) -> dict[str, Service]:
    """The service before, while and after the key is changed; each has issued something, and all is sealed."""
    rings = {"before": OLD, "between": f"{OLD},{NEW}", "after": NEW, "the new key alone": NEW.replace("2:", "1:")}
    started = {name: service(database, CUSTOMER_TAG_KEYS=ring, WEB_CONCURRENCY="1") for name, ring in rings.items()}
    for name, count in (("before", 3), ("between", 4), ("after", 5)):
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
        ("before", 3, 1),  # what the new key tagged can't be found yet
        ("between", 12, 3),
        ("after", 9, 2),  # whoever destroys a key erases its period
        ("the new key alone", 9, 2),  # a tag is known by its bytes, whatever number its key has
    ],
)
def test_statistics_count_what_every_live_key_finds_and_no_more(
    services: dict[str, Service], reporter: str, when: str, own: int, others: int
) -> None:
    for customer, expected in ((CUSTOMER, own), (OTHER, others), (str(uuid4()), 0)):
        answer = ask_stats(services[when].port, customer, reporter, "by=route").json()
        assert (answer["total"], answer["size"]) == (expected, 15)
        assert len(answer["rows"]) == bool(expected), "the periods of two keys are one row"


def test_a_key_that_is_given_under_two_numbers_counts_once(
    database: Database, service: ServiceFactory, services: dict[str, Service], reporter: str
) -> None:
    assert services
    doubled = f"{OLD},{NEW},{OLD.replace('1:', '3:')}"
    with service(database, CUSTOMER_TAG_KEYS=doubled, WEB_CONCURRENCY="1") as running:
        assert ask_stats(running.port, CUSTOMER, reporter).json()["total"] == 12
