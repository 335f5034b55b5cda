"""A customer's statistics over HTTP."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import problems, replica
from core.keys.drf import caller_of
from core.problems import ProblemError
from ledger import runtime
from ledger.domain import weight
from reports import customers
from reports.api import contract, files, parameters
from reports.api.answers import ReportsView, readable
from reports.api.parameters import CSV
from reports.customers import By


class CustomerStatsView(ReportsView):
    """How many numbers one customer was issued; a customer's own key sees that customer alone."""

    for_bound_keys = True

    @extend_schema(**contract.CUSTOMER_STATS)
    def get(self, request: Request, customer_id: str) -> HttpResponseBase:
        """Count."""
        customer = parameters.customer(customer_id)
        caller = caller_of(request)
        # One answer to both: who has a key may not learn which customers there are.
        if customer is None or caller is None or caller.customer_id not in {None, customer.bytes}:
            raise ProblemError(problems.NOT_FOUND)
        django: HttpRequest = request._request  # noqa: SLF001  # DRF wraps Django's request, and offers no other way
        asked = parameters.of_customer(django)
        with readable():
            response = replica.ask(lambda: _answer(django, customer, asked))
        response["Cache-Control"] = "no-store"
        patch_vary_headers(response, ["Accept"])
        return response


def _answer(request: HttpRequest, customer: UUID, asked: parameters.OfCustomer) -> HttpResponseBase:
    tags = [tag for _, tag in runtime.key_ring(settings.ENV).tags(customer.bytes)]
    return _file(request, tags, asked) if asked.media_type == CSV else _counts(str(customer), tags, asked)


def _file(request: HttpRequest, tags: list[bytes], asked: parameters.OfCustomer) -> HttpResponseBase:
    if request.method == "HEAD":
        return files.head()
    return files.streamed(request, customers.export(tags, asked.period), "customer-usage")


def _counts(customer: str, tags: list[bytes], asked: parameters.OfCustomer) -> HttpResponseBase:
    found = customers.count(tags, asked.period, asked.by)
    return Response(
        {
            "customer_id": customer,
            "from": asked.period.first,
            "to": asked.period.end,
            "time_zone": settings.ENV.report_time_zone,
            "by": asked.by,
            "size": found.size,
            "total": sum(row[-1] for row in found.rows),
            "rows": [_ROWS[asked.by](*row) for row in found.rows],
        }
        | ({"shards": [msgspec.structs.asdict(each) for each in found.shards]} if found.shards else {})
    )


def _day(day: object, count: int) -> dict[str, Any]:
    return {"day": day, "count": count}


def _route(origin: str, destination: str, count: int) -> dict[str, Any]:
    return {"origin_country_id": origin, "destination_country_id": destination, "count": count}


def _weight_band(code: int, count: int) -> dict[str, Any]:
    return {"weight_band": weight.label(code), "weight_band_code": code, "count": count}


_ROWS: Final[dict[By, Callable[..., dict[str, Any]]]] = {By.DAY: _day, By.ROUTE: _route, By.WEIGHT_BAND: _weight_band}
