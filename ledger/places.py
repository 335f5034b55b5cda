"""Which leaves of the log some events are: one statement, however many there are."""

from typing import Final, NamedTuple

from core.replica import connection
from ledger.domain.serial import SHARD_CAPACITY, shard_of
from ledger.log import LogError
from ledger.shards import ShardSize, coordinated

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


# Across shards, in no order, since those that put their answers in order are asked one after the other.
_EXTENTS: Final = "SELECT published_size, top FROM shard_log"
_INDEXES_ACROSS: Final = """
    SELECT serial, leaf_index FROM shard_leaf WHERE serial = ANY(%s::bigint[]) AND leaf_index IS NOT NULL"""


class Extent(NamedTuple):
    """The first ``size`` leaves of the log, none of which has a serial above ``top``."""

    size: int
    top: int

    @property
    def first(self) -> int:
        """The lowest serial that any of them can have: that of their shard."""
        return shard_of(self.top) * SHARD_CAPACITY


type Extents = tuple[Extent, ...]
"""Of one log; or of those of several shards, in the order of their serials, but for logs without leaves."""


def size(extents: Extents) -> int:
    """How many leaves there are in all."""
    return sum(extent.size for extent in extents)


def by_shard(extents: Extents) -> list[ShardSize]:
    """The same by shard; none where this is no coordinator of any."""
    return [ShardSize(shard_of(extent.top), extent.size) for extent in extents] if coordinated() else []


def published() -> Extents:
    """All that is published by now.

    Raises:
        LogError: the log's tables don't fit together.
        django.db.DatabaseError: that can't be told at present.
    """
    with connection().cursor() as cursor:
        cursor.execute(_EXTENTS if coordinated() else _EXTENT)
        found = cursor.fetchall()
    if not found:
        raise LogError("The table tree_state has no row.")
    return tuple(sorted((Extent(*each) for each in found if each[0]), key=lambda extent: extent.top))


def indexes(serials: list[int]) -> dict[int, int]:
    """The leaf index of each event that the sealer has taken up, by serial."""
    if not serials:
        return {}
    with connection().cursor() as cursor:
        cursor.execute(_INDEXES_ACROSS if coordinated() else _INDEXES, [serials])
        return dict(cursor.fetchall())
