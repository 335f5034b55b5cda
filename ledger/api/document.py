"""An event in JSON, as auditors read it."""

from typing import Self

import msgspec

from ledger.domain import entry, weight
from ledger.domain.entry import Event


class EventDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer about an event has, in this order."""

    tracking_number: str
    created_at: str
    order_created_at: str
    origin_country_id: str
    destination_country_id: str
    weight_band: str
    weight_band_code: int
    customer_key_id: int
    customer_tag: str
    principal: int | None
    request_id: str
    leaf_index: int | None
    leaf_hash: str

    @classmethod
    def of(cls, event: Event, leaf_index: int | None, leaf_hash: bytes, **more: object) -> Self:
        """That of an event; ``more`` is what the kind of answer has beside it.

        Raises:
            ValueError, OverflowError: the event is not one that a writer of ours has written.
        """
        return cls(
            tracking_number=event.number,
            created_at=entry.timestamp(event.requested_at),
            order_created_at=entry.timestamp(event.order_created_at),
            origin_country_id=event.origin,
            destination_country_id=event.destination,
            weight_band=weight.label(event.weight_band),
            weight_band_code=event.weight_band,
            customer_key_id=event.customer_key_id,
            customer_tag=event.customer_tag.hex(),
            principal=event.principal,
            request_id=str(event.request_id),
            leaf_index=leaf_index,
            leaf_hash=leaf_hash.hex(),
            **more,
        )
