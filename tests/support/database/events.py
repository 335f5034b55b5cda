"""The ledger's rows as events, read by a statement of the tests' own."""

from typing import Any

from uuid_utils import UUID

from ledger.domain.entry import Event

EVENTS = """
    SELECT number, serial, customer_tag, customer_key_id, origin, destination, weight_band,
           (extract(epoch FROM order_created_at) * 1000000)::bigint AS order_created_at,
           (extract(epoch FROM requested_at) * 1000000)::bigint AS requested_at, request_id::text, principal
      FROM issuance_event"""
"""All rows, as ``event`` takes them from a session that gives dicts."""


def event(row: dict[str, Any]) -> Event:
    """One row."""
    return Event(**row | {"request_id": UUID(row["request_id"])})
