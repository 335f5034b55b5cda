"""Counts up to the log's sealed head: what is rolled up, and the leaves that the roll-up has not reached yet.

One statement, so one snapshot: the position moves with the counts and the size with the runs, each in one transaction.
So every leaf is seen once, in a table of the roll-up or among the leaves from the position on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import DataError
from psycopg.errors import InvalidParameterValue

from core.replica import connection
from ledger.domain.serial import BLOCK_BITS, BLOCK_SIZE
from ledger.log import LogError
from ledger.shards import ShardSize, coordinated
from ledger.spans import SPANS
from reports import rollup
from reports.rollup import ZoneError


class Source(NamedTuple):
    """Whose events are counted.

    Attributes:
        table: of the roll-up.
        counts: a condition for its rows.
        wanted: what is looked for in each block of the ledger, by ``events``, a condition for its rows.
    """

    table: str
    counts: str
    wanted: str
    events: str


EVERYBODY: Final = Source("daily_total", "true", "(SELECT) AS wanted", "true")
# By a tag that it does not know the planner goes by the index of customers. A large customer's it would look for among
# all events of a block, where it takes the few that a block has for half a percent of the table.
CUSTOMER: Final = Source(
    "daily_usage",
    "customer_tag = ANY(%(tags)s)",
    "(SELECT DISTINCT unnest(%(tags)s::bytea[]) AS tag) AS wanted",
    "customer_tag = wanted.tag",
)

# LIMIT 1: the planner takes a table that was never analysed for a thousand rows, and would not go by an index.
# A block's leaves rise with its serials, so those from the position on are all its rows from a serial on; the hour of a
# worker that was away has thousands of blocks, and a hundred times as many runs. ORDER BY, and a LIMIT that no block
# exceeds, have the planner go by an index, however large the table is.
_COUNTED: Final = f"""
    WITH bounds AS MATERIALIZED (
        SELECT p.leaves AS begin_leaf, s.size AS end_leaf, p.time_zone
          FROM rollup_state p CROSS JOIN tree_state s LIMIT 1),
    stretches AS MATERIALIZED (
        SELECT min(first_serial) AS first_serial, max(last_serial) AS last_serial
          FROM ({SPANS}) AS spans GROUP BY first_serial >> {BLOCK_BITS}),
    found AS (
        SELECT day, origin, destination, weight_band, count, false AS fresh FROM {{table}} WHERE {{counts}}
         UNION ALL
        SELECT (e.requested_at AT TIME ZONE %(zone)s)::date, e.origin, e.destination, e.weight_band, 1, true
          FROM stretches CROSS JOIN {{wanted}}
         CROSS JOIN LATERAL (
               SELECT requested_at, origin, destination, weight_band FROM issuance_event
                WHERE {{events}} AND serial BETWEEN first_serial AND last_serial
                ORDER BY serial LIMIT {BLOCK_SIZE}) AS e),
    counted AS (
        SELECT {{columns}}, sum(count)::bigint AS count FROM found
         WHERE day BETWEEN %(first)s::date AND %(last)s::date
         GROUP BY {{keys}})
    SELECT b.end_leaf, b.time_zone, c.* FROM bounds b LEFT JOIN ({{rows}}) AS c ON true ORDER BY {{order}}"""  # noqa: S608  # constants


class Period(NamedTuple):
    """Days of REPORT_TIME_ZONE: from ``first`` on, up to and without ``end``; None: without a bound."""

    first: date | None = None
    end: date | None = None


class Counts(NamedTuple):
    """What was counted.

    Attributes:
        size: the leaves of the tree that are counted: the log's sealed head. Of several shards, in all.
        rows: what was counted by, and the count; none of 0.
        shards: of several shards the leaves of each.
    """

    size: int
    rows: list[tuple[Any, ...]]
    shards: tuple[ShardSize, ...] = ()


def statement(
    source: Source,
    keys: str,
    *,
    columns: str | None = None,
    rows: str = "SELECT * FROM counted",
    order: str | None = None,
) -> str:
    """A statement that counts, for ``ask``.

    Args:
        source: EVERYBODY or CUSTOMER.
        keys: of ``day, origin, destination, weight_band`` those that are counted by: what GROUP BY takes.
        columns: what is selected of them, where that is not the keys; ``fresh`` are those that are not rolled up.
        rows: what is made of the table ``counted``.
        order: of the answer.
    """
    return _COUNTED.format(**source._asdict(), keys=keys, columns=columns or keys, rows=rows, order=order or keys)


def given(period: Period, **more: Any) -> dict[str, Any]:
    """The parameters of a statement."""
    # Infinity is within a period without bounds: a row that has it is no event, and is found out when it is read.
    return {
        "zone": settings.ENV.report_time_zone,
        "first": period.first or "-infinity",
        "last": period.end - timedelta(days=1) if period.end else "infinity",
        **more,
    }


def ask(statement: str, parameters: dict[str, Any]) -> Counts:
    """Count.

    Raises:
        LogError: the tables are not as sealer and roll-up leave them.
        ZoneError: the roll-up counts the days of another time zone, or there is no such zone.
        django.db.DataError: a row holds a time that no writer of ours has written, such as infinity.
        django.db.DatabaseError: that can't be told at present.
    """
    with connection().cursor() as cursor, known_zone():
        cursor.execute(statement, parameters)
        return checked(cursor.fetchall())


@contextmanager
def known_zone() -> Iterator[None]:
    """Raise ZoneError where a statement fails for a REPORT_TIME_ZONE that PostgreSQL does not know."""
    try:
        yield
    except DataError as error:
        if isinstance(error.__cause__, InvalidParameterValue):
            raise ZoneError(rollup.no_such_zone(settings.ENV.report_time_zone)) from error
        raise


def checked(found: list[tuple[Any, ...]]) -> Counts:
    """What a statement found, its first rows or all; raises LogError and ZoneError as ``ask`` does."""
    if not found:
        raise LogError("The table rollup_state or tree_state has no row.")
    size, counted_by = found[0][:2]
    zone = settings.ENV.report_time_zone
    if counted_by not in {None, zone}:
        raise ZoneError(
            f"The reports count the days of {counted_by}, and REPORT_TIME_ZONE is {zone}. Set it back, or run "
            "`manage.py rebuild_reports`."
        )
    rows = [row[2:] for row in found if row[-1] is not None]
    if coordinated():
        shards = tuple(ShardSize(*each) for each in sorted(size or ()))
        return Counts(sum(each.size for each in shards), rows, shards)
    return Counts(size, rows)


def today() -> date:
    """The day that it is in REPORT_TIME_ZONE, as PostgreSQL has it, which also says whose day an event is of.

    Raises:
        ZoneError: there is no such zone.
        django.db.DatabaseError: that can't be told at present.
    """
    with connection().cursor() as cursor, known_zone():
        cursor.execute("SELECT (now() AT TIME ZONE %s)::date", [settings.ENV.report_time_zone])
        day: date = cursor.fetchone()[0]
        return day
