"""Daily reports as they are asked for, and what they must say: counted from the log's entries alone."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from ledger.domain.note import SignerKey
from reports import closing, rollup
from reports.rollup import MOST_LEAVES, Position
from reports.session import Turn, session, turn
from tests.plugin import LEDGER_KEY, Database
from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask
from tests.support.database.report_counts import documents

PATH = "/v1/reports/daily"

type Cell = tuple[str, str, str, int, int]
"""Day, origin, destination, weight band, count."""


def ask_reports(port: int, key: str, path: str = "", **headers: str) -> httpx.Response:
    """One request below the path of the daily reports; ``path`` may be a query."""
    return ask(port, PATH + path, **bearer(key), **headers)


def step(database: Database, most: int = MOST_LEAVES, *, zone: str = "UTC") -> Position:
    """Roll up by one step."""
    with session(database.reporter_url) as connection, turn(connection, Turn.COUNTING) as mine:
        assert mine
        return rollup.step(connection, zone, most)


def close(database: Database, now: str) -> dict[date, bytes]:
    """Roll up, and close the days that are over at a moment: the documents of their reports."""
    name = SignerKey.parse(LEDGER_KEY).verifier.name
    with session(database.reporter_url) as connection, turn(connection, Turn.COUNTING) as mine:
        assert mine
        closing.close_days(connection, "UTC", 0, name, datetime.fromisoformat(now))
    return {day: document.encode() for day, document in documents(database, "daily_report")}


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
