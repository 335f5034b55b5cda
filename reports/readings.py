"""What the database says of log, roll-up, checks and space, for whoever scrapes: nine statements, and no scan."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.db import connection

from core import metrics
from core.metrics import Reading
from ledger.api import reads
from ledger.domain.serial import BLOCK_SIZE, BLOCKS_PER_SHARD, SHARD_CAPACITY, first_block
from ledger.standby import LOCK
from reports.console import state

_DAY: Final = 86_400.0

# Blocks are leased in the order of their ids, so the first of the last day is found by halving: 26 look-ups by the
# primary key, where an index by time would cost each lease something.
_LAST_DAY: Final = """
    WITH RECURSIVE search AS (
        SELECT min(id) AS low, max(id) + 1 AS high FROM number_block WHERE id BETWEEN %(first)s AND %(last)s
         UNION ALL
        SELECT CASE WHEN b.recent THEN low ELSE b.id + 1 END, CASE WHEN b.recent THEN b.id ELSE high END
          FROM search
         CROSS JOIN LATERAL (
               SELECT id, leased_at > clock_timestamp() - interval '1 day' AS recent FROM number_block
                WHERE id >= low + (high - low) / 2 ORDER BY id LIMIT 1) AS b
         WHERE low < high)
    SELECT (SELECT max(id) + 1 FROM number_block WHERE id BETWEEN %(first)s AND %(last)s) - min(high) FROM search"""
# A sealer holds the lock as long as its session lives (ledger.standby).
_SEALERS: Final = """
    SELECT count(*) FROM pg_locks
     WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2 AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
# A serial that a run skips makes this leaf look like one before it, older by less than a tick.
_UNCOUNTED: Final = """
    SELECT extract(epoch FROM clock_timestamp() - e.requested_at)
      FROM rollup_state p CROSS JOIN tree_state s
     CROSS JOIN LATERAL (
           SELECT first_leaf, first_serial FROM run WHERE first_leaf <= p.leaves ORDER BY first_leaf DESC LIMIT 1) AS r
     CROSS JOIN LATERAL (
           SELECT requested_at FROM issuance_event WHERE serial >= r.first_serial + p.leaves - r.first_leaf
            ORDER BY serial LIMIT 1) AS e
     WHERE p.leaves < s.size"""

_WITNESSES: Final = """
    SELECT count(*) FILTER (WHERE trouble IS NULL), coalesce(sum(failed), 0), count(alarm)
      FROM witness WHERE witness = ANY(%s)"""
# As above, of the first leaf that is published and not witnessed.
_UNWITNESSED: Final = """
    SELECT extract(epoch FROM clock_timestamp() - e.requested_at)
      FROM tree_state s
     CROSS JOIN LATERAL (
           SELECT first_leaf, first_serial FROM run WHERE first_leaf <= %(leaf)s ORDER BY first_leaf DESC LIMIT 1) AS r
     CROSS JOIN LATERAL (
           SELECT requested_at FROM issuance_event WHERE serial >= r.first_serial + %(leaf)s - r.first_leaf
            ORDER BY serial LIMIT 1) AS e
     WHERE %(leaf)s < s.published_size"""


def read() -> list[tuple[Reading, float]]:
    """All readings; of a coordinator its size, since each shard's own instances tell the rest.

    Raises:
        django.db.Error: the database can't be read.
        ledger.log.LogError: a table has no row that it must have.
    """
    if settings.ENV.coordinator:
        return [(metrics.DATABASE_SIZE, _one("SELECT pg_database_size(current_database())"))]
    return [*_log(), *_witnesses(), *_checks(), *_space()]


def _log() -> Iterator[tuple[Reading, float]]:
    log = state.log()
    now = datetime.now(UTC)
    yield metrics.TREE_SIZE, log.size
    yield metrics.PUBLISHED, log.published
    yield metrics.WAITING, log.waiting
    yield metrics.SEALER_LAG, max(0.0, float(log.oldest or 0))
    if log.newest is not None:
        yield metrics.CHECKPOINT_AGE, max(0.0, (now - log.newest).total_seconds())
    yield metrics.SEALERS, _one(_SEALERS, LOCK)
    yield metrics.ROLLUP_LAG, log.size - log.counted
    yield metrics.ROLLUP_LAG_SECONDS, max(0.0, _one(_UNCOUNTED))


def _witnesses() -> Iterator[tuple[Reading, float]]:
    policy = reads.policy(settings.ENV)
    if policy is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(_WITNESSES, [list(map(str, policy.keys))])
        answering, failures, alarms = cursor.fetchone()
        found = reads.witnessed(cursor.connection, settings.ENV)
    yield metrics.WITNESSES, len(policy.keys)
    yield metrics.WITNESSES_ANSWERING, answering
    yield metrics.WITNESS_FAILURES, failures
    yield metrics.WITNESS_ALARMS, alarms
    yield metrics.WITNESSED, 0 if found is None else found.size
    yield metrics.WITNESS_LAG, max(0.0, _one(_UNWITNESSED, {"leaf": 0 if found is None else found.size}))
    if found is not None:
        yield metrics.WITNESSED_AGE, max(0.0, datetime.now(UTC).timestamp() - found.cosigned_at)


def _checks() -> Iterator[tuple[Reading, float]]:
    checks = state.checks()
    if checks.newest is not None:
        yield metrics.CHECK_AGE, max(0.0, (datetime.now(UTC) - checks.newest.checked_at).total_seconds())
    yield metrics.CHECK_FAULTS, len(checks.failed)


def _space() -> Iterator[tuple[Reading, float]]:
    shard: int = settings.ENV.shard
    space = state.space(shard)
    first = first_block(shard)
    last_day = _one(_LAST_DAY, {"first": first, "last": first + BLOCKS_PER_SHARD - 1}) * BLOCK_SIZE
    yield metrics.SERIALS_USED, space.serials
    yield metrics.SERIALS, SHARD_CAPACITY
    yield metrics.SERIALS_LAST_DAY, last_day
    yield metrics.SERIALS_LEFT_SECONDS, forecast(SHARD_CAPACITY - space.serials, last_day)
    yield metrics.DATABASE_SIZE, space.database


def forecast(left: int, last_day: float) -> float:
    """Seconds until ``left`` serials are used up, if each day is as the last one; infinite where nothing was issued."""
    return left / last_day * _DAY if last_day else float("inf")


def _one(query: str, parameters: Sequence[int] | dict[str, int] | None = None) -> float:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found = cursor.fetchone()
    return 0.0 if found is None or found[0] is None else float(found[0])
