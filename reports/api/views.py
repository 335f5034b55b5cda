"""The reports' HTTP reads."""

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, DataError
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import problems
from core.keys.domain import Scope
from core.keys.drf import caller_of
from core.negotiation import OneRepresentation
from core.problems import ProblemError
from ledger import runtime
from ledger.domain import weight
from ledger.log import LogError
from reports import customers
from reports.api import contract, parameters
from reports.customers import By, Statistics


class CustomerStatsView(APIView):
    """How many numbers one customer was issued; a customer's own key sees that customer alone."""

    scope = Scope.REPORTS
    for_bound_keys = True
    http_method_names = ["get", "head", "options"]  # noqa: RUF012  # as Django declares it
    content_negotiation_class = OneRepresentation

    @extend_schema(**contract.CUSTOMER_STATS)
    def get(self, request: Request, customer_id: str) -> Response:
        """Count."""
        customer = parameters.customer(customer_id)
        caller = caller_of(request)
        # One answer to both: who has a key may not learn which customers there are.
        if customer is None or caller is None or caller.customer_id not in {None, customer.bytes}:
            raise ProblemError(problems.NOT_FOUND)
        asked = parameters.read(request.query_params)
        tags = [tag for _, tag in runtime.key_ring(settings.ENV).tags(customer.bytes)]
        found = _counted(tags, asked)
        document = {
            "customer_id": str(customer),
            "from": asked.period.first,
            "to": asked.period.end,
            "by": asked.by,
            "size": found.size,
            "total": sum(row[-1] for row in found.rows),
            "rows": [_ROWS[asked.by](*row) for row in found.rows],
        }
        return Response(document, headers={"Cache-Control": "no-store"})

    @extend_schema(exclude=True)
    def options(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:  # type: ignore[override]  # no body
        """What may be done here."""
        return HttpResponse(status=204, headers={"Allow": "GET, HEAD, OPTIONS"})


def _counted(tags: list[bytes], asked: parameters.Asked) -> Statistics:
    try:
        return customers.count(tags, *asked)
    except (LogError, DataError) as error:
        problems.logger.critical("The log contradicts itself: %s", error)
        raise ProblemError(problems.LOG_INCONSISTENT) from None
    except DatabaseError:
        raise ProblemError(problems.DATABASE_UNAVAILABLE) from None


def _day(day: object, count: int) -> dict[str, Any]:
    return {"day": day, "count": count}


def _route(origin: str, destination: str, count: int) -> dict[str, Any]:
    return {"origin_country_id": origin, "destination_country_id": destination, "count": count}


def _weight_band(code: int, count: int) -> dict[str, Any]:
    return {"weight_band": weight.label(code), "weight_band_code": code, "count": count}


_ROWS: Final[dict[By, Callable[..., dict[str, Any]]]] = {By.DAY: _day, By.ROUTE: _route, By.WEIGHT_BAND: _weight_band}
