"""The roll-up: leaves are counted by day, customer, route and weight band, in leaf order and each once.

One transaction counts a range of leaves, adds what it counted and moves the position; so a range is counted whole or
not at all, whatever is killed. A leaf of a day whose report is written already becomes a correction of that report.
"""

from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from ledger.log import Connection, LogError
from ledger.spans import SPANS
from reports.domain.document import Correction, Count

MOST_LEAVES: Final = 1_000_000
"""Counted in one transaction."""

# Where the range ends: at the log's size, or where a run ends.
_BOUNDS = """
    SELECT p.leaves, p.time_zone, s.size,
           CASE WHEN s.size - p.leaves <= %(most)s THEN s.size
                ELSE (SELECT max(first_leaf) FROM run
                       WHERE first_leaf > p.leaves AND first_leaf <= p.leaves + %(most)s) END
      FROM rollup_state p CROSS JOIN tree_state s"""
_COUNTED = f"""
    bounds (begin_leaf, end_leaf) AS (VALUES (%(begin)s::bigint, %(end)s::bigint)),
    spans AS MATERIALIZED ({SPANS}),
    counted AS MATERIALIZED (
        SELECT (e.requested_at AT TIME ZONE %(zone)s)::date AS day,
               e.customer_tag, e.origin, e.destination, e.weight_band, count(*) AS count
          FROM spans s JOIN issuance_event e ON e.serial BETWEEN s.first_serial AND s.last_serial
         GROUP BY 1, 2, 3, 4, 5)"""  # noqa: S608  # constants
# The last select: everything that was counted, and of closed days what their reports lack.
_ADD = f"""
    WITH {_COUNTED},
    used AS (
        INSERT INTO daily_usage AS u (day, customer_tag, origin, destination, weight_band, count)
        SELECT day, customer_tag, origin, destination, weight_band, count FROM counted ORDER BY 2, 1, 3, 4, 5
            ON CONFLICT ON CONSTRAINT daily_usage_pkey DO UPDATE SET count = u.count + excluded.count),
    totals AS MATERIALIZED (
        SELECT day, origin, destination, weight_band, sum(count)::bigint AS count FROM counted GROUP BY 1, 2, 3, 4),
    summed AS (
        INSERT INTO daily_total AS t (day, origin, destination, weight_band, count)
        SELECT * FROM totals
            ON CONFLICT ON CONSTRAINT daily_total_pkey DO UPDATE SET count = t.count + excluded.count)
    SELECT NULL, NULL, NULL, NULL, coalesce(sum(count), 0)::bigint FROM totals
     UNION ALL
    (SELECT * FROM totals WHERE day IN (SELECT day FROM daily_report) ORDER BY 1, 2, 3, 4)"""  # noqa: S608  # constants
_MOVE = "UPDATE rollup_state SET leaves = %s, time_zone = %s WHERE leaves = %s"


class ZoneError(Exception):
    """The days that are there are those of another time zone; the message says what to do."""


class Position(NamedTuple):
    """How far the log is counted, of how many leaves."""

    leaves: int
    size: int


def position(connection: Connection) -> Position:
    """Where the roll-up stands."""
    row = connection.execute("SELECT p.leaves, s.size FROM rollup_state p CROSS JOIN tree_state s").fetchone()
    if row is None:
        raise LogError("The table rollup_state or tree_state has no row.")
    return Position(*row)


def step(connection: Connection, zone: str, most: int = MOST_LEAVES) -> Position:
    """Count the next leaves, ``most`` at a time; the caller has the turn COUNTING (reports.session).

    Args:
        connection: the reporter's, in no transaction.
        zone: the IANA name of the time zone whose days are counted by.
        most: leaves, a block or more.

    Raises:
        ZoneError: what is there was counted by another zone.
        LogError: the log's rows are not those that were sealed.
        psycopg.Error: the database failed; nothing is counted, or all of it.
    """
    with connection.transaction():
        row = connection.execute(_BOUNDS.encode(), {"most": most}).fetchone()
        if row is None:
            raise LogError("The table rollup_state or tree_state has no row.")
        begin, counted_by, size, end = row
        if counted_by not in {None, zone}:
            raise ZoneError(
                f"The reports count the days of {counted_by}, and REPORT_TIME_ZONE is {zone}. Set it back, or run "
                "`manage.py rebuild_reports`."
            )
        if begin == size:
            return Position(begin, size)
        if end is None:
            raise LogError(f"No run begins between leaf {begin} and leaf {begin + most}.")
        found = connection.execute(_ADD.encode(), {"begin": begin, "end": end, "zone": zone}).fetchall()
        total = found[0][-1]
        if total != end - begin:
            raise LogError(f"The leaves {begin} to {end - 1} have {total} events; {end - begin} were sealed.")
        _correct(connection, zone, begin, end, [(row[0], Count(*row[1:])) for row in found[1:]])
        moved = connection.execute(_MOVE, [end, zone, begin]).rowcount
        if moved != 1:
            raise LogError("The table rollup_state was changed by somebody who had not the turn.")
        return Position(end, size)


def _correct(connection: Connection, zone: str, begin: int, end: int, found: list[tuple[date, Count]]) -> None:
    """Write down what the leaves add to days whose reports are out."""
    for day, counts in groupby(found, key=itemgetter(0)):
        correction = Correction(day, zone, begin, end, tuple(count for _, count in counts))
        connection.execute(
            "INSERT INTO daily_correction (day, first_leaf, end_leaf, total, document, digest)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [day, begin, end, correction.total, correction.document.decode(), correction.digest],
        )
