"""The one place that inserts issuance events: a batch is one COPY, so all of it is durable or none."""

from collections.abc import Iterable, Sequence

from uuid_utils import UUID

from core.session import Session
from ledger import rows
from ledger.domain.entry import Event

_COPY = f"COPY issuance_event ({rows.COLUMNS}) FROM STDIN (FORMAT BINARY)".encode()


async def append(session: Session, events: Iterable[Event]) -> None:
    """Append events; outside a transaction they are durable when this returns.

    Raises:
        core.session.StatementError: refused, nothing was appended.
        core.session.SessionLostError: outcome unknown.
    """
    await session.copy(_COPY, rows.stream(events))


async def present(session: Session, numbers: Sequence[str]) -> set[str]:
    """Those of ``numbers`` that the ledger holds."""
    found = await session.execute(
        b"SELECT number FROM issuance_event WHERE number = ANY($1::text[])",
        [b"{" + ",".join(numbers).encode() + b"}"],
    )
    return {number.decode() for (number,) in found if number is not None}


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
