"""What a customer's statistics promise, for the OpenAPI document."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema_field,
)
from rest_framework import serializers

from core import problems
from core.contract import ACROSS, ShardSizeSerializer, problem_responses
from ledger.domain import weight
from reports.api import parameters, shared
from reports.customers import By

_CUSTOMER = "de619854-b59b-425e-9db4-943979e1bd49"
_PATH = f"/v1/customers/{_CUSTOMER}/stats"


class DayCountSerializer(serializers.Serializer[Any]):
    """The numbers of one day."""

    day = serializers.DateField(help_text="A day of the time zone.")
    count = serializers.IntegerField()


class RouteCountSerializer(serializers.Serializer[Any]):
    """The numbers of one route."""

    origin_country_id = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    destination_country_id = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    count = serializers.IntegerField()


class WeightBandCountSerializer(serializers.Serializer[Any]):
    """The numbers of one weight band."""

    weight_band = serializers.CharField(help_text="The band, in words.")
    weight_band_code = serializers.IntegerField(help_text="0 to 10, from the lightest to the heaviest.")
    count = serializers.IntegerField()


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="CustomerCount",
        serializers=[DayCountSerializer, RouteCountSerializer, WeightBandCountSerializer],
        resource_type_field_name=None,
        many=True,
    )
)
class _CountsField(serializers.ListField):
    """Rows of the kind that was asked for."""


class CustomerStatsSerializer(serializers.Serializer[Any]):
    """How many numbers a customer was issued."""

    customer_id = serializers.UUIDField(help_text="As it was asked for; whether there is such a customer is not said.")
    to = serializers.DateField(allow_null=True, help_text="The day after the last one counted.")
    time_zone = serializers.CharField(help_text="Whose days these are: the service's REPORT_TIME_ZONE.")
    by = serializers.ChoiceField([str(by) for by in By])
    size = serializers.IntegerField(help_text="The size of the log's tree whose leaves are counted.")
    total = serializers.IntegerField(help_text="The sum of all rows.")
    rows = _CountsField(help_text="In order; what has no number is left out.")
    shards = ShardSizeSerializer(many=True, required=False, help_text=ACROSS)

    def get_fields(self) -> dict[str, Any]:
        """With `from`, which no attribute of Python's can be called."""
        fields = super().get_fields()
        first = serializers.DateField(allow_null=True, help_text="The first day counted.")
        return {"customer_id": fields.pop("customer_id"), "from": first, **fields}


def _stats(by: By, *rows: dict[str, Any], **period: str) -> OpenApiExample:
    document = {
        "customer_id": _CUSTOMER,
        "from": None,
        "to": None,
        **period,
        "time_zone": "UTC",
        "by": str(by),
        "size": 1_048_576,
        "total": sum(row["count"] for row in rows),
        "rows": list(rows),
    }
    return OpenApiExample(f"by {by}", value=document)


CUSTOMER_STATS: dict[str, Any] = {
    "operation_id": "customer_stats",
    "summary": "How many numbers a customer was issued",
    "description": (
        "Counts a customer's numbers in all and by day, route or weight band: exactly, up to the sealed head of the "
        "log, whose size is given. A number is counted once it is in the log, about a second after it was issued.\n\n"
        "As `text/csv`, by `Accept` or `format`, all counts by day, route and weight band are one file, and `by` is "
        "left out. A few such files are made at once; where the connection breaks off, the file is not whole.\n\n"
        "The customer is found under every live key of the pseudonyms. Of a customer that has no number, and of one "
        "that does not exist, the counts are 0. A key that is bound to a customer sees that customer alone."
    ),
    "tags": ["Reports"],
    "parameters": [
        OpenApiParameter(
            "customer_id",
            OpenApiTypes.UUID,
            OpenApiParameter.PATH,
            description="The customer. It is hashed before the database is asked, and not logged.",
            examples=[OpenApiExample("RedBox Logistics", value=_CUSTOMER)],
        ),
        shared.day_parameter("from", "The first day that is counted.", "2026-11-01"),
        shared.day_parameter("to", "The day after the last one that is counted.", "2026-12-01"),
        OpenApiParameter(
            "by",
            {"type": "string", "enum": [str(by) for by in By], "default": str(By.DAY)},
            description="What is counted by. Not for a file.",
            examples=[OpenApiExample("routes", value=str(By.ROUTE))],
        ),
        *shared.FORM,
    ],
    "responses": {
        (200, "application/json"): OpenApiResponse(
            CustomerStatsSerializer,
            description="The counts.",
            examples=[
                _stats(
                    By.DAY,
                    {"day": "2026-11-22", "count": 812},
                    {"day": "2026-11-24", "count": 5},
                    **{"from": "2026-11-01", "to": "2026-12-01"},
                ),
                _stats(
                    By.ROUTE,
                    {"origin_country_id": "MY", "destination_country_id": "ID", "count": 600},
                    {"origin_country_id": "MY", "destination_country_id": "SG", "count": 217},
                ),
                _stats(
                    By.WEIGHT_BAND,
                    {"weight_band": weight.label(4), "weight_band_code": 4, "count": 817},
                ),
            ],
        ),
        (200, parameters.CSV): shared.FILE,
        **problem_responses(
            _PATH,
            *(problems.INVALID_PARAMETERS, problems.UNAUTHORIZED, problems.MISSING_SCOPE, problems.NOT_FOUND),
            *(problems.NOT_ACCEPTABLE, *shared.COUNTED, problems.OVERLOADED),
            flaws=[
                {"parameter": "from", "code": "format", "detail": "There is no such day."},
                {"parameter": "by", "code": "choice", "detail": f"One of these is expected: {', '.join(By)}."},
            ],
        ),
    },
}
