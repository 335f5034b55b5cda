"""The varied orders that every target is asked for: the same ones, from one seed."""

import random
import uuid
from itertools import accumulate
from pathlib import Path
from urllib.parse import quote

import pycountry

SEED = 20261122
CUSTOMERS = 2_000
ROUTES = 60
DRAWS = 65_536
"""Pairs of route and customer drawn beforehand, so that no generator spends time on the distribution."""

_WORDS = ("red", "box", "blue", "parcel", "swift", "harbour", "orchid", "lotus", "cargo", "river", "summit", "pearl")


def countries() -> list[str]:
    """Assigned ISO 3166-1 alpha-2 codes, and XK, in order."""
    return sorted({country.alpha_2 for country in pycountry.countries} | {"XK"})


def routes(count: int) -> list[tuple[str, str]]:
    """``count`` different (origin, destination) pairs; the busiest first."""
    codes = countries()
    pairs = [(origin, destination) for origin in codes for destination in codes if origin != destination]
    chosen = random.Random(SEED).sample(pairs, count)  # noqa: S311 - a load, not a secret
    return [("MY", "ID"), *(pair for pair in chosen if pair != ("MY", "ID"))][:count]


def skewed(count: int, draws: int, seed: int = SEED) -> list[int]:
    """``draws`` indices below ``count``, the k-th with a weight of 1/(k + 1) (Zipf's law)."""
    weights = list(accumulate(1 / (rank + 1) for rank in range(count)))
    return random.Random(seed).choices(range(count), cum_weights=weights, k=draws)  # noqa: S311 - a load


def customers(count: int = CUSTOMERS) -> list[tuple[uuid.UUID, str, str]]:
    """``count`` customers: id, name, slug."""
    source = random.Random(SEED)  # noqa: S311 - a load, not a secret
    made = []
    for number in range(count):
        words = [*source.sample(_WORDS, 2), str(number)]
        name = " ".join(word.capitalize() for word in words)
        made.append((uuid.UUID(int=source.getrandbits(128), version=4), name, "-".join(words)))
    return made


def write(path: Path) -> None:
    """Write what the generators read: a line ``routes customers draws``, then one line each, percent-encoded.

    A route or customer is a piece of query string; a draw is two indices, counted from 1.
    """
    lines = [f"{ROUTES} {CUSTOMERS} {DRAWS}"]
    lines += [f"origin_country_id={origin}&destination_country_id={there}" for origin, there in routes(ROUTES)]
    lines += [
        f"customer_id={customer}&customer_name={quote(name)}&customer_slug={slug}"
        for customer, name, slug in customers()
    ]
    drawn = zip(skewed(ROUTES, DRAWS), skewed(CUSTOMERS, DRAWS, SEED + 1), strict=True)
    lines += [f"{route + 1} {customer + 1}" for route, customer in drawn]
    path.write_text("\n".join(lines) + "\n")
