"""What the database says of log, roll-up, checks and space, for whoever scrapes: eleven statements, and no scan."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.db import connection

from core import metrics
from core.metrics import Reading
from issuance.domain.capacity import DAY, END
from ledger.api import reads
from ledger.domain.serial import SHARD_CAPACITY
from ledger.standby import LOCK
from reports.console import state

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
        return [(metrics.DATABASE_SIZE, state.database_size())]
    return [*_log(), *_witnesses(), *_checks(), *_space(), *_account()]


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
    space = state.space(settings.ENV.shard)
    yield metrics.SERIALS_USED, space.used
    yield metrics.SERIALS, SHARD_CAPACITY
    yield metrics.SERIALS_LAST_DAY, space.last_day
    yield metrics.SERIALS_LEFT_SECONDS, forecast(space.left, space.last_day)
    yield metrics.SERIALS_RUN_OUT, (space.runs_out(datetime.now(UTC)) or END).timestamp()
    yield metrics.DATABASE_SIZE, state.database_size()


def _account() -> Iterator[tuple[Reading, float]]:
    found = state.accounted()
    if found is None:
        return
    yield metrics.ISSUED_SERIALS, found.figures.issued
    yield metrics.BURNED, found.figures.burned
    yield metrics.HELD, found.figures.held
    yield metrics.ACCOUNT_AGE, max(0.0, (datetime.now(UTC) - found.counted_at).total_seconds())
    yield metrics.ACCOUNT_FAULTS, found.wrong


def forecast(left: int, last_day: float) -> float:
    """Seconds until ``left`` serials are used up, if each day is as the last one; infinite where nothing was issued."""
    return left / last_day * DAY if last_day else float("inf")


def _one(query: str, parameters: Sequence[int] | dict[str, int] | None = None) -> float:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found = cursor.fetchone()
    return 0.0 if found is None or found[0] is None else float(found[0])
