"""The operations of the contract that are still to come; whatever tests them comes into force with them."""

from typing import Final

PENDING: Final = frozenset(
    {
        "GET /v1/tracking-numbers",
        "POST /v1/tracking-numbers",
        "GET /v1/tracking-numbers/{number}",
        "GET /v1/tracking-numbers/{number}/barcode.svg",
        "GET /v1/tracking-numbers/{number}/barcode.png",
        "GET /v1/validate/{number}",
        "GET /v1/customers/{customer_id}/stats",
    }
)
"""A test fails when one of them is in the schema: whoever brings it takes it out of here."""
