"""What the lane answered, by status: a plain dict, since looking for a metric costs more than to count."""

from collections import defaultdict
from typing import Final

from core import metrics
from issuance.issuer import PATH

ANSWERED: Final[defaultdict[int, int]] = defaultdict(int)
"""Answers since the last count, by status; the event loop's alone."""


def count() -> None:
    """Hand them on to the metric, on the event loop."""
    for status, number in ANSWERED.items():
        metrics.HTTP_REQUESTS.labels("GET", PATH, status).inc(number)
    ANSWERED.clear()
