"""What the daily reports promise, for the OpenAPI document."""

from datetime import date
from typing import Any, Final

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from core import problems
from core.contract import ACROSS, ShardSizeSerializer, problem_responses
from ledger.domain import weight
from reports.api import documents, parameters, shared
from reports.closed import Correction
from reports.daily import Cells, Day, Days
from reports.domain import document
from reports.domain.document import Count, Report

_PATH: Final = "/v1/reports/daily"
_DAY: Final = "2026-11-22"
_KEYED: Final = (problems.UNAUTHORIZED, problems.MISSING_SCOPE, problems.OTHER_CUSTOMER)


class ListedDayLinksSerializer(serializers.Serializer[Any]):
    """Paths of what belongs to a day."""

    self = serializers.CharField(help_text="The day by route and weight band.")
    corrections = serializers.CharField(allow_null=True, help_text="What corrects its report; null: it has none yet.")


class ListedDaySerializer(serializers.Serializer[Any]):
    """A day of a period."""

    day = serializers.DateField(help_text="A day of the time zone.")
    total = serializers.IntegerField(help_text="All numbers of the day, corrections too.")
    closed = serializers.BooleanField(help_text="Whether its report is written, and will not change any more.")
    corrections = serializers.IntegerField(help_text="Numbers that the log took up after the report was written.")
    links = ListedDayLinksSerializer()


class DailyReportsSerializer(serializers.Serializer[Any]):
    """How many numbers were issued on each day."""

    to = serializers.DateField(help_text="The day after the last one counted.")
    time_zone = serializers.CharField(help_text="Whose days these are: the service's REPORT_TIME_ZONE.")
    size = serializers.IntegerField(help_text="The size of the log's tree whose leaves are counted.")
    total = serializers.IntegerField(help_text="The sum of all days.")
    days = ListedDaySerializer(many=True, help_text="In order; a day with neither numbers nor a report is left out.")
    shards = ShardSizeSerializer(many=True, required=False, help_text=ACROSS)

    def get_fields(self) -> dict[str, Any]:
        """With `from`, which no attribute of Python's can be called."""
        return {"from": serializers.DateField(help_text="The first day counted."), **super().get_fields()}


class DayCellSerializer(serializers.Serializer[Any]):
    """The numbers of one route and weight band."""

    count = serializers.IntegerField(min_value=1)
    destination = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    origin = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    weight_band = serializers.IntegerField(min_value=0, max_value=weight.HIGHEST, help_text=shared.WEIGHT_BAND)


class ShardReportSerializer(ShardSizeSerializer):
    """What a day over several shards has of one."""

    origin = serializers.CharField(help_text="The name of its log.")
    report = serializers.RegexField(
        "^[0-9a-f]{64}$", allow_null=True, help_text="SHA-256 of its report, which it answers with; null: none yet."
    )


class DailyReportSerializer(serializers.Serializer[Any]):
    """One day: a report, or, of the same form, an open day."""

    counts = DayCellSerializer(many=True, help_text="In order of route and weight band; none is 0.")
    day = serializers.DateField(help_text="A day of the time zone.")
    origin = serializers.CharField(
        allow_null=True, help_text="The log's name, as its checkpoints have it; null: there are several."
    )
    root = serializers.RegexField(  # type: ignore[assignment]  # a field that DRF's own attribute shadows
        "^[0-9a-f]{64}$", allow_null=True, help_text="Of the tree; null: the day is open."
    )
    signature = serializers.RegexField(
        "^[0-9a-f]{128}$",
        allow_null=True,
        help_text="Of the tree's checkpoint, Ed25519; null: the day is open, or the tree had no leaf.",
    )
    size = serializers.IntegerField(help_text="The size of the log's tree whose leaves are counted.")
    time_zone = serializers.CharField(help_text="Whose day this is, by its IANA name.")
    total = serializers.IntegerField(help_text="All numbers of the day.")
    type = serializers.ChoiceField(
        ["daily-report", "open-day", "day-of-shards"],
        help_text="`daily-report`: the day is closed. `day-of-shards`: counted over several logs.",
    )
    version = serializers.IntegerField(help_text="Of the document's form.")
    shards = ShardReportSerializer(many=True, required=False, help_text=ACROSS)


class CorrectionDocumentSerializer(serializers.Serializer[Any]):
    """What the leaves from `first_leaf` to the one before `end_leaf` add to the day."""

    counts = DayCellSerializer(many=True, help_text="In order of route and weight band.")
    day = serializers.DateField(help_text="The day that is corrected.")
    end_leaf = serializers.IntegerField(help_text="The leaf after the last one.")
    first_leaf = serializers.IntegerField(min_value=0, help_text="The first leaf.")
    time_zone = serializers.CharField(help_text="Whose day this is, by its IANA name.")
    total = serializers.IntegerField(help_text="All numbers that are added.")
    type = serializers.ChoiceField(["daily-correction"])
    version = serializers.IntegerField(help_text="Of the document's form.")


class DailyCorrectionSerializer(serializers.Serializer[Any]):
    """One correction."""

    digest = serializers.RegexField("^[0-9a-f]{64}$", help_text="SHA-256 of the document as it stands here.")
    document = CorrectionDocumentSerializer(help_text="Canonical JSON (RFC 8785).")
    shard = serializers.IntegerField(required=False, help_text="Whose report it corrects, where there are several.")


class DailyCorrectionsSerializer(serializers.Serializer[Any]):
    """What corrects the report of a day."""

    day = serializers.DateField(help_text="The day.")
    total = serializers.IntegerField(help_text="All numbers that are added.")
    corrections = DailyCorrectionSerializer(many=True, help_text="In the order of the log.")


