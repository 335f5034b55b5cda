"""How many statements a list takes: the same whatever the page's size and wherever it lies."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.keys import callers, store
from core.keys.domain import Scope
from tests.plugin import Database
from tests.support.clients.api_keys import bearer
from tests.support.database import synthetic_ledger
from tests.support.log.lists import PATH, path

EVENTS = 20_000
PERIOD = {"issued_after": "2026-01-01T00:30:00Z", "issued_before": "2026-01-01T01:30:00Z"}


@pytest.fixture(autouse=True)
def _keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than usual: on a slow machine a page may take the seconds after which a key is looked up again."""
    monkeypatch.setattr(callers, "FRESH", 600.0)


@pytest.fixture(scope="module")
def _filled(database: Database) -> None:
    synthetic_ledger.fill(database, EVENTS)


@pytest.fixture
def client(_filled: None, db: None) -> Client:  # noqa: ARG001  # made in this order
    """An auditor, who was here before."""
    made = Client(headers={"Host": "localhost", **bearer(store.create("a test's", [Scope.AUDIT]))})
    assert made.get(path(limit=1)).status_code == 200
    return made


def statements(client: Client, link: str) -> list[str]:
    """What a request asks the database, and its answer must be in order."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        answer = client.get(link)
        assert answer.status_code == 200
        if answer.streaming:
            for _ in answer:
                pass
    return [query["sql"] for query in captured.captured_queries]


def pages(client: Client, link: str | None) -> Iterator[str]:
    """The links of all pages."""
    while link is not None:
        yield link
        link = client.get(link).json()["next"]


@pytest.mark.parametrize("order", ["serial", "-serial"])
@pytest.mark.parametrize("limit", [1, 100, 1000])
def test_the_first_page_takes_three_statements_and_another_two(client: Client, order: str, limit: int) -> None:
    extent, events, indexes = statements(client, path(order=order, limit=limit))
    assert "tree_state" in extent
    assert "issuance_event" in events
    assert "FROM run" in indexes
    following = client.get(path(order=order, limit=limit)).json()["next"]
    assert len(statements(client, following)) == 2
    previous = client.get(following).json()["previous"]
    assert len(statements(client, previous)) == 2


@pytest.mark.parametrize("order", ["serial", "-serial"])
def test_a_page_of_a_period_takes_a_few_more(client: Client, order: str) -> None:
    counts = [len(statements(client, link)) for link in pages(client, path(**PERIOD, order=order, limit=1000))]
    assert len(counts) > 5
    assert max(counts) <= 10, "of which half begin and end what looks at block ranges"
    assert min(counts) <= 4


@pytest.mark.parametrize("texts", [{"customer_id": synthetic_ledger.CUSTOMER}, {"route": "MY-ID", "weight_band": "4"}])
def test_what_is_filtered_takes_no_more(client: Client, texts: dict[str, str]) -> None:
    assert len(statements(client, path(**texts))) == 3


def test_a_file_takes_two_statements_for_a_thousand_events(client: Client) -> None:
    assert len(statements(client, path(format="csv"))) == 1 + 2 * EVENTS // 1000


def test_what_nobody_can_be_shown_takes_none(client: Client) -> None:
    key = store.create("a test's", [Scope.AUDIT], customer_id=bytes(16))
    headers = {"Host": "localhost", **bearer(key)}
    client.get(PATH, headers=headers)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path(customer_id=synthetic_ledger.CUSTOMER), headers=headers).json()["results"] == []
    assert all("issuance_event" not in query["sql"] for query in captured.captured_queries)
