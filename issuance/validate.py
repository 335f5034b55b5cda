"""``GET /v1/validate/<number>``: what a number tells by itself; no database is asked."""

from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from core import query
from core.keys.domain import Scope
from core.negotiation import OneRepresentation
from issuance import validate_contract
from issuance.configured import kept_numbering
from issuance.domain import validation
from issuance.domain.validation import Validation

_A_WHILE = "public, max-age=3600"
_encode = msgspec.json.Encoder().encode


class ValidateView(APIView):
    """Open to everybody: it tells what the label tells, and whether NUMBER_KEY could have made it."""

    scope: Scope | None = None
    authentication_classes = ()
    http_method_names = ["get", "head", "options"]  # noqa: RUF012  # as Django declares it
    content_negotiation_class = OneRepresentation

    @extend_schema(**validate_contract.VALIDATE)
    def get(self, request: Request, number: str) -> HttpResponse:
        """Say what can be said."""
        query.nothing(request)
        env = settings.ENV
        found = validation.validate(number, kept_numbering(env), None if env.coordinator else env.shard)
        headers = {"Cache-Control": _A_WHILE}
        return HttpResponse(_encode(_document(found)), content_type="application/json", headers=headers)

    @extend_schema(exclude=True)
    def options(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:  # type: ignore[override]  # no body
        """What may be done here."""
        return HttpResponse(status=204, headers={"Allow": "GET, HEAD, OPTIONS"})


def _document(found: Validation) -> dict[str, Any]:
    check = found.check_character
    return {
        "tracking_number": found.number,
        "well_formed": found.well_formed,
        "check_character": None if check is None else check._asdict() | {"correct": check.correct},
        "possible": found.possible,
        "origin": None if found.origin is None else found.origin._asdict(),
        "destination": None if found.destination is None else found.destination._asdict(),
        "reason": found.reason,
    }
