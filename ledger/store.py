"""The one place that inserts issuance events: a batch is one COPY, so all of it is durable or none."""

import struct
from collections.abc import Iterable, Sequence

from uuid_utils import UUID

from core.session import Session
from ledger.domain.entry import Event

POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01T00:00:00Z in microseconds of the Unix epoch: where PostgreSQL's binary timestamps start."""

_COPY = (
    b"COPY issuance_event (number, serial, customer_tag, customer_key_id, origin, destination, weight_band,"
    b" order_created_at, requested_at, request_id, principal) FROM STDIN (FORMAT BINARY)"
)
# PostgreSQL's binary COPY: signature, flags, extension; then per row the field count, and per field length and value.
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_ROW = struct.Struct("!h i16s iq i32s ih i2s i2s ih iq iq i16s")
_NULL = struct.pack("!i", -1)
_BIGINT = struct.Struct("!iq")


def row(event: Event) -> bytes:
    """One event as a row of PostgreSQL's binary COPY format."""
    ordered, requested = event.order_created_at - POSTGRES_EPOCH, event.requested_at - POSTGRES_EPOCH
    fixed = _ROW.pack(
        *(11, 16, event.number.encode(), 8, event.serial, 32, event.customer_tag, 2, event.customer_key_id),
        *(2, event.origin.encode(), 2, event.destination.encode(), 2, event.weight_band),
        *(8, ordered, 8, requested, 16, event.request_id.bytes),
    )
    return fixed + (_NULL if event.principal is None else _BIGINT.pack(8, event.principal))


async def append(session: Session, events: Iterable[Event]) -> None:
    """Append events; outside a transaction they are durable when this returns.

    Raises:
        core.session.StatementError: refused, nothing was appended.
        core.session.SessionLostError: outcome unknown.
    """
    await session.copy(_COPY, b"".join((_HEADER, *map(row, events), _TRAILER)))


async def present(session: Session, numbers: Sequence[str]) -> set[str]:
    """Those of ``numbers`` that the ledger holds."""
    rows = await session.execute(
        b"SELECT number FROM issuance_event WHERE number = ANY($1::text[])",
        [b"{" + ",".join(numbers).encode() + b"}"],
    )
    return {number.decode() for (number,) in rows if number is not None}


def from_text(fields: Sequence[bytes | None]) -> Event:
    """An event from the text form of its columns, in the order of Event's fields, times as microseconds."""
    number, serial, tag, key_id, origin, destination, band, order_at, requested_at, request_id, principal = (
        "" if field is None else field.decode() for field in fields
    )
    return Event(
        number=number,
        serial=int(serial),
        customer_tag=bytes.fromhex(tag.removeprefix("\\x")),
        customer_key_id=int(key_id),
        origin=origin,
        destination=destination,
        weight_band=int(band),
        order_created_at=int(order_at),
        requested_at=int(requested_at),
        request_id=UUID(request_id),
        principal=int(principal) if principal else None,
    )
