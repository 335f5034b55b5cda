"""What the list of events promises, for the OpenAPI document."""

from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema_serializer
from rest_framework import serializers

from core import problems
from core.contract import ACROSS, EXAMPLE_ID, ShardSizeSerializer, problem_responses
from core.keys.domain import LARGEST_ID
from ledger.api import asked, listed
from ledger.api.document import EventDocument
from ledger.domain import weight

_PATH: Final = "/v1/tracking-numbers"
_CUSTOMER: Final = "de619854-b59b-425e-9db4-943979e1bd49"
_CURSOR: Final = "AAAAAAAQAAAAAAAAAB___wAAAAAAAAPxAJ0xYt2vZ8a7xLr3dK5mQwE"


class ListedLinksSerializer(serializers.Serializer[Any]):
    """Paths of what belongs to the number."""

    self = serializers.CharField(help_text="The event.")
    proof = serializers.CharField(help_text="The offline proof of inclusion.")


class ListedSerializer(serializers.Serializer[Any]):
    """An event of the list."""

    tracking_number = serializers.RegexField("^[A-Z0-9]{1,16}$", help_text="16 characters.")
    created_at = serializers.DateTimeField(help_text="When the service took the request: UTC, six fraction digits.")
    order_created_at = serializers.DateTimeField(help_text="When the order was made, as its sender said.")
    origin_country_id = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    destination_country_id = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    weight_band = serializers.CharField(help_text="The band that the weight fell in, in words.")
    weight_band_code = serializers.IntegerField(min_value=0, max_value=weight.HIGHEST)
    customer_key_id = serializers.IntegerField(help_text="The key that made the customer's pseudonym.")
    customer_tag = serializers.RegexField("^[0-9a-f]{64}$", help_text="The customer's pseudonym under that key.")
    principal = serializers.IntegerField(allow_null=True, help_text="The API key that asked; null: none was needed.")
    request_id = serializers.UUIDField(help_text="The X-Request-ID that the number was issued under.")
    leaf_index = serializers.IntegerField(min_value=0, help_text="Which leaf of the log the event is.")
    leaf_hash = serializers.RegexField("^[0-9a-f]{64}$", help_text="RFC 6962 leaf hash of the event.")
    links = ListedLinksSerializer()


@extend_schema_serializer(many=False)  # the action is a list, and its answer one page
class TrackingNumberPageSerializer(serializers.Serializer[Any]):
    """A page of the list."""

    next = serializers.CharField(allow_null=True, help_text="Path of the page that follows; null: this is the last.")
    previous = serializers.CharField(allow_null=True, help_text="Path of the page before; null: this is the first.")
    results = ListedSerializer(many=True)
    size = serializers.IntegerField(help_text="The list is of the first so many leaves of the log.")
    shards = ShardSizeSerializer(many=True, required=False, help_text=ACROSS)


def _query(name: str, description: str, example: Any, schema: Any = OpenApiTypes.STR) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        schema,
        OpenApiParameter.QUERY,
        description=description,
        examples=[OpenApiExample("example", value=example)],
    )


_COUNTRY: Final = {"type": "string", "pattern": "^[A-Za-z]{2}$"}
_EVENT: Final[dict[str, Any]] = {
    "tracking_number": "3K9M7QX2PZ4MYIDT",
    "created_at": "2026-11-22T21:23:38.635500Z",
    "order_created_at": "2018-11-20T11:29:32.000000Z",
    "origin_country_id": "MY",
    "destination_country_id": "ID",
    "weight_band": weight.label(4),
    "weight_band_code": 4,
    "customer_key_id": 1,
    "customer_tag": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "principal": None,
    "request_id": EXAMPLE_ID,
    "leaf_index": 1_009,
    "leaf_hash": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
}
_PAGE: Final[dict[str, Any]] = {
    "next": f"{_PATH}?route=MY-ID&limit=1&cursor={_CURSOR}",
    "previous": None,
    "results": [
        {
            **_EVENT,
            "links": {"self": f"{_PATH}/3K9M7QX2PZ4MYIDT", "proof": f"{_PATH}/3K9M7QX2PZ4MYIDT/proof"},
        }
    ],
    "size": 1_048_576,
}
_EXPORTED: Final = EventDocument(**_EVENT)

