"""How the log, the roll-up, the space and the nightly checks stand, for the overview."""

from datetime import datetime
from typing import Final, NamedTuple

from django.db import connection

from ledger.domain.serial import BLOCK_BITS, BLOCK_SIZE, BLOCKS_PER_SHARD, SHARD_CAPACITY, first_block
from ledger.log import LogError

MOST_WAITING: Final = 10_000
"""Events that wait for the sealer are counted up to here."""
_MOST_BLOCKS: Final = 1_000
_RECENT_CHECKS: Final = 10_000

# Every block below closed_below is read to its end (ledger.domain.sealing), so only a few are looked through. ORDER BY
# with LIMIT has the planner go by an index, where else it would expect a third of the table.
_LOG: Final = f"""
    SELECT s.size, s.published_size, p.leaves, w.count, extract(epoch FROM clock_timestamp() - w.oldest),
           (SELECT e.requested_at FROM run r JOIN issuance_event e ON e.serial = r.last_serial
             WHERE r.first_leaf < s.published_size ORDER BY r.first_leaf DESC LIMIT 1)
      FROM tree_state s CROSS JOIN rollup_state p
     CROSS JOIN LATERAL (
           SELECT count(*) AS count, min(requested_at) AS oldest
             FROM (SELECT e.requested_at
                     FROM (SELECT id FROM number_block WHERE id >= s.closed_below ORDER BY id LIMIT {_MOST_BLOCKS}) AS b
                    CROSS JOIN LATERAL (
                          SELECT requested_at FROM issuance_event
                           WHERE serial < (b.id + 1) << {BLOCK_BITS}
                             AND serial > coalesce((SELECT last_serial FROM block_cursor WHERE block = b.id),
                                                   (b.id << {BLOCK_BITS}) - 1)
                           ORDER BY serial LIMIT {BLOCK_SIZE}) AS e
                    LIMIT {MOST_WAITING}) AS waiting) AS w"""  # noqa: S608  # constants
_SPACE: Final = """
    SELECT (SELECT max(id) FROM number_block WHERE id BETWEEN %s AND %s), pg_database_size(current_database())"""
# A range that was checked again and then was right is no failure any more.
_CHECKS: Final = f"""
    WITH recent AS (SELECT * FROM ledger_check ORDER BY id DESC LIMIT {_RECENT_CHECKS}),
    newest AS (SELECT DISTINCT ON (first_leaf, end_leaf, day) * FROM recent ORDER BY first_leaf, end_leaf, day, id DESC)
    SELECT checked_at, first_leaf, end_leaf, day, faults FROM newest
     WHERE cardinality(faults) > 0 OR id = (SELECT max(id) FROM recent) ORDER BY id DESC"""  # noqa: S608  # constants


class Log(NamedTuple):
    """The log at one moment.

    Attributes:
        size: leaves that are sealed.
        published: those of them that the newest checkpoint signs.
        counted: those that the roll-up has counted.
        waiting: events that no leaf is made of yet, MOST_WAITING at most.
        oldest: seconds since the first of these was requested; None: none waits.
        newest: when the last published run's last number was requested, so the checkpoint is about that old.
    """

    size: int
    published: int
    counted: int
    waiting: int
    oldest: float | None
    newest: datetime | None


class Space(NamedTuple):
    """What is used: serials of this shard, leased blocks counted whole, and bytes of the database."""

    serials: int
    database: int

    @property
    def share(self) -> float:
        """Of the shard's serials, 0 to 1."""
        return self.serials / SHARD_CAPACITY


class Check(NamedTuple):
    """A nightly check: of leaves, or of a day's counts."""

    checked_at: datetime
    first_leaf: int
    end_leaf: int
    day: datetime | None
    faults: list[str]


class Checks(NamedTuple):
    """The newest check, None if there was none yet, and those that failed."""

    newest: Check | None
    failed: list[Check]


def log() -> Log:
    """How the log stands; raises LogError and django.db.DatabaseError, as what follows does."""
    with connection.cursor() as cursor:
        cursor.execute(_LOG)
        found = cursor.fetchone()
    if found is None:
        raise LogError("The table rollup_state or tree_state has no row.")
    return Log(*found)


def space(shard: int) -> Space:
    """How much is used."""
    first = first_block(shard)
    with connection.cursor() as cursor:
        cursor.execute(_SPACE, [first, first + BLOCKS_PER_SHARD - 1])
        newest, size = cursor.fetchone()
    return Space(0 if newest is None else (newest + 1 - first) * BLOCK_SIZE, size)


def checks() -> Checks:
    """What the nightly checks found."""
    with connection.cursor() as cursor:
        cursor.execute(_CHECKS)
        found = [Check(*row) for row in cursor.fetchall()]
    return Checks(found[0] if found else None, [check for check in found if check.faults])
