"""What was issued on each day, counted up to the log's sealed head; one statement each, so one moment."""

from datetime import date, timedelta
from typing import Final, NamedTuple

from ledger.shards import ShardSize, coordinated
from reports import across, counted
from reports.counted import EVERYBODY, Period
from reports.domain.document import Count
from reports.export import Export

CELLS: Final = "day, origin, destination, weight_band"
"""What the tables of the roll-up count by."""

# A day has a row if it has events or a report. What the roll-up finds of a day that is closed it writes down as a
# correction, and what it has not reached will be one.
_DAYS: Final = counted.statement(
    EVERYBODY,
    "day",
    columns="day, coalesce(sum(count) FILTER (WHERE fresh), 0)::bigint AS fresh",
    rows="""
        SELECT day, r.day IS NOT NULL AS closed,
               CASE WHEN r.day IS NULL THEN 0
                    ELSE coalesce(c.fresh, 0)
                       + (SELECT coalesce(sum(total), 0)::bigint FROM daily_correction WHERE day = r.day)
                END AS corrections,
               coalesce(c.count, 0) AS total
          FROM counted c
          FULL JOIN (SELECT day FROM daily_report WHERE day BETWEEN %(first)s::date AND %(last)s::date) AS r USING (day)
        """,
)
_CELLS: Final = counted.statement(EVERYBODY, CELLS)
# A row has the keys that it is counted by, and null for the others.
_ALL: Final = counted.statement(
    EVERYBODY,
    "GROUPING SETS ((day), (origin, destination), (weight_band))",
    columns=CELLS,
    order="count DESC, 3, 4, 5, 6",
)


class Day(NamedTuple):
    """One day.

    Attributes:
        day: the day, one of REPORT_TIME_ZONE.
        closed: whether its report is written.
        corrections: numbers that were sealed after the report.
        total: all its numbers, these among them.
    """

    day: date
    closed: bool
    corrections: int
    total: int


class Route(NamedTuple):
    """The numbers of one route: two codes of ISO 3166-1."""

    origin: str
    destination: str
    numbers: int


class WeightBand(NamedTuple):
    """The numbers of one weight band, by its code."""

    code: int
    numbers: int


class Overview(NamedTuple):
    """All of these at one moment, counted over the first ``size`` leaves of the log."""

    size: int
    totals: dict[date, int]
    routes: list[Route]
    """The busiest first."""
    weight_bands: list[WeightBand]


class Cells(NamedTuple):
    """The numbers of one day by route and weight band, in this order, over the first ``size`` leaves."""

    size: int
    counts: tuple[Count, ...]
    shards: tuple[ShardSize, ...] = ()


class Days(NamedTuple):
    """Days in order, over the first ``size`` leaves; those with neither numbers nor a report are left out."""

    size: int
    days: list[Day]
    shards: tuple[ShardSize, ...] = ()


def listed(period: Period) -> Days:
    """The days of a period; raises as ``reports.counted.ask`` does, and so does all that follows."""
    found = counted.ask(across.DAYS if coordinated() else _DAYS, counted.given(period))
    return Days(found.size, [Day(*row) for row in found.rows], found.shards)


def overview(first: date, end: date, most: int) -> Overview:
    """The days from ``first`` on, up to and without ``end``, with their busiest routes, ``most`` at most, and bands.

    One statement, so the leaves that are not rolled up are read once.
    """
    found = counted.ask(_ALL, counted.given(Period(first, end)))
    totals: dict[date, int] = {}
    busiest: list[Route] = []
    bands: list[WeightBand] = []
    for day, origin, destination, band, count in found.rows:
        if day is not None:
            totals[day] = count
        elif band is not None:
            bands.append(WeightBand(band, count))
        elif len(busiest) < most:
            busiest.append(Route(origin, destination, count))
    return Overview(found.size, dict(sorted(totals.items())), busiest, sorted(bands))


def cells(day: date) -> Cells:
    """The numbers of one day."""
    period = Period(day, None if day == date.max else day + timedelta(days=1))
    found = counted.ask(across.DAY_CELLS if coordinated() else _CELLS, counted.given(period))
    return Cells(found.size, tuple(Count(*row[1:]) for row in found.rows), found.shards)


def export(period: Period) -> Export:
    """The numbers by day, route and weight band, in this order, for a file of any length."""
    return Export(across.DAY_CELLS if coordinated() else _CELLS, counted.given(period))
