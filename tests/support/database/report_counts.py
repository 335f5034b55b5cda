"""What the roll-up has counted, and what it must have: one GROUP BY over the events, or Python's own calendar."""

from collections import Counter
from datetime import date
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import psycopg

from reports import rollup
from reports.session import Turn, session, turn
from tests.plugin import Database
from tests.support.processes.proc import eventually

type Counts = dict[tuple[Any, ...], int]

_USAGE = "SELECT day, customer_tag, origin, destination, weight_band, count FROM daily_usage"
_TOTAL = "SELECT day, origin, destination, weight_band, count FROM daily_total"
# The leaves by the runs alone, one by one: not as the roll-up finds them.
_LEAVES = """
    SELECT e.requested_at, e.customer_tag, e.origin, e.destination, e.weight_band
      FROM issuance_event e
     WHERE EXISTS (SELECT FROM run r WHERE e.serial BETWEEN r.first_serial AND r.last_serial)"""

_OTHERS = """
    SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"""


class Counted(NamedTuple):
    """Counts by day, customer, route and weight band, and without the customer."""

    usage: Counts
    total: Counts


def counted(database: Database) -> Counted:
    """What the tables have."""
    with psycopg.connect(database.owner_url) as connection:
        return Counted(
            *({row[:-1]: row[-1] for row in connection.execute(statement.encode())} for statement in (_USAGE, _TOTAL))
        )


def expected(database: Database, zone: str = "UTC") -> Counted:
    """What they must have of all leaves that there are, by the days of Python's time zones."""
    calendar = ZoneInfo(zone)
    usage: Counter[tuple[Any, ...]] = Counter()
    with psycopg.connect(database.owner_url) as connection:
        for moment, *rest in connection.execute(_LEAVES):
            usage[moment.astimezone(calendar).date(), *rest] += 1
    total: Counter[tuple[Any, ...]] = Counter()
    for (day, _, *rest), count in usage.items():
        total[day, *rest] += count
    return Counted(dict(usage), dict(total))


def roll_up(database: Database, zone: str = "UTC", most: int = rollup.MOST_LEAVES) -> int:
    """Count all there is, and say in how many steps."""
    with session(database.reporter_url) as connection, turn(connection, Turn.COUNTING) as mine:
        assert mine
        steps = 0
        place = rollup.position(connection)
        while place.leaves < place.size:
            place = rollup.step(connection, zone, most)
            steps += 1
        return steps


def position(database: Database) -> int:
    """How many leaves are counted."""
    with psycopg.connect(database.owner_url) as connection:
        return rollup.position(connection).leaves


def documents(database: Database, table: str) -> list[tuple[date, str]]:
    """Day and document of each row of ``daily_report`` or ``daily_correction``, in order."""
    with psycopg.connect(database.owner_url) as connection:
        return connection.execute(f"SELECT day, document FROM {table} ORDER BY created_at, day".encode()).fetchall()


def checks(database: Database) -> list[tuple[int, int, date | None, list[str]]]:
    """First leaf, end, day and faults of all that was checked, in order."""
    with psycopg.connect(database.owner_url) as connection:
        return connection.execute("SELECT first_leaf, end_leaf, day, faults FROM ledger_check ORDER BY id").fetchall()


def pages(superuser: "psycopg.Connection[tuple[Any, ...]]") -> dict[str, int]:
    """Pages of each table that were looked at so far, by a session that is left alone in its database.

    Others tell when they end, also one that fills and one that vacuums by itself, so that is waited for.
    """
    assert eventually(lambda: superuser.execute(_OTHERS.encode()).fetchone() == (0,))
    superuser.execute("SELECT pg_stat_force_next_flush()")  # what it read itself, too
    superuser.execute("SELECT pg_stat_clear_snapshot()")
    return dict(
        superuser.execute("SELECT relname, heap_blks_read + heap_blks_hit FROM pg_statio_user_tables").fetchall()
    )
