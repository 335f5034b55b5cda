"""The overview: what was issued, how the log stands, what space is left, what nightly check and accounting found."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from issuance.domain.capacity import MONTH, Space
from ledger.domain.serial import SHARD_CAPACITY
from reports import counted, daily
from reports.console import charts, state
from reports.console.charts import MOST_ROUTES
from reports.console.frame import page, render, zone
from reports.console.state import MOST_WAITING, Accounted, Log

_DAYS: Final = 30
_WEEK: Final = 7
_SLOW: Final = 10.0
"""Seconds that an event may wait for the sealer before the page says that something is wrong; it takes one at most."""
_ENOUGH: Final = 10_000
"""Numbers, below which the database is mostly what it was when it was empty."""


@page
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show it."""
    today = counted.today()
    first, end = today - timedelta(days=_DAYS - 1), today + timedelta(days=1)
    found = daily.overview(first, end, MOST_ROUTES)
    log, checks = state.log(), state.checks()
    database = state.database_size()
    totals = found.totals
    week = sum(totals.get(today - timedelta(days=day), 0) for day in range(_WEEK))
    return render(
        request,
        "home.html",
        "Overview",
        zone=zone(),
        issued=[
            ("today", "Today", f"{totals.get(today, 0):,}"),
            ("week", "7 days", f"{week:,}"),
            ("month", "30 days", f"{sum(totals.values()):,}"),
        ],
        charts=[
            charts.by_day(first, end, totals),
            charts.by_route(found.routes),
            charts.by_weight_band(found.weight_bands),
        ],
        log=_log(log),
        serials=_serials(state.space(settings.ENV.shard), state.accounted()),
        database=_database(database, log.size, _rate(totals, today)),
        checks=checks,
    )


def _rate(totals: dict[date, int], today: date) -> float:
    """Numbers a day, of the last seven whole days, or of as many as there were."""
    days = [day for day in totals if today - timedelta(days=_WEEK) <= day < today]
    if not days:
        return float(totals.get(today, 0))
    return sum(totals[day] for day in days) / (today - min(days)).days


def _log(log: Log) -> dict[str, Any]:
    return {
        "size": f"{log.published:,}",
        "newest": log.newest,
        "waiting": f"{log.waiting:,}{' or more' if log.waiting == MOST_WAITING else ''}",
        "oldest": None if log.oldest is None else max(0, round(log.oldest)),
        "slow": log.oldest is not None and log.oldest > _SLOW,
        "uncounted": f"{log.size - log.counted:,}",
        "unpublished": f"{log.size - log.published:,}",
    }


def _serials(space: Space, found: Accounted | None) -> dict[str, Any]:
    runs_out = space.runs_out(datetime.now(UTC))
    return {
        "used": f"{space.used:,}",
        "percent": space.percent,
        "capacity": f"{SHARD_CAPACITY:,}",
        "rate": f"{space.rate:,.0f}" if space.rate else None,
        "month": MONTH,
        "runs_out": None if runs_out is None else f"{runs_out:%Y-%m-%d}",
        "found": found,
        "figures": None if found is None else {name: f"{each:,}" for name, each in found.figures._asdict().items()},
    }


def _database(used: int, leaves: int, rate: float) -> dict[str, Any]:
    """``used``: bytes; ``rate``: numbers a day."""
    each = used / leaves if leaves >= _ENOUGH else None
    return {
        "size": size(used),
        "each": None if each is None else f"{each:,.0f}",
        "yearly": size(each * rate * 365.25) if each and rate else None,
    }


def size(count: float) -> str:
    """Bytes as people read them."""
    units = ["bytes", "KB", "MB", "GB", "TB", "PB"]
    while count >= 1000 and len(units) > 1:  # noqa: PLR2004  # SI
        count /= 1000
        del units[0]
    return f"{count:.0f} {units[0]}" if count >= 100 else f"{count:.3g} {units[0]}"  # noqa: PLR2004
