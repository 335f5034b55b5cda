"""The roll-up on a real ledger: each leaf is counted once, in leaf order, whatever the position lies in."""

import pytest

from reports import rollup
from reports.session import Turn, session, turn
from tests.plugin import Database
from tests.support.filling import fill

EVENTS = 20_000
_BY_DAY = """
    SELECT (requested_at AT TIME ZONE 'UTC')::date, customer_tag, origin, destination, weight_band, count(*)
      FROM issuance_event GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"""


def test_steps_of_any_size_count_what_one_group_by_counts(database: Database) -> None:
    fill(database, EVENTS, moment="timestamptz '2026-01-01T00:00:00Z' + i * interval '20 s'")
    with session(database.reporter_url) as connection, turn(connection, Turn.COUNTING) as mine:
        assert mine
        size = rollup.position(connection).size
        steps = 0
        while rollup.position(connection).leaves < size:
            rollup.step(connection, "UTC", 3000)
            steps += 1
        assert steps >= EVENTS // 3000, "a step ends where a run ends"
        assert rollup.step(connection, "UTC") == (size, size)
        used = connection.execute(
            "SELECT day, customer_tag, origin, destination, weight_band, count FROM daily_usage ORDER BY 1, 2, 3, 4, 5"
        ).fetchall()
        assert used == connection.execute(_BY_DAY).fetchall()
        assert len({row[0] for row in used}) == 5
        with pytest.raises(rollup.ZoneError, match="rebuild_reports"):
            rollup.step(connection, "Europe/Paris")
