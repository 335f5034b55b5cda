"""What the reads of one number promise, for the OpenAPI document."""

from typing import Any

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers
from uuid_utils import UUID

from core import problems
from core.contract import EXAMPLE_ID, problem_responses
from ledger.api import looked_up
from ledger.api.contract import NOTE, NUMBER
from ledger.checkpoints import Sealed
from ledger.domain import entry, merkle, weight
from ledger.domain.entry import Event
from ledger.lookup import Found

_PATH = "/v1/tracking-numbers/3K9M7QX2PZ4MYIDT"
_ALL_THREE = (
    problems.INVALID_PARAMETERS,
    problems.UNKNOWN_NUMBER,
    problems.CHECK_CHARACTER,
    problems.DATABASE_UNAVAILABLE,
    problems.SHARD_UNAVAILABLE,
)


class EventSerializer(serializers.Serializer[Any]):
    """A number that was issued."""

    tracking_number = serializers.RegexField("^[A-Z0-9]{1,16}$", help_text="16 characters, never issued again.")
    created_at = serializers.DateTimeField(help_text="When the service took the request: UTC, six fraction digits.")
    order_created_at = serializers.DateTimeField(help_text="When the order was made, as the caller said.")
    origin_country_id = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    destination_country_id = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    weight_band = serializers.CharField(help_text="The band that the weight fell in; the weight itself is not kept.")
    weight_band_code = serializers.IntegerField(min_value=0, max_value=weight.HIGHEST, help_text="The band, 0 to 10.")
    customer_key_id = serializers.IntegerField(help_text="Which of the CUSTOMER_TAG_KEYS made the tag.")
    customer_tag = serializers.RegexField("^[0-9a-f]{64}$", help_text="The customer's pseudonym.")
    principal = serializers.IntegerField(allow_null=True, help_text="Id of the API key that asked; null without one.")
    request_id = serializers.UUIDField(help_text="The X-Request-ID that the number was issued under.")
    leaf_index = serializers.IntegerField(
        min_value=0, allow_null=True, help_text="Its place in the log; null until it is sealed, which takes a second."
    )
    leaf_hash = serializers.RegexField("^[0-9a-f]{64}$", help_text="RFC 6962 leaf hash of the entry.")


class SealedInSerializer(serializers.Serializer[Any]):
    """The first published checkpoint over the leaf."""

    size = serializers.IntegerField(min_value=1, help_text="Leaves of its tree.")
    checkpoint = serializers.CharField(help_text="The checkpoint as it was signed: a signed note.")


class NumberLinksSerializer(serializers.Serializer[Any]):
    """Paths of what belongs to the number."""

    self = serializers.CharField()
    proof = serializers.CharField(help_text="The offline proof of inclusion.")
    barcode_svg = serializers.CharField(help_text="Code 128, as SVG.")
    barcode_png = serializers.CharField(help_text="Code 128, as PNG.")
    checkpoint = serializers.CharField(help_text="The newest checkpoint of the log.")


class TrackingNumberSerializer(EventSerializer):
    """All that is known of a number."""

    entry = serializers.CharField(help_text="The leaf, byte for byte: canonical JSON (RFC 8785).")
    sealed_in = SealedInSerializer(allow_null=True, help_text="Null until it is sealed.")
    links = NumberLinksSerializer()


_EVENT = Event(
    number="3K9M7QX2PZ4MYIDT",
    serial=0,
    customer_tag=bytes.fromhex("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
    customer_key_id=1,
    origin="MY",
    destination="ID",
    weight_band=4,
    order_created_at=1_542_713_372_000_000,
    requested_at=1_795_382_618_635_500,
    request_id=UUID(EXAMPLE_ID),
    principal=None,
)
_ENTRY = entry.encode(_EVENT)
_FOUND = Found(_EVENT, _ENTRY, merkle.leaf_hash(_ENTRY), 2, Sealed(3, NOTE))


def _example(name: str, found: Found) -> OpenApiExample:
    return OpenApiExample(name, value=msgspec.json.decode(looked_up.encode(found)))


LOOK_UP: dict[str, Any] = {
    "operation_id": "look_up",
    "summary": "Look a number up",
    "description": (
        "The event of a number, the exact bytes of its leaf, and the first checkpoint over it. With a key that is "
        "bound to a customer, only that customer's numbers are there. `entry` verifies with the proof and the log's "
        "verifier key, with no trust in this answer: docs/verify.md says how."
    ),
    "tags": ["Numbers"],
    "parameters": [NUMBER],
    "responses": {
        (200, "application/json"): OpenApiResponse(
            TrackingNumberSerializer,
            description="The number, as it stands in the ledger.",
            examples=[
                _example("sealed", _FOUND),
                _example("issued a moment ago", _FOUND._replace(leaf_index=None, sealed_in=None)),
            ],
        ),
        **problem_responses(
            _PATH, *_ALL_THREE, problems.UNAUTHORIZED, problems.MISSING_SCOPE, problems.LOG_INCONSISTENT
        ),
    },
}


def _barcode(form: str, content_type: str, kind: OpenApiTypes) -> dict[str, Any]:
    return {
        "operation_id": f"barcode_{form}",
        "summary": f"The barcode of a number, as {form.upper()}",
        "description": (
            "Code 128 with the number below it, for labels: 10 mil bars, 59 mm wide at most. Whoever has a number that "
            "was issued may have it; it never changes."
        ),
        "tags": ["Numbers"],
        "parameters": [NUMBER],
        "responses": {
            (200, content_type): OpenApiResponse(kind, description="The picture."),
            **problem_responses(f"{_PATH}/barcode.{form}", *_ALL_THREE),
        },
    }


BARCODE_SVG = _barcode("svg", "image/svg+xml", OpenApiTypes.STR)
BARCODE_PNG = _barcode("png", "image/png", OpenApiTypes.BINARY)
