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

# One statement for both ends: in each step the event in the middle halves what is left of either search.
_SEARCH: Final = """
    WITH RECURSIVE search (moment, low, high) AS (
        SELECT moment, 0::bigint, %(top)s::bigint + 1 FROM unnest(%(moments)s::timestamptz[]) AS moment
        UNION ALL
        SELECT moment,
               CASE WHEN found.requested_at < moment THEN found.serial + 1 ELSE low END,
               CASE WHEN found.requested_at < moment THEN high ELSE (low + high) / 2 END
          FROM search
          LEFT JOIN LATERAL (SELECT serial, requested_at FROM issuance_event
                              WHERE serial >= (low + high) / 2 AND serial < high ORDER BY serial LIMIT 1) AS found
                 ON true
         WHERE low < high
    )
    SELECT moment, low FROM search WHERE low >= high"""

_BY_RANGES: Final = """
    SET LOCAL enable_indexscan = off;
    SET LOCAL enable_seqscan = off;
    SET LOCAL max_parallel_workers_per_gather = 0"""


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


def stretches(top: int, after: datetime | None, before: datetime | None) -> list[Stretch]:
    """The serials up to ``top`` in rising stretches, for events from ``after`` on and before ``before``."""
    moments = [moment for moment in (after, before) if moment is not None]
    ends = _ends(top, moments) if moments else {}
    # Two searches look at the same events until they part, the earlier one to the left: begin never passes end.
    begin, end = ends.get(after, 0), ends.get(before, top + 1)
    found = (Stretch(0, begin - 1, dense=False), Stretch(begin, end - 1, dense=True), Stretch(end, top, dense=False))
    return [stretch for stretch in found if stretch.first <= stretch.last]


def _ends(top: int, moments: list[datetime]) -> dict[datetime | None, int]:
    """For each moment the serial that seems to be the first from then on; ``top + 1`` where none does."""
    with connection().cursor() as cursor:
        cursor.execute(_SEARCH, {"top": top, "moments": moments})
        return dict(cursor.fetchall())
