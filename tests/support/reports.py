"""Reports for tests: leaves rolled up by hand, days closed, and what must be said of them, by the entries alone."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import psycopg

from ledger.domain.note import SignerKey
from reports import rollup
from reports.domain.document import Count, Report
from reports.rollup import MOST_LEAVES, Position
from reports.session import Turn, session, turn
from tests.plugin import LEDGER_KEY, Database
from tests.support.keys import bearer
from tests.support.web import ask

PATH = "/v1/reports/daily"

type Cell = tuple[str, str, str, int, int]
"""Day, origin, destination, weight band, count."""


def ask_reports(port: int, key: str, path: str = "", **headers: str) -> httpx.Response:
    """One request below the path of the daily reports; ``path`` may be a query."""
    return ask(port, PATH + path, **bearer(key), **headers)


def roll_up(database: Database, *, steps: int | None = None, most: int = MOST_LEAVES, zone: str = "UTC") -> Position:
    """Roll up to the sealed head, or some steps on."""
    with session(database.reporter_url) as connection, turn(connection, Turn.COUNTING) as mine:
        assert mine
        position = rollup.position(connection)
        while position.leaves < position.size and steps != 0:
            position = rollup.step(connection, zone, most)
            steps = None if steps is None else steps - 1
        return position


def close(database: Database, day: date, *, zone: str = "UTC") -> Report:
    """Write the report of a day, of what is rolled up."""
    with psycopg.connect(database.owner_url) as connection:
        tree = connection.execute("SELECT published_size, published_root, published_signature FROM tree_state")
        found = tree.fetchone()
        assert found is not None
        counts = connection.execute(
            "SELECT origin, destination, weight_band, count FROM daily_total WHERE day = %s ORDER BY 1, 2, 3", [day]
        )
        name = SignerKey.parse(LEDGER_KEY).verifier.name
        report = Report(day, zone, name, *found, tuple(Count(*row) for row in counts))
        connection.execute(
            "INSERT INTO daily_report (day, size, total, root, signature, digest, document)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [day, report.size, report.total, report.root, report.signature, report.digest, report.document.decode()],
        )
        return report


def cells(log: Iterable[dict[str, Any]], zone: str = "UTC") -> list[Cell]:
    """What entries of the log come to, in order."""
    of = ZoneInfo(zone)
    counted = Counter(
        (
            datetime.fromisoformat(entry["requested_at"]).astimezone(of).date().isoformat(),
            *(entry["origin"], entry["destination"], entry["weight_band"]),
        )
        for entry in log
    )
    return [(*cell, count) for cell, count in sorted(counted.items())]
