"""Lists of events: those that are among the first leaves of the log, in the order of their serials, either way.

Writers work side by side, each on serials of its own, so what is issued later may have a lower serial, and paging by
serial alone would pass over it. A list is therefore of the first so many leaves: a set that never changes again.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import QuerySet

from ledger import places, reading
from ledger.domain.entry import Event
from ledger.models import IssuanceEvent
from ledger.period import Stretch, by_ranges, stretches
from ledger.places import Extents

type Events = QuerySet[IssuanceEvent]

COLUMNS: Final = Event.__struct_fields__
"""The table's, in the order in which ledger.reading takes them."""


class Leaf(NamedTuple):
    """An event, and which leaf it is."""

    event: Event
    leaf_index: int


class Query(NamedTuple):
    """What is listed: ``events``, which the period is a filter of already, as far as they lie in the extents."""

    events: Events
    after: datetime | None
    before: datetime | None
    extents: Extents
    descending: bool


class Place(NamedTuple):
    """Where a page lies: beyond the event ``serial``; ``backward`` where the page ends there."""

    serial: int
    backward: bool


class Page(NamedTuple):
    """Some of the leaves, and where those before and behind them lie; None: there are none."""

    leaves: list[Leaf]
    previous: Place | None
    following: Place | None


def page(query: Query, place: Place | None, limit: int) -> Page:
    """The page at a place, or the first one.

    Raises:
        OverflowError, django.db.DataError: a row holds a time that no writer of ours has written, such as infinity.
        django.db.DatabaseError: it can't be read at present.
    """
    backward = place is not None and place.backward
    leaves = list[Leaf]()
    for found in walk(
        query._replace(descending=query.descending != backward), limit + 1, beyond=place.serial if place else None
    ):
        leaves += found
        if len(leaves) > limit:
            break
    more = len(leaves) > limit
    leaves = leaves[:limit]
    if backward:
        leaves.reverse()
    if not leaves:
        return Page([], None, None)
    previous = Place(leaves[0].event.serial, backward=True)
    following = Place(leaves[-1].event.serial, backward=False)
    if backward:
        return Page(leaves, previous if more else None, following)
    return Page(leaves, previous if place else None, following if more else None)


def walk(query: Query, batch: int, *, beyond: int | None = None) -> Iterator[list[Leaf]]:
    """All leaves that are listed, or those beyond a serial; each step takes two statements, and holds none open.

    Raises:
        As ``page`` does.
    """
    for size, part in _parts(query, beyond):
        while (events := ahead(query, part, beyond)) is not None:
            with nullcontext() if part.dense else by_ranges():
                found = [reading.event(row) for row in events.values_list(*COLUMNS)[:batch]]
            indexes = places.indexes([event.serial for event in found])
            yield [
                Leaf(event, index)
                for event in found
                if (index := indexes.get(event.serial, size)) < size  # the others came later, or are not sealed yet
            ]
            if len(found) < batch:
                break
            beyond = found[-1].serial


def _parts(query: Query, beyond: int | None) -> Iterator[tuple[int, Stretch]]:
    """The stretches of each log in order, and its size; of those that the walk is past, nothing is asked."""
    for extent in reversed(query.extents) if query.descending else query.extents:
        if beyond is not None and (beyond <= extent.first if query.descending else beyond >= extent.top):
            continue
        parts = stretches(extent, query.after, query.before)
        for part in reversed(parts) if query.descending else parts:
            yield extent.size, part


def ahead(query: Query, part: Stretch, beyond: int | None) -> Events | None:
    """The events of a stretch that lie ahead, in order; None: the walk is past it."""
    first, last = part.first, part.last
    if beyond is not None:
        first, last = (first, min(last, beyond - 1)) if query.descending else (max(first, beyond + 1), last)
    if first > last:
        return None
    return query.events.filter(serial__range=(first, last)).order_by("-serial" if query.descending else "serial")
