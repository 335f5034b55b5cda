"""A list of a period holds exactly that period's events, however clocks and writers were out of step."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from ledger import listing, places
from ledger.listing import Page, Place, Query
from ledger.models import IssuanceEvent
from tests.plugin import Database
from tests.support.database import synthetic_ledger

EVENTS = 12_000
UNSEALED_BLOCKS = 3
# One block is as late as a writer that stood still for long, one as early as a clock that was wrong, and here and
# there a single event is anywhere.
OUT_OF_STEP = f"""{synthetic_ledger.STEADY} + CASE
    WHEN i / 32 % 8 = 3 AND i < 8192 THEN interval '3 hours'
    WHEN i / 32 % 8 = 5 AND i >= 8192 THEN interval '-4 hours'
    WHEN i % 97 = 5 THEN (random() - 0.5) * interval '9 hours'
    ELSE random() * interval '20 s' END"""
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def _filled(database: Database) -> None:
    synthetic_ledger.fill(database, EVENTS, moment=OUT_OF_STEP, unsealed_blocks=UNSEALED_BLOCKS)


@pytest.fixture
def events(_filled: None, db: None) -> list[tuple[int, datetime]]:  # noqa: ARG001  # made in this order
    """Serial and time of every event that is in the log."""
    sealed = places.size(places.published())
    assert sealed < EVENTS
    found = list(IssuanceEvent.objects.order_by("serial").values_list("serial", "requested_at"))
    return found[:sealed]  # filling seals blocks in their order


def read(after: datetime | None, before: datetime | None, *, descending: bool, limit: int) -> list[Page]:
    """All pages of a list."""
    asked = IssuanceEvent.objects.all()
    if after is not None:
        asked = asked.filter(requested_at__gte=after)
    if before is not None:
        asked = asked.filter(requested_at__lt=before)
    query = Query(asked, after, before, places.published(), descending)
    place: Place | None = None
    pages: list[Page] = []
    while not pages or place is not None:
        pages.append(listing.page(query, place, limit))
        place = pages[-1].following
    backward = [pages[-1]]
    while (place := backward[-1].previous) is not None:
        backward.append(listing.page(query, place, limit))
    assert [page.leaves for page in reversed(backward)] == [page.leaves for page in pages]
    return pages


def test_every_period_is_listed_exactly_both_ways(events: list[tuple[int, datetime]]) -> None:
    chance = random.Random(4)
    moments = [START + timedelta(seconds=chance.uniform(-20_000, 20_000)) for _ in range(8)]
    moments += [requested for _, requested in chance.sample(events, 4)]
    periods: list[tuple[datetime | None, datetime | None]] = [(None, None)]
    for moment in moments:
        periods += [(moment, None), (None, moment), (moment, moment + timedelta(seconds=chance.uniform(1, 4_000)))]
    for after, before in periods:
        wanted = [
            serial
            for serial, requested in events
            if (after is None or requested >= after) and (before is None or requested < before)
        ]
        for descending in (False, True):
            pages = read(after, before, descending=descending, limit=max(50, len(wanted) // 3))
            found = [leaf.event.serial for page in pages for leaf in page.leaves]
            assert found == (wanted[::-1] if descending else wanted), (after, before)


def test_a_moment_belongs_to_the_period_that_it_begins(events: list[tuple[int, datetime]]) -> None:
    serial, requested = events[1234]
    (page,) = read(requested, requested + timedelta(microseconds=1), descending=False, limit=1000)
    assert serial in [leaf.event.serial for leaf in page.leaves]
    for page in read(requested + timedelta(microseconds=1), None, descending=False, limit=20_000):
        assert serial not in [leaf.event.serial for leaf in page.leaves]
