"""A bulk call on its way through its writer."""

from collections.abc import Sequence
from typing import NamedTuple

from uuid_utils import UUID

from issuance.domain.number import Numbering
from issuance.domain.order import Order
from ledger.domain.entry import Event
from ledger.domain.tag import Claim


class Call(NamedTuple):
    """Orders that are issued together or not at all.

    Attributes:
        orders: 1 or more.
        customers: of each order, the key id and the tag.
        requested_at: when the service took the request, microseconds of the Unix epoch.
        request_id: of all its events, and of no other event's where we made it.
        principal: the id of the caller's API key.
        claims: of its Idempotency-Key, one for each live customer key; none where it has none.
    """

    orders: Sequence[Order]
    customers: Sequence[tuple[int, bytes]]
    requested_at: int
    request_id: UUID
    principal: int
    claims: Sequence[Claim]

    def event(self, position: int, serial: int, numbering: Numbering) -> Event:
        """The event of the order at ``position``, once it has a serial."""
        order = self.orders[position]
        key_id, tag = self.customers[position]
        return Event(
            number=numbering.encode(serial, order.origin, order.destination),
            serial=serial,
            customer_tag=tag,
            customer_key_id=key_id,
            origin=order.origin,
            destination=order.destination,
            weight_band=order.weight_band,
            order_created_at=order.created_at,
            requested_at=self.requested_at,
            request_id=self.request_id,
            principal=self.principal,
        )


class Issued(NamedTuple):
    """What became of a call.

    Attributes:
        events: in the order of its orders.
        replayed: whether they were issued before, under the same Idempotency-Key.
    """

    events: Sequence[Event]
    replayed: bool
