"""A request on its way through the writer."""

from typing import TYPE_CHECKING

from uuid_utils import UUID

from issuance.domain.number import Numbering
from issuance.domain.order import Order
from ledger.domain.entry import Event
from ledger.domain.tag import Claim

if TYPE_CHECKING:
    from asyncio import Future

    from opentelemetry.trace import SpanContext


class Request:
    """One order on its way to a number.

    Attributes:
        requested_at: when the service took the request, microseconds of the Unix epoch.
        answer: its event, once that is durable.
        span: of its trace; there only where something is traced (issuance.traced).
        replayed: whether the event was issued before, under the same Idempotency-Key.
    """

    __slots__ = (
        *("answer", "claims", "customer_key_id", "customer_tag", "deadline", "event", "order", "principal"),
        *("replayed", "request_id", "requested_at", "span", "tries"),
    )

    def __init__(
        self,
        order: Order,
        *,
        customer: tuple[int, bytes],
        requested_at: int,
        request_id: UUID,
        principal: int | None = None,
        claims: tuple[Claim, ...] = (),
    ) -> None:
        self.order = order
        self.customer_key_id, self.customer_tag = customer
        self.requested_at = requested_at
        self.request_id = request_id
        self.principal = principal
        self.claims = claims
        self.replayed = False
        self.tries = 0
        self.deadline = 0.0
        self.event: Event
        self.answer: Future[Event]
        self.span: SpanContext

    def become_event(self, serial: int, numbering: Numbering) -> None:
        """Give the request its serial, and so its number."""
        order = self.order
        self.event = Event(
            number=numbering.encode(serial, order.origin, order.destination),
            serial=serial,
            customer_tag=self.customer_tag,
            customer_key_id=self.customer_key_id,
            origin=order.origin,
            destination=order.destination,
            weight_band=order.weight_band,
            order_created_at=order.created_at,
            requested_at=self.requested_at,
            request_id=self.request_id,
            principal=self.principal,
        )
