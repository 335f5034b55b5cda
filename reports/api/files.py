"""Counts by day, route and weight band as CSV: one that is read as it is sent, or one of a single day."""

import csv
import io
from collections.abc import Generator, Iterable
from datetime import date
from typing import Any, Final

from django.http import HttpRequest, StreamingHttpResponse

from core import streaming
from core.problems import ProblemError
from ledger.domain import weight
from reports.api.parameters import CSV
from reports.export import Export

COLUMNS: Final = ("day", "origin_country_id", "destination_country_id", "weight_band", "weight_band_code", "count")
CONTENT_TYPE: Final = f"{CSV}; charset=utf-8; header=present"


def streamed(request: HttpRequest, export: Export, name: str) -> StreamingHttpResponse:
    """Answer with all of an export, which this lets go of; its size is part of the file's name."""
    try:
        return streaming.respond(
            request, _pieces(export), content_type=CONTENT_TYPE, filename=f"{name}-{export.size}.csv"
        )
    except ProblemError:
        export.close()
        raise


def head() -> StreamingHttpResponse:
    """The headers of such an answer; for them alone nothing is counted."""
    return StreamingHttpResponse((), content_type=CONTENT_TYPE)


def table(rows: Iterable[tuple[date, str, str, int, int]]) -> bytes:
    """All of some rows: day, origin, destination, weight band, count."""
    return _written([COLUMNS]) + _written(map(_row, rows))


def _pieces(export: Export) -> Generator[bytes]:
    """The file; its head comes with the first rows."""
    with export:
        names = _written([COLUMNS])
        for batch in export:
            yield names + _written(map(_row, batch))
            names = b""
        if names:
            yield names


def _row(found: tuple[Any, ...]) -> tuple[object, ...]:
    day, origin, destination, code, count = found
    return day, origin, destination, weight.label(code), code, count


def _written(rows: Iterable[tuple[object, ...]]) -> bytes:
    """Lines of CSV (RFC 4180)."""
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows(rows)
    return lines.getvalue().encode()
