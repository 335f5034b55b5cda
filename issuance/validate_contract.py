"""What the validation of a number promises, for the OpenAPI document."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from core import problems
from core.contract import problem_responses

_NUMBER = "3K9M7QX2PZ4MYIDT"


class CheckCharacterSerializer(serializers.Serializer[Any]):
    """The check character: ISO/IEC 7064 MOD 37,36."""

    given = serializers.CharField(help_text="The last character of the number.")
    expected = serializers.CharField(help_text="The one that fits the 15 before it.")
    correct = serializers.BooleanField(help_text="Whether they are the same.")


class CountrySerializer(serializers.Serializer[Any]):
    """One end of the route."""

    code = serializers.CharField(help_text="ISO 3166-1 alpha-2, or XK.")
    name = serializers.CharField(help_text="The country's name in English.")


class ValidationSerializer(serializers.Serializer[Any]):
    """What a number tells by itself."""

    tracking_number = serializers.CharField(help_text="What was asked for, in capitals, without spaces and hyphens.")
    well_formed = serializers.BooleanField(help_text="Whether it has 16 characters, each of the kind for its place.")
    check_character = CheckCharacterSerializer(allow_null=True, help_text="Null for what is not well-formed.")
    possible = serializers.BooleanField(help_text="Whether this service could have issued it; it need not have.")
    origin = CountrySerializer(allow_null=True, help_text="Null for a code that no country has.")
    destination = CountrySerializer(allow_null=True, help_text="Null for a code that no country has.")
    reason = serializers.CharField(allow_null=True, help_text="Why it is not possible; null if it is.")


_POSSIBLE: dict[str, Any] = {
    "tracking_number": _NUMBER,
    "well_formed": True,
    "check_character": {"given": "T", "expected": "T", "correct": True},
    "possible": True,
    "origin": {"code": "MY", "name": "Malaysia"},
    "destination": {"code": "ID", "name": "Indonesia"},
    "reason": None,
}
_SLIP = _POSSIBLE | {
    "tracking_number": "3K9M7QX2PZ4MYIDS",
    "check_character": {"given": "S", "expected": "T", "correct": False},
    "possible": False,
    "reason": "The check character does not fit; these 15 characters end in T. Compare the label.",
}

VALIDATE: dict[str, Any] = {
    "operation_id": "validate",
    "summary": "Validate a number",
    "description": (
        "Is it well-formed, is its check character right, what is its route, and could this service have issued it? "
        "Nothing is looked up, so a number that is `possible` need not have been issued. Every text gets an answer."
    ),
    "tags": ["Numbers"],
    "parameters": [
        OpenApiParameter(
            "number",
            OpenApiTypes.STR,
            OpenApiParameter.PATH,
            description="Any text. Small letters, spaces and hyphens may stand as on a label.",
            examples=[OpenApiExample("a number", value=_NUMBER), OpenApiExample("a slip", value="3k9m-7qx2-pz4m-yids")],
        )
    ],
    "responses": {
        (200, "application/json"): OpenApiResponse(
            ValidationSerializer,
            description="What can be said of it.",
            examples=[OpenApiExample("possible", value=_POSSIBLE), OpenApiExample("a slip", value=_SLIP)],
        ),
        **problem_responses(
            f"/v1/validate/{_NUMBER}",
            problems.INVALID_PARAMETERS,
        ),
    },
}