LIST: Final[dict[str, Any]] = {
    "operation_id": "list_tracking_numbers",
    "summary": "List the numbers that were issued",
    "description": (
        "The events of the ledger in the order of issue, either way, page by page: follow `next` and `previous` as "
        "they are. A list is of the first `size` leaves of the log, all that was published when its first page was "
        "read, so paging neither skips nor repeats while issuing goes on; what is issued later is in later lists.\n\n"
        "As `text/csv` or `application/jsonl`, by `Accept` or `format`, all that matches is one file, however much it "
        "is. A few such exports run at once. Where the connection breaks off, the file is not whole.\n\n"
        "A key that is bound to a customer sees that customer's events, whatever it asks for."
    ),
    "tags": ["Numbers"],
    "filters": False,
    "parameters": [
        _query(
            "customer_id",
            "Events of this customer. It is hashed before the database is asked, and not logged.",
            _CUSTOMER,
            OpenApiTypes.UUID,
        ),
        _query("origin_country_id", "Events from here: ISO 3166-1 alpha-2, or XK.", "MY", _COUNTRY),
        _query("destination_country_id", "Events to here: ISO 3166-1 alpha-2, or XK.", "ID", _COUNTRY),
        _query(
            "route",
            "Events of this route: origin and destination.",
            "MY-ID",
            {"type": "string", "pattern": "^[A-Za-z]{2}-[A-Za-z]{2}$"},
        ),
        _query(
            "weight_band",
            f"Events of this weight band, by its code: 0 is {weight.label(0)}, {weight.HIGHEST} "
            f"{weight.label(weight.HIGHEST)}.",
            4,
            {"type": "integer", "minimum": 0, "maximum": weight.HIGHEST},
        ),
        _query(
            "issued_after",
            "Events with `created_at` at this moment or later: RFC 3339 with an offset, from 1970 to 9999.",
            "2026-11-22T00:00:00+08:00",
            OpenApiTypes.DATETIME,
        ),
        _query(
            "issued_before",
            "Events with `created_at` before this moment. It must be later than `issued_after`.",
            "2100-01-01T00:00:00Z",
            OpenApiTypes.DATETIME,
        ),
        _query("request_id", "Events issued under this X-Request-ID.", EXAMPLE_ID, OpenApiTypes.UUID),
        _query(
            "principal",
            "Events that this API key issued.",
            4_503_599_627_370_496,
            {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
        ),
        _query(
            "order",
            "`serial`: in the order of issue. `-serial`: the newest first.",
            "-serial",
            {"type": "string", "enum": list(asked.ORDERS), "default": asked.ORDERS[0]},
        ),
        _query(
            "limit",
            "Events of a page at most. Not for an export.",
            2,
            {"type": "integer", "minimum": 1, "maximum": asked.MOST, "default": asked.USUAL},
        ),
        OpenApiParameter(
            "cursor",
            {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,1024}$"},
            description="Where a page lies, out of `next` or `previous`; it fits this list alone. Not for an export.",
        ),
        _query(
            "format",
            "The form of the answer; it wins over `Accept`.",
            "json",
            {"type": "string", "enum": list(asked.FORMATS)},
        ),
        OpenApiParameter(
            "Retry-After", OpenApiTypes.INT, OpenApiParameter.HEADER, response=[503], description="Seconds to wait."
        ),
        OpenApiParameter(
            "Content-Disposition",
            OpenApiTypes.STR,
            OpenApiParameter.HEADER,
            response=[200],
            description="Of an export: the name of its file.",
        ),
    ],
    "responses": {
        (200, asked.JSON): OpenApiResponse(
            TrackingNumberPageSerializer,
            description="A page, or the file.",
            examples=[OpenApiExample("a page of one", value=_PAGE)],
        ),
        (200, asked.CSV): OpenApiResponse(
            OpenApiTypes.STR,
            description="A page, or the file.",
            examples=[
                OpenApiExample(
                    "a file of one",
                    value=(listed.csv_head() + listed.csv_line(_EXPORTED)).decode(),
                    media_type=asked.CSV,
                )
            ],
        ),
        (200, asked.JSON_LINES): OpenApiResponse(
            OpenApiTypes.STR,
            description="A page, or the file.",
            examples=[
                OpenApiExample("a file of one", value=listed.json_line(_EXPORTED).decode(), media_type=asked.JSON_LINES)
            ],
        ),
        **problem_responses(
            _PATH,
            *(problems.INVALID_PARAMETERS, problems.BAD_REQUEST, problems.UNAUTHORIZED, problems.MISSING_SCOPE),
            *(problems.METHOD_NOT_ALLOWED, problems.NOT_ACCEPTABLE, problems.LOG_INCONSISTENT, problems.INTERNAL),
            *(problems.DATABASE_UNAVAILABLE, problems.SHARD_UNAVAILABLE, problems.OVERLOADED),
        ),
    },
}
