"""Bulk issuing over HTTP: a DRF view that reads the body on its thread, and leaves the rest to the event loop."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_header_parameters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from core import body, problems, query
from core.keys.domain import Scope
from core.keys.drf import caller_of
from core.problems import ProblemError
from core.request_id import request_id
from issuance import answers, contract_bulk, runtime
from issuance.answers import Answer
from issuance.api import as_response
from issuance.bulk import PATH, Asked
from issuance.domain.bulk import LONGEST_BODY
from issuance.headers import flaw_of_key
from ledger.api.listing import TrackingNumberListViewSet

MOST_CALLS: Final = 3
"""Calls of one process that are read, wait or are written at a time. Each holds one of the threads that serve Django
(core.asgi), as do as many long answers (core.streaming), and 16 MiB of body at most."""

_calls = threading.BoundedSemaphore(MOST_CALLS)


class TrackingNumbersViewSet(TrackingNumberListViewSet):
    """All numbers at one path: ``GET`` lists them, as the ledger does; ``POST`` issues many, all or none."""

    scopes: ClassVar = {"list": Scope.AUDIT, "issue": Scope.ISSUE}

    @extend_schema(**contract_bulk.ISSUE_TRACKING_NUMBERS)
    def issue(self, request: Request) -> HttpResponse:
        """Issue tracking numbers; with a key that is bound to a customer, for that customer alone."""
        return as_response(_answer(request))

    @extend_schema(exclude=True)
    def options(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:  # type: ignore[override]  # no body
        """What may be done here, without doing it."""
        return HttpResponse(status=204, headers={"Allow": "GET, HEAD, POST, OPTIONS"})


def _answer(request: Request) -> Answer:
    now = time.time_ns() // 1000
    identity, id_text = request_id(request.META.get("HTTP_X_REQUEST_ID", "").encode("latin-1"))
    caller = caller_of(request)
    assert caller is not None  # noqa: S101  # nobody else has the scope
    try:
        query.nothing(request)
        _check_media_type(request)
        key = _idempotency_key(request)
        with _admitted():
            django: HttpRequest = request._request  # noqa: SLF001  # DRF would parse the body, and offers no other way
            asked = Asked(body.read(django, LONGEST_BODY), caller, identity, now, key)
            return runtime.issue_together_from_thread(asked)
    except ProblemError as error:
        return answers.raised(error, PATH, id_text)


@contextmanager
def _admitted() -> Iterator[None]:
    """One of the calls that this process has to do with; before its body is read, so that memory is bounded, too."""
    if not _calls.acquire(blocking=False):
        raise ProblemError(problems.OVERLOADED)
    try:
        yield
    finally:
        _calls.release()


def _check_media_type(request: Request) -> None:
    """JSON as it is: not compressed, and in no charset but the one that it has (RFC 8259, section 8.1)."""
    kind, parameters = parse_header_parameters(request.META.get("CONTENT_TYPE", ""))
    plain = request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() == "identity"
    if not plain or kind != "application/json" or parameters.get("charset", "utf-8").lower() != "utf-8":
        raise ProblemError(problems.UNSUPPORTED_MEDIA_TYPE)


def _idempotency_key(request: Request) -> bytes | None:
    given = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if given is None:
        return None
    key: bytes = given.encode("latin-1")
    if flaw := flaw_of_key(key):
        raise ProblemError(problems.INVALID_HEADER, errors=(flaw,))
    return key
