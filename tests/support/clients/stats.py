"""A customer's statistics as they are asked for, and as an auditor counts them: from the log's entries alone."""

import hmac
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import httpx

from ledger.domain import bundle
from ledger.domain.weight import LABELS
from tests.logs import LOGS
from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask
from tests.support.processes.secret_keys import TAG_KEY

KEY = bytes.fromhex(TAG_KEY)
"""The key of the pseudonyms, as tests.plugin sets it."""
BUNDLE = 256


def path(customer: str, query: str = "") -> str:
    """The path of a customer's statistics."""
    LOGS.know(customer)
    return f"/v1/customers/{customer}/stats" + (f"?{query}" if query else "")


def tag(customer: str) -> bytes:
    """The customer's pseudonym under that key."""
    return hmac.digest(KEY, UUID(customer).bytes, "sha256")


def ask_stats(port: int, customer: str, key: str, query: str = "") -> httpx.Response:
    """One request for a customer's statistics."""
    return ask(port, path(customer, query), **bearer(key))


def entries(port: int, auditor: str, size: int) -> list[dict[str, Any]]:
    """The first ``size`` entries of the log, as it serves them to an auditor."""
    found: list[dict[str, Any]] = []
    for position in range(-(-size // BUNDLE)):
        width = min(BUNDLE, size - position * BUNDLE)
        partial = "" if width == BUNDLE else f".p/{width}"
        response = ask(port, f"/tile/entries/{position:03}{partial}", **bearer(auditor))
        assert response.status_code == 200, response.text
        found += map(json.loads, bundle.read(response.content))
    assert len(found) == size
    return found


def counted(log: Iterable[dict[str, Any]], customer: str, by: str) -> list[dict[str, Any]]:
    """The rows that the service must answer for a log of these entries."""
    pseudonym = tag(customer).hex()
    own = [entry for entry in log if entry["customer_tag"] == pseudonym]
    if by == "day":
        days = Counter(entry["requested_at"][:10] for entry in own)
        return [{"day": day, "count": count} for day, count in sorted(days.items())]
    if by == "route":
        routes = Counter((entry["origin"], entry["destination"]) for entry in own)
        return [
            {"origin_country_id": origin, "destination_country_id": destination, "count": count}
            for (origin, destination), count in sorted(routes.items())
        ]
    bands = Counter(entry["weight_band"] for entry in own)
    return [
        {"weight_band": LABELS[code], "weight_band_code": code, "count": count} for code, count in sorted(bands.items())
    ]
