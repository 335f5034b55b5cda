"""The roll-up: leaves are counted by day, customer, route and weight band, in leaf order and each once.

One transaction counts a range of leaves, adds what it counted and moves the position; so a range is counted whole or
not at all, whatever is killed. A leaf of a day whose report is written already becomes a correction of that report.
"""

from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from ledger.domain.serial import BLOCK_SIZE
from ledger.log import Connection, LogError
from ledger.spans import SPANS
from reports.domain.document import Correction, Count

MOST_LEAVES: Final = 1_000_000
"""Counted in one transaction, and up to one block more: a range ends with the run that is under way then."""

# Ranges end where the first run begins at or after a multiple of `most`, whatever the position was at first: so the
# parts that others count meanwhile (reports.parts) fit on to each other. The last one ends with the log.
_PLACE = """
    SELECT p.leaves, p.time_zone, s.size,
           coalesce((SELECT min(first_leaf) FROM run WHERE first_leaf >= (p.leaves / %(most)s + 1) * %(most)s), s.size),
           (SELECT end_leaf FROM rollup_part WHERE first_leaf = p.leaves AND time_zone = %(zone)s)
      FROM rollup_state p CROSS JOIN tree_state s"""
# LIMIT: a span lies in one block, and with it the planner neither walks through the table nor expects most of it.
COUNTED: Final = f"""
    bounds (begin_leaf, end_leaf) AS (VALUES (%(begin)s::bigint, %(end)s::bigint)),
    spans AS MATERIALIZED ({SPANS}),
    counted AS MATERIALIZED (
        SELECT (e.requested_at AT TIME ZONE %(zone)s)::date AS day,
               e.customer_tag, e.origin, e.destination, e.weight_band, count(*) AS count
          FROM spans s
         CROSS JOIN LATERAL (SELECT requested_at, customer_tag, origin, destination, weight_band FROM issuance_event
                              WHERE serial BETWEEN s.first_serial AND s.last_serial LIMIT {BLOCK_SIZE}) AS e
         GROUP BY 1, 2, 3, 4, 5)"""  # noqa: S608  # constants
"""SQL that counts the leaves from ``begin`` to ``end - 1`` by the days of ``zone``."""
_FROM_PART = """
    counted AS MATERIALIZED (
        SELECT day, customer_tag, origin, destination, weight_band, count FROM rollup_part_usage
         WHERE first_leaf = %(begin)s)"""
# The last select: everything that was counted, how much of it on days that no calendar of ours has, and of closed days
# what their reports lack.
# Whoever has the turn is alone, so rows are raised and others inserted; ON CONFLICT took a third more CPU in all.
# NOT IN: how many are raised is not known when the statement is planned, and this is hashed, however many.
_ADD = """
    WITH {counted},
    raised AS (
        UPDATE daily_usage u SET count = u.count + c.count FROM counted c
         WHERE (u.day, u.customer_tag, u.origin, u.destination, u.weight_band)
             = (c.day, c.customer_tag, c.origin, c.destination, c.weight_band)
        RETURNING u.day, u.customer_tag, u.origin, u.destination, u.weight_band),
    used AS (
        INSERT INTO daily_usage (day, customer_tag, origin, destination, weight_band, count)
        SELECT day, customer_tag, origin, destination, weight_band, count FROM counted
         WHERE (day, customer_tag, origin, destination, weight_band) NOT IN (SELECT * FROM raised) ORDER BY 1, 2),
    totals AS MATERIALIZED (
        SELECT day, origin, destination, weight_band, sum(count)::bigint AS count FROM counted GROUP BY 1, 2, 3, 4),
    summed AS (
        INSERT INTO daily_total AS t (day, origin, destination, weight_band, count)
        SELECT day, origin, destination, weight_band, count FROM totals
            ON CONFLICT ON CONSTRAINT daily_total_pkey DO UPDATE SET count = t.count + excluded.count)
    SELECT NULL::date, NULL, NULL, NULL, coalesce(sum(count), 0)::bigint,
           coalesce(sum(count) FILTER (WHERE day NOT BETWEEN '0001-01-01' AND '9999-12-31'), 0)::bigint FROM totals
     UNION ALL
    (SELECT day, origin, destination, weight_band, count, 0 FROM totals
      WHERE day IN (SELECT day FROM daily_report) ORDER BY 1, 2, 3, 4)"""
