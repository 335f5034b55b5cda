"""What bulk issuing promises, for the OpenAPI document."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import (
    Direction,
    OpenApiExample,
    OpenApiRequest,
    OpenApiResponse,
    extend_schema_field,
)
from rest_framework import serializers

from core import problems
from core.contract import problem_responses
from issuance.bulk import PATH
from issuance.contract import (
    IDEMPOTENCY_KEY,
    ISSUED_EXAMPLE,
    RATE_LIMIT,
    REPLAYED,
    REQUEST_ID,
    REQUEST_ID_ANSWERED,
    IssuedSerializer,
)
from issuance.domain.bulk import MOST
from issuance.domain.parameters import LONGEST_TEXT


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "pattern": r"^[0-9]{1,4}(\.[0-9]{1,3})?$"},
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1000, "multipleOf": 0.001},
        ]
    }
)
class WeightField(serializers.Field[Any, Any, Any, Any]):
    """Text or number; either is read as it is written."""


class OrderSerializer(serializers.Serializer[Any]):
    """What a number is asked for: the query parameters of `/next-tracking-number` as the members of an object."""

    origin_country_id = serializers.RegexField("^[A-Za-z]{2}$", help_text="ISO 3166-1 alpha-2, or XK.")
    destination_country_id = serializers.RegexField("^[A-Za-z]{2}$", help_text="ISO 3166-1 alpha-2, or XK.")
    weight = WeightField(help_text="Kilograms: more than 0, at most 1000, up to three decimals; 1.5 and `1.5` alike.")
    created_at = serializers.DateTimeField(help_text="RFC 3339 with an offset, from 1970 to a day from now.")
    customer_id = serializers.UUIDField(help_text="It is kept as a keyed hash only.")
    customer_name = serializers.CharField(min_length=1, max_length=LONGEST_TEXT, help_text="Checked and not kept.")
    customer_slug = serializers.RegexField(
        "^[a-z0-9]+(-[a-z0-9]+)*$", max_length=LONGEST_TEXT, help_text="In kebab-case. Checked and not kept."
    )


class _OrderSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # its metaclass has no types
    """Says that an order has no other members, which a serializer can't."""

    target_class = OrderSerializer

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """The schema of an order."""
        return super().map_serializer(auto_schema, direction) | {"additionalProperties": False}


ISSUE_TRACKING_NUMBERS: dict[str, Any] = {
    "operation_id": "issue_tracking_numbers",
    "summary": "Issue many tracking numbers",
    "description": (
        f"Issues a number for each of 1 to {MOST:,} orders, all of them or none, and answers once all events are "
        "durable in the ledger, in the order given. What is wrong with an order is named by its index, such as "
        "`[17].weight`; 100 flaws are listed, and then how many more there are.\n\n"
        "With an `Idempotency-Key` a retry gets the same numbers again. A key that is bound to a customer issues for "
        "that customer alone."
    ),
    "tags": ["Issuing"],
    "parameters": [
        IDEMPOTENCY_KEY,
        REQUEST_ID,
        REPLAYED,
        REQUEST_ID_ANSWERED,
        *RATE_LIMIT,
    ],
    "request": {
        "application/json": OpenApiRequest(
            serializers.ListSerializer(child=OrderSerializer(), min_length=1, max_length=MOST),
            examples=[
                OpenApiExample(
                    "one order",
                    value={
                        "origin_country_id": "MY",
                        "destination_country_id": "ID",
                        "weight": "1.234",
                        "created_at": "2018-11-20T19:29:32+08:00",
                        "customer_id": "de619854-b59b-425e-9db4-943979e1bd49",
                        "customer_name": "RedBox Logistics",
                        "customer_slug": "redbox-logistics",
                    },
                )
            ],
        )
    },
    "responses": {
        (201, "application/json"): OpenApiResponse(
            IssuedSerializer(many=True),
            description="The numbers, durable in the ledger, in the order of the orders.",
            examples=[OpenApiExample("issued", value=ISSUED_EXAMPLE)],
        ),
        **problem_responses(
            PATH,
            problems.MALFORMED_BODY,
            problems.INVALID_PARAMETERS,
            problems.INVALID_HEADER,
            problems.UNAUTHORIZED,
            problems.MISSING_SCOPE,
            problems.OTHER_CUSTOMER,
            problems.LENGTH_REQUIRED,
            problems.BODY_TOO_LARGE,
            problems.UNSUPPORTED_MEDIA_TYPE,
            problems.ISSUES_ELSEWHERE,
            problems.IDEMPOTENCY_KEY_REUSED,
            problems.CALL_EXCEEDS_QUOTA,
            problems.QUOTA_EXCEEDED,
            problems.DATABASE_UNAVAILABLE,
            problems.OVERLOADED,
            problems.SHUTTING_DOWN,
            problems.ISSUING_REFUSED,
            problems.RESTORED_DATABASE,
        ),
    },
}
