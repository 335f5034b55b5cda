"""What one customer was issued, counted over the leaves of the log: one statement, so one moment."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, Final, NamedTuple

from django.db import connection

from ledger.domain.serial import BLOCK_BITS
from ledger.log import LogError


class By(StrEnum):
    """What events are counted by; a day is one of UTC, and of the moment when the service took the request."""

    DAY = "day"
    ROUTE = "route"
    WEIGHT_BAND = "weight_band"


class Period(NamedTuple):
    """Days of UTC: from ``first`` on, up to and without ``end``; None: without a bound."""

    first: date | None = None
    end: date | None = None


class Statistics(NamedTuple):
    """Counts of events.

    Attributes:
        size: the leaves of the tree that they are counted over: the log's sealed head.
        rows: what was counted by, and the count; in order, and none of 0. A day is a date, a route two codes of
            ISO 3166-1, a weight band its code.
    """

    size: int
    rows: list[tuple[Any, ...]]


_KEYS: Final = {
    By.DAY: "(e.requested_at AT TIME ZONE 'UTC')::date",
    By.ROUTE: "e.origin, e.destination",
    By.WEIGHT_BAND: "e.weight_band",
}
# An event is a leaf if the sealer has read its block so far: all blocks below closed_below, and the others up to
# their cursors (ledger.domain.sealing). The sealer moves size, cursors and floor in one transaction.
_COUNT = f"""
    SELECT s.size, found.*
      FROM tree_state s
      LEFT JOIN LATERAL (
           SELECT {{keys}}, count(*)
             FROM issuance_event e
             LEFT JOIN block_cursor c ON c.block = e.serial >> {BLOCK_BITS} AND c.block >= s.closed_below
            WHERE e.customer_tag = ANY(%(tags)s)
              AND (e.serial >> {BLOCK_BITS} < s.closed_below OR e.serial <= c.last_serial)
              {{period}}
            GROUP BY {{keys}}
           ) AS found ON true
     ORDER BY 2, 3"""  # noqa: S608  # constants


def count(tags: Sequence[bytes], period: Period, by: By) -> Statistics:
    """Count the events of whoever has one of ``tags``, the pseudonyms of one customer.

    Raises:
        LogError: the log's tables are not as the sealer leaves them.
        django.db.DataError: a row holds a time that no writer of ours has written, such as infinity.
        django.db.DatabaseError: that can't be told at present.
    """
    bounds = [
        f"AND e.requested_at {operator} %({name})s"
        for name, operator, day in (("first", ">=", period.first), ("end", "<", period.end))
        if day is not None
    ]
    statement = _COUNT.format(keys=_KEYS[by], period=" ".join(bounds))
    with connection.cursor() as cursor:
        cursor.execute(statement, {"tags": list(tags), "first": _midnight(period.first), "end": _midnight(period.end)})
        found = cursor.fetchall()
    if not found:
        raise LogError("The table tree_state has no row.")
    return Statistics(found[0][0], [row[1:] for row in found if row[-1] is not None])


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)
