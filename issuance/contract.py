"""What the issuance endpoint promises, for the OpenAPI document."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from core import problems
from core.contract import EXAMPLE_ID, problem_responses
from issuance.domain.parameters import LONGEST_TEXT


class LinksSerializer(serializers.Serializer[Any]):
    """Paths of what belongs to the number."""

    self = serializers.CharField(help_text="The event, for auditors.")
    proof = serializers.CharField(help_text="The offline proof of inclusion.")


class IssuedSerializer(serializers.Serializer[Any]):
    """A number that was issued, and is in the ledger."""

    tracking_number = serializers.RegexField("^[A-Z0-9]{1,16}$", help_text="16 characters, never issued before.")
    created_at = serializers.DateTimeField(help_text="When the service took the request: UTC, six fraction digits.")
    origin_country_id = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    destination_country_id = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    weight_band = serializers.CharField(help_text="The band that the weight falls in; the weight itself is not kept.")
    request_id = serializers.UUIDField(help_text="The X-Request-ID that the number was issued under.")
    leaf_hash = serializers.RegexField(
        "^[0-9a-f]{64}$",
        help_text="RFC 6962 leaf hash of the event: commits the service to it before it is in the log.",
    )
    links = LinksSerializer()
    entry = serializers.CharField(
        required=False, help_text="The exact bytes that leaf_hash is of; with a key bound to the customer alone."
    )


def _query(
    name: str, description: str, examples: dict[str, Any], kind: Any = OpenApiTypes.STR, **schema: Any
) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        ({"type": "string"} | schema) if schema else kind,
        OpenApiParameter.QUERY,
        required=True,
        description=description,
        examples=[OpenApiExample(title, value=value) for title, value in examples.items()],
    )


def _header(name: str, description: str, **schema: Any) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "string"} | schema, OpenApiParameter.HEADER, description=description)


IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "Makes a retry safe: the same key and parameters give the same number.",
    pattern=r"^[!-+\--~]{1,255}$",
)
REQUEST_ID = _header("X-Request-ID", "Names this request, if it is a UUID; else the service makes a UUIDv7.")
REPLAYED = OpenApiParameter(
    "Idempotency-Replayed",
    {"type": "string", "enum": ["true"]},
    OpenApiParameter.HEADER,
    response=[200, 201],
    description="Present where the number was issued before, under the same Idempotency-Key.",
)
REQUEST_ID_ANSWERED = OpenApiParameter(
    "X-Request-ID", OpenApiTypes.UUID, OpenApiParameter.HEADER, response=[200, 201], description="The request's id."
)
_TOLD = [200, 201, 400, 403, 413, 422, 429, 503]
"""The answers after a quota was looked at, among others with the same status."""
RATE_LIMIT = (
    OpenApiParameter(
        "RateLimit-Policy",
        {"type": "string", "examples": ['"address";q=600;w=60']},
        OpenApiParameter.HEADER,
        response=_TOLD,
        description=(
            "Where there is a quota: what it is counted by (`address` or `key`), and how many numbers `q` there are in "
            "`w` seconds (draft-ietf-httpapi-ratelimit-headers-11)."
        ),
    ),
    OpenApiParameter(
        "RateLimit",
        {"type": "string", "examples": ['"address";r=599;t=1']},
        OpenApiParameter.HEADER,
        response=_TOLD,
        description="How many numbers `r` are left of it, as far as is known, and in how many seconds `t` come more.",
    ),
)
ISSUED_EXAMPLE = {
    "tracking_number": "3K9M7QX2PZ4MYIDT",
    "created_at": "2026-11-22T21:23:38.635500Z",
    "origin_country_id": "MY",
    "destination_country_id": "ID",
    "weight_band": "over 1 to 2 kg",
    "request_id": EXAMPLE_ID,
    "leaf_hash": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "links": {
        "self": "/v1/tracking-numbers/3K9M7QX2PZ4MYIDT",
        "proof": "/v1/tracking-numbers/3K9M7QX2PZ4MYIDT/proof",
    },
}
NEXT_TRACKING_NUMBER: dict[str, Any] = {
    "operation_id": "next_tracking_number",
    "summary": "Issue a tracking number",
    "description": (
        "Issues one number for one parcel, and answers once the event is durable in the ledger.\n\n"
        "**Every request issues**, although it is a GET: it is never cached, a browser's prefetch is refused, and "
        "reports count issuances, not orders. With an `Idempotency-Key` a retry gets the same number again."
    ),
    "tags": ["Issuing"],
    "parameters": [
        _query(
            "origin_country_id",
            "Where the parcel starts: ISO 3166-1 alpha-2, or XK.",
            {"Malaysia": "MY"},
            pattern="^[A-Za-z]{2}$",
        ),
        _query(
            "destination_country_id",
            "Where it goes: ISO 3166-1 alpha-2, or XK.",
            {"Indonesia": "ID"},
            pattern="^[A-Za-z]{2}$",
        ),
        _query(
            "weight",
            "Kilograms: more than 0, at most 1000, up to three decimals.",
            {"1.234 kg": "1.234"},
            pattern=r"^[0-9]{1,4}(\.[0-9]{1,3})?$",
        ),
        _query(
            "created_at",
            "When the order was made: RFC 3339 with an offset, from 1970 to a day from now.",
            {"a day in 2018": "2018-11-20T19:29:32+08:00"},
            OpenApiTypes.DATETIME,
        ),
        _query(
            "customer_id",
            "The customer. It is kept as a keyed hash only.",
            {"RedBox Logistics": "de619854-b59b-425e-9db4-943979e1bd49"},
            OpenApiTypes.UUID,
        ),
        _query(
            "customer_name",
            "The customer's name. It is checked and not kept.",
            {"RedBox Logistics": "RedBox Logistics"},
            minLength=1,
            maxLength=LONGEST_TEXT,
        ),
        _query(
            "customer_slug",
            "The customer's name in kebab-case. It is checked and not kept.",
            {"redbox-logistics": "redbox-logistics"},
            pattern="^[a-z0-9]+(-[a-z0-9]+)*$",
            maxLength=LONGEST_TEXT,
        ),
        IDEMPOTENCY_KEY,
        REQUEST_ID,
        REPLAYED,
        REQUEST_ID_ANSWERED,
        *RATE_LIMIT,
    ],
    "responses": {
        (200, "application/json"): OpenApiResponse(
            IssuedSerializer,
            description="The number, durable in the ledger.",
            examples=[OpenApiExample("issued", value=ISSUED_EXAMPLE)],
        ),
        **problem_responses(
            "/next-tracking-number",
            problems.INVALID_PARAMETERS,
            problems.INVALID_HEADER,
            problems.BODY_NOT_ALLOWED,
            problems.UNAUTHORIZED,
            problems.UNINTENDED,
            problems.MISSING_SCOPE,
            problems.OTHER_CUSTOMER,
            problems.ISSUES_ELSEWHERE,
            problems.IDEMPOTENCY_KEY_REUSED,
            problems.QUOTA_EXCEEDED,
            problems.DATABASE_UNAVAILABLE,
            problems.OVERLOADED,
            problems.SHUTTING_DOWN,
            problems.ISSUING_REFUSED,
            problems.RESTORED_DATABASE,
        ),
    },
}
