"""Where in the order of serials a period lies, so that a list of an hour does not read what was issued before it.

Serials rise with time, but for the blocks of writers that had little to do. So the serials are searched for the
period's ends as if they rose strictly. Between the two ends nearly every event is of the period, and is read in
order. Outside of them hardly any is, and the block range index over serial and time has nearly nothing to look at.
However wrong the search may be, say for a clock that was, each event of the period is in exactly one stretch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from django.db import transaction

from core.replica import connection
from ledger.coordinator import BY_RANGES
from ledger.places import Extent

# One statement for both ends: in each step the event in the middle halves what is left of either search. That it lies
# between first and top goes without saying, but tells a coordinator of shards which one to ask.
_SEARCH: Final = """
    WITH RECURSIVE search (moment, low, high) AS (
        SELECT moment, %(first)s::bigint, %(top)s::bigint + 1 FROM unnest(%(moments)s::timestamptz[]) AS moment
        UNION ALL
        SELECT moment,
               CASE WHEN found.requested_at < moment THEN found.serial + 1 ELSE low END,
               CASE WHEN found.requested_at < moment THEN high ELSE (low + high) / 2 END
          FROM search
          LEFT JOIN LATERAL (SELECT serial, requested_at FROM issuance_event
                              WHERE serial >= (low + high) / 2 AND serial < high
                                AND serial BETWEEN %(first)s AND %(top)s ORDER BY serial LIMIT 1) AS found
                 ON true
         WHERE low < high
    )
    SELECT moment, low FROM search WHERE low >= high"""

# The last line: a coordinator of shards has a table whose sessions at the shards are set the same (ledger.coordinator).
_BY_RANGES: Final = f"""
    SET LOCAL enable_indexscan = off;
    SET LOCAL enable_seqscan = off;
    SET LOCAL max_parallel_workers_per_gather = 0;
    SELECT set_config('search_path', '{BY_RANGES}, ' || current_setting('search_path'), true)"""


class Stretch(NamedTuple):
    """Serials from ``first`` to ``last``; ``dense`` where nearly all events there are wanted."""

    first: int
    last: int
    dense: bool


@contextmanager
def by_ranges() -> Iterator[None]:
    """Have the statements of the block look at block ranges: for a stretch that is not dense.

    The planner takes serial and time for independent, so it expects a quarter of the table where there is next to
    nothing, and would rather walk through half of it by the index over serials, or set three processes to work.
    """
    with transaction.atomic(connection().alias), connection().cursor() as cursor:
        cursor.execute(_BY_RANGES)
        yield


def stretches(extent: Extent, after: datetime | None, before: datetime | None) -> list[Stretch]:
    """The serials of an extent in rising stretches, for events from ``after`` on and before ``before``."""
    first, top = extent.first, extent.top
    moments = [moment for moment in (after, before) if moment is not None]
    ends = _ends(extent, moments) if moments else {}
    # Two searches look at the same events until they part, the earlier one to the left: begin never passes end.
    begin, end = ends.get(after, first), ends.get(before, top + 1)
    found = (
        Stretch(first, begin - 1, dense=False),
        Stretch(begin, end - 1, dense=True),
        Stretch(end, top, dense=False),
    )
    return [stretch for stretch in found if stretch.first <= stretch.last]


def _ends(extent: Extent, moments: list[datetime]) -> dict[datetime | None, int]:
    """For each moment the serial that seems to be the first from then on; ``top + 1`` where none does."""
    with connection().cursor() as cursor:
        cursor.execute(_SEARCH, {"first": extent.first, "top": extent.top, "moments": moments})
        return dict(cursor.fetchall())
