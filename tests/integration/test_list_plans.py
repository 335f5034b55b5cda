"""What a page of a list costs the database at a million events: no filters make it walk through the table."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import combinations, product
from typing import Any

import pytest
from django.db import connection

from ledger import listing, places
from ledger.api.filters import EventFilters
from ledger.domain.tag import KeyRing
from ledger.listing import Query
from ledger.models import IssuanceEvent
from ledger.period import by_ranges, stretches
from tests.plugin import Database
from tests.support.database import synthetic_ledger
from tests.support.processes.secret_keys import TAG_KEY

EVENTS = 1_000_000
LIMIT = 101
RING = KeyRing({1: bytes.fromhex(TAG_KEY)})
COMMON = {
    "customer_id": synthetic_ledger.LARGE_CUSTOMER,
    "origin_country_id": "MY",
    "destination_country_id": "ID",
    "route": "MY-ID",
    "weight_band": "3",
    "issued_after": "2026-01-02T00:00:00Z",
    "issued_before": "2026-01-04T00:00:00Z",
    "principal": "4",
}
RARE = {
    "customer_id": synthetic_ledger.SMALL_CUSTOMER,
    "origin_country_id": synthetic_ledger.RARE_ORIGIN,
    "destination_country_id": synthetic_ledger.RARE_DESTINATION,
    "route": f"{synthetic_ledger.RARE_ORIGIN}-{synthetic_ledger.RARE_DESTINATION}",
    "issued_after": "2026-01-03T14:00:00Z",
    "issued_before": "2026-01-03T14:10:00Z",
    "principal": str(synthetic_ledger.RARE_PRINCIPAL),
}
"""Values that few events have."""
NAMES = tuple(EventFilters.base_filters)
SUBSETS = [names for size in range(len(NAMES) + 1) for names in combinations(NAMES, size)]
INDEXES = ("issuance_event_serial_key", "issuance_event_customer", "issuance_event_ranges")
FEW_PAGES = 1_500
"""What a page of a list may read where few events are wanted, by three statements; the table has 17,000."""

type Plan = dict[str, Any]
published, divided = cache(places.published), cache(stretches)  # always the same here


@pytest.fixture(scope="module")
def _filled(database: Database) -> None:
    synthetic_ledger.fill(database, EVENTS)


@pytest.fixture
def request_id(_filled: None, db: None) -> str:  # noqa: ARG001  # made in this order
    """That of one event amid the others."""
    return str(IssuanceEvent.objects.get(serial=EVENTS // 2).request_id)


def plans(texts: dict[str, str], *, descending: bool, **options: bool) -> Iterator[Plan]:
    """The plans of what is asked of the events for the first page of a list."""
    filters = EventFilters(texts, RING)
    assert not filters.flaws
    after, before = filters.chosen.get("issued_after"), filters.chosen.get("issued_before")
    query = Query(filters.qs, after, before, published(), descending)
    (extent,) = query.extents
    for stretch in divided(extent, after, before):
        events = listing.ahead(query, stretch, None)
        assert events is not None
        page = events.values_list(*listing.COLUMNS)[:LIMIT]
        if stretch.dense:
            yield plan(page.explain(format="json", **options))
        else:
            with by_ranges():
                yield plan(page.explain(format="json", **options))
            with connection.cursor() as cursor:  # the test is one transaction, so it would go on
                cursor.execute("RESET enable_indexscan; RESET enable_seqscan; RESET max_parallel_workers_per_gather")


def plan(text: str) -> Plan:
    (found,) = json.loads(text)
    root: Plan = found["Plan"]
    return root


def scans(node: Plan) -> Iterator[str]:
    """What is scanned, and how."""
    if node["Node Type"].endswith("Scan"):
        yield f"{node['Node Type']} {node.get('Index Name', '')}".strip()
    for child in node.get("Plans", ()):
        yield from scans(child)


def pages(texts: dict[str, str], *, descending: bool) -> int:
    """How many pages of tables and indexes are read."""
    found = plans(texts, descending=descending, analyze=True, buffers=True)
    return sum(node["Shared Hit Blocks"] + node["Shared Read Blocks"] for node in found)


@pytest.mark.parametrize("chosen", [COMMON, COMMON | RARE], ids=["common values", "rare values"])
def test_no_combination_of_filters_walks_through_the_table(request_id: str, chosen: dict[str, str]) -> None:
    values = chosen | {"request_id": request_id}
    by_index = {f"{kind} {name}" for kind in ("Index Scan", "Bitmap Index Scan") for name in INDEXES}
    for names, descending in product(SUBSETS, (False, True)):
        for found in plans({name: values[name] for name in names}, descending=descending):
            assert set(scans(found)) - {"Bitmap Heap Scan"} <= by_index, names


def test_where_few_events_are_wanted_few_pages_are_read(request_id: str) -> None:
    values = COMMON | RARE | {"request_id": request_id}
    for names, descending in product(SUBSETS, (False, True)):
        if len(names) <= 3 and not {"request_id", *RARE}.isdisjoint(names):
            assert pages({name: values[name] for name in names}, descending=descending) < FEW_PAGES, names


@pytest.mark.usefixtures("request_id")
@pytest.mark.parametrize("ends", [("issued_after",), ("issued_before",), ("issued_after", "issued_before")])
def test_a_period_is_read_from_its_own_end_and_not_from_that_of_the_table(ends: tuple[str, ...]) -> None:
    for descending in (False, True):
        assert pages({name: COMMON[name] for name in ends}, descending=descending) < FEW_PAGES


@pytest.mark.usefixtures("request_id")
@pytest.mark.parametrize("others", [("route", "principal"), ("route", "weight_band", "principal")])
def test_of_a_customer_no_more_is_read_than_the_customers_own_events(others: tuple[str, ...]) -> None:
    for customer in (synthetic_ledger.LARGE_CUSTOMER, synthetic_ledger.CUSTOMER):
        (found,) = plans({name: COMMON[name] for name in others} | {"customer_id": customer}, descending=False)
        assert set(scans(found)) == {"Bitmap Heap Scan", "Bitmap Index Scan issuance_event_customer"}
