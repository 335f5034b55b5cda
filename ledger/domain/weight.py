"""Weight bands: what the ledger keeps of a parcel's weight, so that an event does not tell one parcel from another."""

from bisect import bisect_left
from itertools import pairwise

BOUNDS = (100, 250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 70_000)
"""Upper bounds in grams, inclusive. Bands are stored by their place here, so a bound may never change."""

HIGHEST = len(BOUNDS)
"""The band above the last bound."""

LABELS = (
    f"up to {BOUNDS[0] / 1000:g} kg",
    *(f"over {low / 1000:g} to {high / 1000:g} kg" for low, high in pairwise(BOUNDS)),
    f"over {BOUNDS[-1] / 1000:g} kg",
)


def band(grams: int) -> int:
    """The band, 0 to HIGHEST, of a weight in whole grams; ValueError unless it is more than 0."""
    if grams <= 0:
        raise ValueError(f"A parcel weighs more than 0 g, not {grams}.")
    return bisect_left(BOUNDS, grams)


def label(code: int) -> str:
    """What a person reads for a stored band; ValueError for a code that is none."""
    if not 0 <= code <= HIGHEST:
        raise ValueError(f"Weight bands go from 0 to {HIGHEST}; {code} is none.")
    return LABELS[code]
