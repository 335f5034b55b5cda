"""One day counted anew from the ledger, beside what the roll-up has of it: one statement, so one moment."""

from datetime import date
from typing import Any, Final, NamedTuple

from ledger.domain.serial import BLOCK_BITS
from ledger.log import Connection
from reports.domain.document import Count

MOST_FAULTS: Final = 20

# Midnight may come twice, or never, where clocks are put back or forward at night (Havana, Beirut): PostgreSQL then
# takes one of the two, so the bounds are wide and the day itself decides, as it does in the roll-up.
_MARGIN: Final = "interval '3 hours'"
# An event is a leaf if the sealer has read its block so far, as in reports.customers. Serial stands beside the time for
# the planner, which rates a block range index by all the columns that are asked for (docs/adr/0012).
_RECOUNT: Final = f"""
    WITH recounted AS MATERIALIZED (
        SELECT e.customer_tag, e.origin, e.destination, e.weight_band, count(*) AS count
          FROM issuance_event e
          LEFT JOIN block_cursor c ON c.block = e.serial >> {BLOCK_BITS} AND c.block >= %(closed_below)s
         WHERE e.requested_at >= %(day)s::date::timestamp AT TIME ZONE %(zone)s - {_MARGIN}
           AND e.requested_at < (%(day)s::date + 1)::timestamp AT TIME ZONE %(zone)s + {_MARGIN}
           AND e.serial >= 0
           AND (e.requested_at AT TIME ZONE %(zone)s)::date = %(day)s
           AND (e.serial >> {BLOCK_BITS} < %(closed_below)s OR e.serial <= c.last_serial)
         GROUP BY 1, 2, 3, 4),
    totals AS (SELECT origin, destination, weight_band, sum(count)::bigint AS count FROM recounted GROUP BY 1, 2, 3),
    held AS (SELECT origin, destination, weight_band, count FROM daily_total WHERE day = %(day)s),
    used AS (SELECT customer_tag, origin, destination, weight_band, count FROM daily_usage WHERE day = %(day)s)
    SELECT origin, destination, weight_band, coalesce(t.count, 0), coalesce(h.count, 0)
      FROM totals t FULL JOIN held h USING (origin, destination, weight_band)
     UNION ALL
    SELECT NULL, NULL, NULL, count(*), 0
      FROM recounted r FULL JOIN used u USING (customer_tag, origin, destination, weight_band)
     WHERE r.count IS DISTINCT FROM u.count
     ORDER BY 1, 2, 3"""  # noqa: S608  # constants
# By block ranges alone: a day of years, found without reading the years.
_BY_RANGES: Final = """
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_indexscan = off;
    SET LOCAL enable_indexonlyscan = off;
    SET LOCAL max_parallel_workers_per_gather = 0"""


class Recount(NamedTuple):
    """A day as the ledger has it.

    Attributes:
        counts: in order of route and weight band; none of 0.
        faults: sentences that say which counts of the roll-up differ from it; none if all are the same.
    """

    counts: tuple[Count, ...]
    faults: list[str]


def recount(connection: Connection, zone: str, day: date, closed_below: int) -> Recount:
    """Count the leaves of a day in the ledger, and compare.

    Args:
        connection: the reporter's, in a transaction that sees one moment; it goes by block ranges from here on.
        zone: the IANA name of the time zone whose day it is.
        day: the day.
        closed_below: of ``tree_state``, at that moment.
    """
    connection.execute(_BY_RANGES)
    given: dict[str, Any] = {"day": day, "zone": zone, "closed_below": closed_below}
    *rows, (_, _, _, customers, _) = connection.execute(_RECOUNT.encode(), given).fetchall()
    faults = [
        f"{day}, {origin} to {destination}, weight band {band}: the ledger has {right}, daily_total {held}."
        for origin, destination, band, right, held in rows
        if right != held
    ]
    if len(faults) > MOST_FAULTS:
        faults = [*faults[:MOST_FAULTS], f"{day}: {len(faults) - MOST_FAULTS} more counts differ in daily_total."]
    if customers:
        faults.append(f"{day}: {customers} counts of customers differ in daily_usage.")
    return Recount(tuple(Count(*row[:4]) for row in rows if row[3]), faults)
