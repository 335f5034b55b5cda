"""What all reads of the reports have in common: what keeps them from an answer, and answers that can be kept."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

from django.db import DatabaseError, DataError
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from core import problems
from core.keys.domain import Scope
from core.negotiation import OneRepresentation
from core.problems import ProblemError
from ledger import shards
from ledger.log import LogError
from reports.rollup import ZoneError

FOR_EVER: Final[dict[str, Any]] = {"private": True, "max_age": 31_536_000, "immutable": True}
UNTIL_IT_CHANGES: Final[dict[str, Any]] = {"private": True, "no_cache": True}
"""It may be kept, but whoever keeps it asks each time whether it still holds (RFC 9111, section 5.2.2.4)."""


class ReportsView(APIView):
    """A read of the reports."""

    scope = Scope.REPORTS
    http_method_names = ["get", "head", "options"]  # noqa: RUF012  # as Django declares it
    content_negotiation_class = OneRepresentation  # ours: the query may choose the form, and wins over Accept

    @extend_schema(exclude=True)
    def options(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:  # type: ignore[override]  # no body
        """What may be done here."""
        return HttpResponse(status=204, headers={"Allow": "GET, HEAD, OPTIONS"})


@contextmanager
def readable() -> Iterator[None]:
    """Word what keeps the counts from being read.

    Raises:
        ProblemError: in place of it.
    """
    try:
        yield
    except ZoneError as error:
        problems.logger.error("%s", error)  # the sentence says it all
        raise ProblemError(problems.OTHER_TIME_ZONE) from None
    except (LogError, DataError, ValueError) as error:
        problems.logger.critical("The log contradicts itself: %s", error)
        raise ProblemError(problems.LOG_INCONSISTENT) from None
    except DatabaseError as error:
        raise shards.unavailable(error) from None


def kept(
    request: HttpRequest, content: bytes, content_type: str, cache: dict[str, Any], filename: str | None = None
) -> HttpResponse:
    """Answer with 200, or with 304 to whoever has it; ETag and Repr-Digest (RFC 9530) are the content's SHA-256."""
    digest = sha256(content).digest()
    etag = f'"{digest.hex()}"'
    headers = {"ETag": etag, "Repr-Digest": f"sha-256=:{b64encode(digest).decode()}:"}
    if filename is not None:
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response = HttpResponse(content, content_type=content_type, headers=headers)
    patch_cache_control(response, **cache)
    found = get_conditional_response(request, etag=etag, response=response)
    assert isinstance(found, HttpResponse)  # noqa: S101  # given a response it returns one
    return found
