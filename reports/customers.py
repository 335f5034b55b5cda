"""What one customer was issued, counted up to the log's sealed head; one statement, so one moment."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from ledger.shards import coordinated
from reports import across, counted
from reports.counted import CUSTOMER, Counts, Period
from reports.daily import CELLS
from reports.export import Export


class By(StrEnum):
    """What events are counted by; a day is that of the moment when the service took the request."""

    DAY = "day"
    ROUTE = "route"
    WEIGHT_BAND = "weight_band"


_COUNT: Final = {
    By.DAY: counted.statement(CUSTOMER, "day"),
    By.ROUTE: counted.statement(CUSTOMER, "origin, destination"),
    By.WEIGHT_BAND: counted.statement(CUSTOMER, "weight_band"),
}
_CELLS: Final = counted.statement(CUSTOMER, CELLS)


_COUNT_ACROSS: Final = {By.DAY: across.BY_DAY, By.ROUTE: across.BY_ROUTE, By.WEIGHT_BAND: across.BY_WEIGHT_BAND}


def count(tags: Sequence[bytes], period: Period, by: By) -> Counts:
    """Count the events of whoever has one of ``tags``, the pseudonyms of one customer.

    The rows are in order of what is counted by: a day is a date, a route two codes of ISO 3166-1, a weight band its
    code.

    Raises:
        As ``reports.counted.ask``.
    """
    statements = _COUNT_ACROSS if coordinated() else _COUNT
    return counted.ask(statements[by], counted.given(period, tags=list(tags)))


def export(tags: Sequence[bytes], period: Period) -> Export:
    """The same by day, route and weight band, in this order, for a file of any length."""
    return Export(across.CUSTOMER_CELLS if coordinated() else _CELLS, counted.given(period, tags=list(tags)))
