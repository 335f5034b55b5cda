"""How the log, the roll-up, the space, the nightly checks and accounts stand, for the overview."""

from datetime import datetime
from typing import Final, NamedTuple

from django.db import connection

from issuance import capacity
from issuance.domain.account import Figures
from issuance.domain.capacity import Space
from ledger.domain.serial import BLOCK_BITS, BLOCK_SIZE
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
_ACCOUNT: Final = """
    SELECT counted_at, leased, issued, burned, held, wrong, faults FROM number_account ORDER BY id DESC LIMIT 1"""
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


class Accounted(NamedTuple):
    """What the newest accounting for numbers found."""

    counted_at: datetime
    figures: Figures
    wrong: int
    faults: list[str]


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
    """How many serials of a shard are used, and how fast."""
    with connection.cursor() as cursor:
        cursor.execute(capacity.STATEMENT, capacity.given(shard))
        return capacity.space(cursor.fetchone())


def database_size() -> int:
    """What the database takes on its disk, in bytes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        ((size,),) = cursor.fetchall()
    return int(size)


def accounted() -> Accounted | None:
    """What became of the leased serials, as far as is known; None: nobody has looked yet."""
    with connection.cursor() as cursor:
        cursor.execute(_ACCOUNT)
        found = cursor.fetchone()
    if found is None:
        return None
    counted_at, *figures, wrong, faults = found
    return Accounted(counted_at, Figures(*figures), wrong, faults)


def checks() -> Checks:
    """What the nightly checks found."""
    with connection.cursor() as cursor:
        cursor.execute(_CHECKS)
        found = [Check(*row) for row in cursor.fetchall()]
    return Checks(found[0] if found else None, [check for check in found if check.faults])
