"""The issuance endpoint as a DRF view: its documented contract, and the way in where there is no ASGI lane."""

from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from core.keys.domain import Scope
from core.negotiation import OneRepresentation
from issuance import contract, runtime
from issuance.answers import Answer
from issuance.issuer import FORWARDED, HEADERS


class NextTrackingNumberView(APIView):
    """``GET`` issues; ``HEAD`` is not among the methods, since it must not."""

    scope: Scope | None = None  # the issuer looks at the key itself, as it does in the lane
    scope_when_closed = Scope.ISSUE
    authentication_classes = ()
    http_method_names = ["get", "options"]  # noqa: RUF012  # as Django declares it
    content_negotiation_class = OneRepresentation  # a request must not be refused after it could have issued
    default_response_headers: dict[str, str] = {}  # noqa: RUF012  # the answer's headers are the issuer's

    @extend_schema(**contract.NEXT_TRACKING_NUMBER)
    def get(self, request: Request) -> HttpResponse:
        """Issue a tracking number."""
        query = request.META.get("QUERY_STRING", "").encode("latin-1")
        peer = request.META.get("REMOTE_ADDR") or ""
        return as_response(runtime.issue_from_thread(query, _headers(request), peer))

    @extend_schema(exclude=True)
    def options(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:  # type: ignore[override]  # no body
        """What may be done here, without doing it."""
        return HttpResponse(status=204, headers={"Allow": "GET, OPTIONS"})


def as_response(answer: Answer) -> HttpResponse:
    """An answer as Django sends it."""
    response = HttpResponse(answer.body, status=answer.status)
    for name, value in answer.headers:
        response[name.decode()] = value.decode()
    return response


def _headers(request: HttpRequest | Request) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name in (*HEADERS, FORWARDED):
        key = name.decode().upper().replace("-", "_")
        value = request.META.get(key if name == b"content-length" else f"HTTP_{key}")
        if value:
            found[name] = value.encode("latin-1")
    return found
