"""Events as rows of PostgreSQL's binary COPY format: a tenth of the CPU that a driver takes for each column."""

import struct
from collections.abc import Iterable

from uuid_utils import UUID

from ledger.domain.entry import Event

COLUMNS = (
    "number, serial, customer_tag, customer_key_id, origin, destination, weight_band,"
    " order_created_at, requested_at, request_id, principal"
)
POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01T00:00:00Z in microseconds of the Unix epoch: where PostgreSQL's binary timestamps start."""

# Signature, flags, extension; then per row the field count, and per field length and value.
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_ROW = struct.Struct("!6s16s iq i32s ih i2s i2s ih iq iq i16s")
_START = struct.pack("!hi", 11, 16)
_NULL = struct.pack("!i", -1)
_BIGINT = struct.Struct("!iq")
_EIGHT = struct.pack("!i", 8)
_FRAME = (_START, 8, 32, 2, 2, 2, 2, 8, 8, 16)
"""What stands before the values: the field count with the first length, and the other lengths."""


class RowError(ValueError):
    """A row that no writer of ours has written."""


def row(event: Event) -> bytes:
    """One event as a row."""
    ordered, requested = event.order_created_at - POSTGRES_EPOCH, event.requested_at - POSTGRES_EPOCH
    fixed = _ROW.pack(
        *(_START, event.number.encode(), 8, event.serial, 32, event.customer_tag, 2, event.customer_key_id),
        *(2, event.origin.encode(), 2, event.destination.encode(), 2, event.weight_band),
        *(8, ordered, 8, requested, 16, event.request_id.bytes),
    )
    return fixed + (_NULL if event.principal is None else _BIGINT.pack(8, event.principal))


def event(data: bytes) -> Event:
    """One event from its row.

    Raises:
        RowError: a field has another length than ours have; someone got around the table's constraints.
    """
    try:
        fields = _ROW.unpack_from(data)
        principal = data[_ROW.size :]
        if fields[::2] != _FRAME or (principal != _NULL and principal[:4] != _EIGHT):
            raise RowError(f"A row has fields of other lengths than an event's: {data!r}.")
        number, serial, tag, key_id, origin, destination, band, ordered, requested, request_id = fields[1::2]
        return Event(
            number.decode("ascii"),
            serial,
            tag,
            key_id,
            origin.decode("ascii"),
            destination.decode("ascii"),
            band,
            ordered + POSTGRES_EPOCH,
            requested + POSTGRES_EPOCH,
            UUID(bytes=request_id),
            None if principal == _NULL else _BIGINT.unpack(principal)[1],
        )
    except (struct.error, UnicodeDecodeError) as error:
        raise RowError(f"A row is not that of an event: {data!r}.") from error


def stream(events: Iterable[Event]) -> bytes:
    """All that ``COPY … FROM STDIN (FORMAT BINARY)`` wants for some events."""
    return framed(map(row, events))


def framed(made: Iterable[bytes]) -> bytes:
    """The same for rows that are made already."""
    return b"".join((_HEADER, *made, _TRAILER))
