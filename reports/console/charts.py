"""Charts as data: what a page gives to charts.js, and to those who read the table in its place."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from ledger.domain import weight
from ledger.domain.weight import LABELS

MOST_ROUTES: Final = 10


class Chart(NamedTuple):
    """One chart of counts.

    Attributes:
        id: of the elements in the page.
        title: what it is of.
        head: what the table's first column has.
        kind: `bar`, upright, or `rows`, lying.
        rows: label and count.
        most: how many rows are shown at most, where there may be more.
    """

    id: str
    title: str
    head: str
    kind: str
    rows: Sequence[tuple[str, int]]
    most: int | None = None

    @property
    def note(self) -> str:
        """What stands beside the title."""
        if self.most is not None and len(self.rows) >= self.most:
            return f"the {self.most} busiest"
        return f"{self.total:,} in all"

    @property
    def data_id(self) -> str:
        """Of the element that has the data."""
        return f"{self.id}-data"

    @property
    def total(self) -> int:
        """The sum of all counts."""
        return sum(count for _, count in self.rows)

    @property
    def data(self) -> dict[str, Any]:
        """What charts.js reads."""
        return {"kind": self.kind, "labels": [row[0] for row in self.rows], "values": [row[1] for row in self.rows]}


def by_day(first: date, end: date, totals: dict[date, int]) -> Chart:
    """Each day from ``first`` to the one before ``end``; those without a number too."""
    days = [first + timedelta(days=day) for day in range((end - first).days)]
    return Chart("by-day", "Issued by day", "Day", "bar", [(str(day), totals.get(day, 0)) for day in days])


def by_route(routes: Iterable[tuple[str, str, int]]) -> Chart:
    """Routes, the busiest first and MOST_ROUTES at most."""
    rows = [(f"{origin} → {to}", count) for origin, to, count in routes]
    return Chart("by-route", "Top routes", "Route", "rows", rows, MOST_ROUTES)


def by_weight_band(bands: Iterable[tuple[int, int]]) -> Chart:
    """All weight bands, from the lightest to the heaviest."""
    counts = dict(bands)
    rows = [(weight.label(code), counts.get(code, 0)) for code in range(len(LABELS))]
    return Chart("by-weight", "Weight bands", "Weight", "rows", rows)
