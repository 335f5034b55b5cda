"""Which leaves of the log some events are: one statement, however many there are."""

from typing import Final, NamedTuple

from core.replica import connection
from ledger.log import LogError

_EXTENT: Final = """
    SELECT published_size,
           coalesce((SELECT last_serial FROM run WHERE first_leaf < published_size
                      ORDER BY first_serial DESC LIMIT 1), -1)
      FROM tree_state"""
# As in ledger.reading: arithmetic where the run has no gaps, which is nearly always, and counting where it has.
_INDEXES: Final = """
    SELECT wanted.serial,
           r.first_leaf + CASE
               WHEN r.leaves = r.last_serial - r.first_serial + 1 THEN wanted.serial - r.first_serial
               ELSE (SELECT count(*) FROM issuance_event b
                      WHERE b.serial >= r.first_serial AND b.serial < wanted.serial)
           END
      FROM unnest(%s::bigint[]) AS wanted (serial)
     CROSS JOIN LATERAL (SELECT first_leaf, first_serial, last_serial, leaves FROM run
                          WHERE first_serial <= wanted.serial ORDER BY first_serial DESC LIMIT 1) AS r
     WHERE r.last_serial >= wanted.serial"""


class Extent(NamedTuple):
    """The first ``size`` leaves of the log, none of which has a serial above ``top``."""

    size: int
    top: int


def published() -> Extent:
    """All that is published by now.

    Raises:
        LogError: the log's tables don't fit together.
        django.db.DatabaseError: that can't be told at present.
    """
    with connection().cursor() as cursor:
        cursor.execute(_EXTENT)
        found = cursor.fetchone()
    if found is None:
        raise LogError("The table tree_state has no row.")
    return Extent(*found)


def indexes(serials: list[int]) -> dict[int, int]:
    """The leaf index of each event that the sealer has taken up, by serial."""
    if not serials:
        return {}
    with connection().cursor() as cursor:
        cursor.execute(_INDEXES, [serials])
        return dict(cursor.fetchall())
