"""Counts over all shards: each shard counts its own (aggregate push-down), and its counts are added up here.

One statement, and in it one moment of each shard; there is no moment that all shards share. The relations are views of
the shards (reports/sql/shard_views.sql), which know what is rolled up and what is not yet.
"""

from datetime import date
from typing import Any, Final, NamedTuple

from django.db import connection

from ledger.coordinator import Key
from reports.closed import Correction, checked

RELATIONS: Final[dict[str, Key]] = dict.fromkeys(
    ("shard_usage", "shard_total", "shard_position", "shard_report", "shard_correction"), Key.SHARD
)
"""Those of the reports, for ledger.coordinator."""

_EVERYBODY: Final = ("shard_total", "true")
_CUSTOMER: Final = ("shard_usage", "customer_tag = ANY(%(tags)s::bytea[])")

# `of_each` has the shard in its GROUP BY, and so is each shard's own. It is MATERIALIZED so that no order is asked for,
# since shards that put their answers in order are asked one after the other. So are they for partial aggregates, which
# OFFSET 0 prevents. `time_zone`: null before the first roll-up.
_COUNTED: Final = """
    WITH bounds AS MATERIALIZED (
        SELECT array_agg(ARRAY[shard, size]) AS sizes,
               CASE WHEN min(time_zone) = max(time_zone) THEN min(time_zone)
                    ELSE min(time_zone) || ' and of ' || max(time_zone) END AS time_zone
          FROM (SELECT shard, size, time_zone FROM shard_position OFFSET 0) AS each),
    of_each AS MATERIALIZED (
        SELECT shard, {columns}, sum(count)::bigint AS count FROM {table}
         WHERE {whose} AND day BETWEEN %(first)s::date AND %(last)s::date
         GROUP BY shard, {columns}),
    counted AS ({counted})
    SELECT b.sizes, b.time_zone, c.* FROM bounds b LEFT JOIN counted AS c ON true ORDER BY {keys}"""
_SUM: Final = "SELECT {keys}, sum(count)::bigint AS count FROM of_each GROUP BY {keys}"
# As in reports.daily. A day is closed once each shard that has anything of it has written its report.
_DAYS: Final = """
    SELECT day, bool_and(closed) AS closed, sum(corrections)::bigint AS corrections, sum(total)::bigint AS total
      FROM (SELECT day, r.day IS NOT NULL AS closed,
                   CASE WHEN r.day IS NULL THEN 0 ELSE coalesce(c.fresh, 0) + coalesce(k.total, 0) END AS corrections,
                   coalesce(c.count, 0) AS total
              FROM (SELECT shard, day, sum(count) FILTER (WHERE fresh) AS fresh, sum(count) AS count
                      FROM of_each GROUP BY shard, day) AS c
              FULL JOIN (SELECT shard, day FROM shard_report
                          WHERE day BETWEEN %(first)s::date AND %(last)s::date) AS r USING (shard, day)
              LEFT JOIN (SELECT shard, day, sum(total) AS total FROM shard_correction
                          WHERE day BETWEEN %(first)s::date AND %(last)s::date
                          GROUP BY shard, day) AS k USING (shard, day)) AS each
     GROUP BY day"""
_REPORTS: Final = "SELECT shard, digest FROM shard_report WHERE day = %s ORDER BY shard"
_CORRECTIONS: Final = """
    SELECT shard, document, digest, total FROM shard_correction WHERE day = %s ORDER BY shard, first_leaf"""


def _statement(source: tuple[str, str], keys: str) -> str:
    table, whose = source
    return _COUNTED.format(table=table, whose=whose, columns=keys, counted=_SUM.format(keys=keys), keys=keys)


CELLS: Final = "day, origin, destination, weight_band"
DAYS: Final = _COUNTED.format(table="shard_total", whose="true", columns="day, fresh", counted=_DAYS, keys="day")
DAY_CELLS: Final = _statement(_EVERYBODY, CELLS)
CUSTOMER_CELLS: Final = _statement(_CUSTOMER, CELLS)
BY_DAY: Final = _statement(_CUSTOMER, "day")
BY_ROUTE: Final = _statement(_CUSTOMER, "origin, destination")
BY_WEIGHT_BAND: Final = _statement(_CUSTOMER, "weight_band")
"""Statements for ``reports.counted.ask``."""


class ShardCorrection(NamedTuple):
    """A correction, and whose report it corrects."""

    shard: int
    correction: Correction


def reports(day: date) -> dict[int, bytes]:
    """The SHA-256 of the reports that are written of a day, by shard.

    Raises:
        django.db.DatabaseError: that can't be told at present.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REPORTS, [day])
        return {shard: bytes(digest) for shard, digest in cursor.fetchall()}


def corrections(day: date) -> list[ShardCorrection]:
    """What corrects the reports of a day, shard by shard in leaf order; raises as ``reports.closed.report`` does."""
    with connection.cursor() as cursor:
        cursor.execute(_CORRECTIONS, [day])
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return [
        ShardCorrection(shard, Correction(checked(day, document, digest), bytes(digest), total))
        for shard, document, digest, total in found
    ]
