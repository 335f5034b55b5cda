"""What the contracts of the reports have in common."""

from datetime import date
from typing import Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from core import problems
from ledger.domain import weight
from reports.api import files, parameters

COUNTED: Final = (
    *(problems.LOG_INCONSISTENT, problems.DATABASE_UNAVAILABLE, problems.SHARD_UNAVAILABLE, problems.OTHER_TIME_ZONE),
)
"""What keeps anything from being counted."""

FORM: Final = (
    OpenApiParameter(
        "format",
        {"type": "string", "enum": list(parameters.FORMATS)},
        description="The form of the answer; it wins over `Accept`.",
        examples=[OpenApiExample("JSON", value="json")],
    ),
    OpenApiParameter(
        "Content-Disposition",
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        response=[200],
        description="Of a file: its name.",
    ),
)
"""The parameter that chooses the form of an answer, and the header that names a file."""

_ROWS: Final = ((date(2026, 11, 22), "MY", "ID", 4, 600), (date(2026, 11, 22), "MY", "SG", 4, 212))
FILE: Final = OpenApiResponse(
    OpenApiTypes.STR,
    description="The counts.",
    examples=[
        OpenApiExample(
            "a file of two lines",
            value=files.table(_ROWS).decode(),
            media_type=parameters.CSV,
        )
    ],
)
"""A file of counts by day, route and weight band."""

WEIGHT_BAND: Final = f"The weight band's code, 0 to {weight.HIGHEST}: 0 is {weight.label(0)}."


def day_parameter(name: str, description: str, example: str) -> OpenApiParameter:
    """A day of a query."""
    return OpenApiParameter(
        name,
        OpenApiTypes.DATE,
        description=f"{description} A day of the service's REPORT_TIME_ZONE, from 1970-01-01 to 9999-12-31.",
        examples=[OpenApiExample("a day", value=example)],
    )


def kept(digest: str) -> tuple[OpenApiParameter, ...]:
    """The headers of an answer that can be kept; ``digest`` says of what."""
    return tuple(
        OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200], description=description)
        for name, description in (
            (
                "ETag",
                f"SHA-256 of {digest}, in hex; `If-None-Match` is answered with 304 as long as it holds.",
            ),
            ("Repr-Digest", "The same by RFC 9530."),
            ("Cache-Control", "How long the answer may be kept."),
        )
    )