_COUNTS: Final = (Count("MY", "ID", 4, 600), Count("MY", "SG", 4, 212))
_REPORT: Final = Report(
    date(2026, 11, 22),
    *("UTC", "tracking.example/log", 1_048_576),
    bytes.fromhex("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    bytes.fromhex("fb" * 64),
    _COUNTS,
)
_CORRECTION: Final = document.Correction(_REPORT.day, "UTC", 1_048_576, 1_048_600, (Count("MY", "ID", 4, 5),))
_OPEN: Final = documents.open_day(date(2026, 11, 23), "UTC", _REPORT.origin, Cells(1_048_600, _COUNTS))
_DAYS: Final = documents.days(
    date(2026, 11, 1),
    date(2026, 12, 1),
    "UTC",
    Days(
        1_048_600,
        [
            Day(_REPORT.day, closed=True, corrections=5, total=817),
            Day(date(2026, 11, 23), closed=False, corrections=0, total=812),
        ],
    ),
)
_CORRECTIONS: Final = documents.corrections(
    _REPORT.day, [Correction(_CORRECTION.document, _CORRECTION.digest, _CORRECTION.total)]
)


def _shown(name: str, content: bytes) -> OpenApiExample:
    return OpenApiExample(name, value=msgspec.json.decode(content))


_DAY_OF_PATH: Final = OpenApiParameter(
    "day",
    OpenApiTypes.DATE,
    OpenApiParameter.PATH,
    description="A day of the service's REPORT_TIME_ZONE, from 1970-01-01 on.",
    examples=[OpenApiExample("a day", value=_DAY)],
)

DAILY_REPORTS: Final[dict[str, Any]] = {
    "operation_id": "daily_reports",
    "summary": "How many numbers were issued each day",
    "description": (
        "The days of a period with their totals: exactly, up to the sealed head of the log, whose size is given. A day "
        f"that is over is closed some minutes later: its report is written, and stays. In JSON at most "
        f"{parameters.MOST_DAYS} days.\n\n"
        "As `text/csv`, by `Accept` or `format`, all counts by day, route and weight band are one file, corrections "
        "included, of any number of days. A few such files are made at once; where the connection breaks off, the file "
        "is not whole."
    ),
    "tags": ["Reports"],
    "parameters": [
        shared.day_parameter(
            "from",
            f"The first day that is counted; left out: {parameters.USUAL_DAYS} days before `to`.",
            "2026-11-01",
        ),
        shared.day_parameter("to", "The day after the last one that is counted; left out: tomorrow.", "2026-12-01"),
        *shared.FORM,
        *shared.kept("the answer, unless it is a file"),
    ],
    "responses": {
        (200, parameters.JSON): OpenApiResponse(
            DailyReportsSerializer, description="The days, or the file.", examples=[_shown("two days", _DAYS)]
        ),
        (200, parameters.CSV): shared.FILE,
        **problem_responses(
            _PATH,
            *(problems.INVALID_PARAMETERS, *_KEYED, problems.NOT_ACCEPTABLE, *shared.COUNTED, problems.OVERLOADED),
            flaws=[{"parameter": "from", "code": "format", "detail": "There is no such day."}],
        ),
    },
}
DAILY_REPORT: Final[dict[str, Any]] = {
    "operation_id": "daily_report",
    "summary": "One day by route and weight band",
    "description": (
        "A closed day is answered with its report, canonical JSON (RFC 8785) byte for byte as it was written: what the "
        "ledger held of the day when the log's tree had `size` leaves, with the root and signature of that tree. It "
        "never changes, so it can be kept, and `sha256sum` of it is its ETag for ever. What the log took up later is "
        "in its corrections.\n\n"
        "Of a day that is still open, or was over a moment ago, the numbers are counted up to the sealed head of the "
        "log, and answered in the same form."
    ),
    "tags": ["Reports"],
    "parameters": [_DAY_OF_PATH, *shared.FORM, *shared.kept("the answer")],
    "responses": {
        (200, parameters.JSON): OpenApiResponse(
            DailyReportSerializer,
            description="The report, or the open day.",
            examples=[_shown("a report", _REPORT.document), _shown("an open day", _OPEN)],
        ),
        (200, parameters.CSV): shared.FILE,
        **problem_responses(
            f"{_PATH}/{_DAY}",
            *(problems.INVALID_PARAMETERS, *_KEYED, problems.NOT_FOUND, problems.NOT_ACCEPTABLE, *shared.COUNTED),
            flaws=[{"parameter": "format", "code": "choice", "detail": "One of these is expected: json, csv."}],
        ),
    },
}
CORRECTIONS: Final[dict[str, Any]] = {
    "operation_id": "daily_corrections",
    "summary": "What was added to a day after its report",
    "description": (
        "Numbers of a closed day that the log took up after its report was written, since a sealer was away, say. Each "
        "correction names its leaves and is never changed; it is written within a minute or so. Then the report's "
        "counts and those of all corrections add up to the day's total."
    ),
    "tags": ["Reports"],
    "parameters": [_DAY_OF_PATH, *shared.kept("the answer")],
    "responses": {
        (200, parameters.JSON): OpenApiResponse(
            DailyCorrectionsSerializer,
            description="All corrections that there are by now.",
            examples=[_shown("one correction", _CORRECTIONS)],
        ),
        **problem_responses(
            f"{_PATH}/{_DAY}/corrections",
            *(problems.INVALID_PARAMETERS, *_KEYED, problems.NOT_FOUND),
            *(problems.LOG_INCONSISTENT, problems.DATABASE_UNAVAILABLE, problems.SHARD_UNAVAILABLE),
            flaws=[
                {
                    "parameter": "format",
                    "code": "unknown",
                    "detail": "There is no such parameter; this operation takes none.",
                }
            ],
        ),
    },
}
