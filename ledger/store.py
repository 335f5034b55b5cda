"""The one place that inserts issuance events: a batch is one COPY, so all of it is durable or none."""

from collections.abc import Iterable, Sequence

from uuid_utils import UUID

from core.session import Session
from ledger import rows
from ledger.domain.entry import Event

COLUMNS_AS_TEXT = b"""
    event.number, event.serial, event.customer_tag, event.customer_key_id, event.origin, event.destination,
    event.weight_band, (extract(epoch FROM event.order_created_at) * 1000000)::bigint,
    (extract(epoch FROM event.requested_at) * 1000000)::bigint, event.request_id, event.principal"""
"""What ``from_text`` reads, of a table that is called ``event``."""

_COPY = f"COPY issuance_event ({rows.COLUMNS}) FROM STDIN (FORMAT BINARY)".encode()
_BETWEEN = b"SELECT %b FROM issuance_event AS event WHERE serial BETWEEN $1 AND $2 ORDER BY serial" % COLUMNS_AS_TEXT


async def append(session: Session, events: Iterable[Event]) -> None:
    """Append events; outside a transaction they are durable when this returns.

    Raises:
        core.session.StatementError: refused, nothing was appended.
        core.session.SessionLostError: outcome unknown.
    """
    await append_rows(session, map(rows.row, events))


async def append_rows(session: Session, made: Iterable[bytes]) -> None:
    """The same for events that are rows already (ledger.rows.row)."""
    await session.copy(_COPY, rows.framed(made))


async def present(session: Session, numbers: Sequence[str]) -> set[str]:
    """Those of ``numbers`` that the ledger holds."""
    found = await session.execute(
        b"SELECT number FROM issuance_event WHERE number = ANY($1::text[])",
        [b"{" + ",".join(numbers).encode() + b"}"],
    )
    return {number.decode() for (number,) in found if number is not None}


async def between(session: Session, first: int, last: int) -> list[Event]:
    """The events with serials from ``first`` to ``last``, in that order."""
    return [from_text(row) for row in await session.execute(_BETWEEN, [b"%d" % first, b"%d" % last])]


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