_MOVE = "UPDATE rollup_state SET leaves = %s, time_zone = %s WHERE leaves = %s"
# Parts that the position has passed, or that another zone's days were counted for.
_CLEAR = """
    WITH stale AS (DELETE FROM rollup_part WHERE first_leaf < %s OR time_zone <> %s RETURNING first_leaf)
    DELETE FROM rollup_part_usage WHERE first_leaf IN (SELECT first_leaf FROM stale)"""


class ZoneError(Exception):
    """The days can't be counted by this time zone; the message says what to do."""


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
    """Count the next range of leaves, or add it if it is a part that was counted; the caller has the turn COUNTING.

    Args:
        connection: the reporter's, whose transactions see one moment (reports.session). In a transaction of the
            caller's the step is a part of it.
        zone: the IANA name of the time zone whose days are counted by.
        most: leaves of a range, a block or more.

    Returns:
        The position after it; it has reached ``size`` when nothing is left.

    Raises:
        ZoneError: what is there was counted by another zone, or there is no such zone.
        LogError: the log's rows are not those that were sealed.
        psycopg.Error: the database failed; nothing is counted, or all of it.
    """
    with connection.transaction():
        row = connection.execute(_PLACE.encode(), {"most": most, "zone": zone}).fetchone()
        if row is None:
            raise LogError("The table rollup_state or tree_state has no row.")
        begin, counted_by, size, run_end, part_end = row
        if counted_by not in {None, zone}:
            raise ZoneError(
                f"The reports count the days of {counted_by}, and REPORT_TIME_ZONE is {zone}. Set it back, or run "
                "`manage.py rebuild_reports`."
            )
        if begin > size:
            raise LogError(f"The reports count {begin} leaves, and the log has {size}: it was put back to an old copy.")
        if begin < size:
            if counted_by is None:
                check_zone(connection, zone)
            counted, end = (COUNTED, run_end) if part_end is None else (_FROM_PART, part_end)
            _add(connection, counted, zone, begin, end)
        else:
            end = begin
        connection.execute(_CLEAR.encode(), [end, zone])
        return Position(end, size)


def check_zone(connection: Connection, zone: str) -> None:
    """Raise ZoneError unless PostgreSQL knows the zone by that name; it would take `Foo5` for a zone of its own."""
    if connection.execute("SELECT FROM pg_timezone_names WHERE name = %s", [zone]).fetchone() is None:
        raise ZoneError(no_such_zone(zone))


def no_such_zone(zone: str) -> str:
    """The sentence about a time zone that PostgreSQL does not know."""
    return f"REPORT_TIME_ZONE is {zone}, and there is no such time zone. Set it to one as Europe/Paris."


def check_count(begin: int, end: int, total: int, timeless: int) -> None:
    """Raise LogError unless the leaves from ``begin`` to ``end - 1`` have as many events, each with a proper day."""
    if total != end - begin:
        raise LogError(f"The leaves {begin} to {end - 1} have {total} events; {end - begin} were sealed.")
    if timeless:
        raise LogError(
            f"Of the leaves {begin} to {end - 1}, {timeless} have a time that no writer of ours has written, such as "
            "infinity."
        )


def _add(connection: Connection, counted: str, zone: str, begin: int, end: int) -> None:
    """Add what was counted of a range, and move the position to its end."""
    statement = _ADD.format(counted=counted).encode()
    (*_, total, timeless), *late = connection.execute(statement, {"begin": begin, "end": end, "zone": zone}).fetchall()
    check_count(begin, end, total, timeless)
    _correct(connection, zone, begin, end, [(row[0], Count(*row[1:5])) for row in late])
    if connection.execute(_MOVE, [end, zone, begin]).rowcount != 1:
        raise LogError("The table rollup_state was changed by somebody who had not the turn.")


def _correct(connection: Connection, zone: str, begin: int, end: int, found: list[tuple[date, Count]]) -> None:
    """Write down what the leaves add to days whose reports are out."""
    for day, counts in groupby(found, key=itemgetter(0)):
        correction = Correction(day, zone, begin, end, tuple(count for _, count in counts))
        connection.execute(
            "INSERT INTO daily_correction (day, first_leaf, end_leaf, total, document, digest)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [day, begin, end, correction.total, correction.document.decode(), correction.digest],
        )
