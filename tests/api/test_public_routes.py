"""What is open without a key is a list, and whatever is not on it is closed, also a view that forgot to say."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from core.keys import store
from core.keys.domain import Scope
from tests.plugin import Database
from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask

SHARES = True

SAMPLES = {
    "tile/<path:path>": ("tile/0/000", "tile/entries/000"),
    "v1/tracking-numbers/<str:number>/proof": ("v1/tracking-numbers/3K9M7QX2PZ4MYIDT/proof",),
    "v1/tracking-numbers/<str:number>": ("v1/tracking-numbers/3K9M7QX2PZ4MYIDT",),
    "v1/tracking-numbers/<str:number>/barcode.svg": ("v1/tracking-numbers/3K9M7QX2PZ4MYIDT/barcode.svg",),
    "v1/tracking-numbers/<str:number>/barcode.png": ("v1/tracking-numbers/3K9M7QX2PZ4MYIDT/barcode.png",),
    "v1/validate/<text:number>": ("v1/validate/3K9M7QX2PZ4MYIDT",),
    "v1/customers/<str:customer_id>/stats": ("v1/customers/de619854-b59b-425e-9db4-943979e1bd49/stats",),
    "v1/reports/daily/<str:day>": ("v1/reports/daily/2026-11-22",),
    "v1/reports/daily/<str:day>/corrections": ("v1/reports/daily/2026-11-22/corrections",),
    "problems/<slug:slug>": ("problems/overloaded",),
}
"""Paths of the routes that have parameters."""
ALWAYS_OPEN = {
    *("/", "/docs", "/redoc", "/redoc.js", "/livez", "/readyz", "/openapi.yaml", "/problems/overloaded", "/robots.txt"),
    *(f"/v1/tracking-numbers/3K9M7QX2PZ4MYIDT/{what}" for what in ("proof", "barcode.svg", "barcode.png")),
    "/v1/validate/3K9M7QX2PZ4MYIDT",
}
"""What is open to everybody; static files are too, which no route serves."""
OPEN_BY_DEFAULT = {
    "/next-tracking-number",
    "/next-tracking-number/",
    "/checkpoint",
    "/witnessed-checkpoint",
    "/tile/0/000",
}
"""What is closed by ISSUANCE_REQUIRES_KEY and LOG_ACCESS."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
WRONG = bearer(f"tna_1_{'0' * 32}")


def routes(patterns: Sequence[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every route of the service, and its view."""
    for each in patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, route)
        else:
            yield route, each.callback


ROUTES = {
    route: view
    for route, view in routes(get_resolver().url_patterns)
    if not route.startswith("console")  # tests/api/test_console_login.py
}
PATHS = [f"/{path}" for route in ROUTES for path in SAMPLES.get(route, (route,))]
CLASSES = {route: view.cls for route, view in ROUTES.items() if hasattr(view, "cls")}


def open_at(port: int, **headers: str) -> set[str]:
    """The paths at which some method does more than to ask for a key or to name those that there are."""
    return {path for path in PATHS if {ask(port, path, each, **headers).status_code for each in METHODS} - {401, 405}}


def test_every_route_with_a_parameter_has_a_sample() -> None:
    assert not [path for path in PATHS if re.search("[<>]", path)]
    assert set(SAMPLES) <= set(ROUTES)


def test_without_a_key_these_are_open_and_no_others(port: int) -> None:
    assert open_at(port) == ALWAYS_OPEN | OPEN_BY_DEFAULT


def test_settings_close_issuing_and_the_log(closed_port: int) -> None:
    assert open_at(closed_port) == ALWAYS_OPEN


def test_what_is_open_to_everybody_does_not_ask_who_calls(port: int) -> None:
    assert open_at(port, **WRONG) == ALWAYS_OPEN


def test_whoever_asks_what_may_be_done_is_told_the_methods_and_no_more(port: int) -> None:
    for path in PATHS:
        options = ask(port, path, "OPTIONS")
        assert options.status_code in {204, 405}, path
        assert options.headers["allow"], path
        assert not options.content or options.headers["content-type"] == "application/problem+json", path


@pytest.mark.parametrize("route", CLASSES)
def test_every_view_declares_what_it_needs(route: str) -> None:
    assert hasattr(CLASSES[route], "scope") or hasattr(CLASSES[route], "scopes")


class Forgetful(APIView):
    """A view that does not say what it needs."""

    def get(self, request: Request) -> Response:
        return Response("secret")

    post = put = patch = delete = get


class Half(ViewSet):
    """One that says so for one thing only."""

    scopes = {"list": Scope.AUDIT}  # noqa: RUF012  # as a view declares it

    def list(self, request: Request) -> Response:
        return Response("listed")

    def retrieve(self, request: Request) -> Response:
        return Response("secret")


class Declared(APIView):
    """One that says what it needs."""

    scope = Scope.REPORTS

    def get(self, request: Request) -> Response:
        return Response("reported")


class OfCustomers(Declared):
    """One that looks at whose data it is."""

    for_bound_keys = True


FORGETFUL, DECLARED, OF_CUSTOMERS = Forgetful.as_view(), Declared.as_view(), OfCustomers.as_view()
LIST, RETRIEVE = Half.as_view({"get": "list"}), Half.as_view({"get": "retrieve"})


def answer(view: Any, key: str | None = None, method: str = "GET") -> tuple[int, str]:
    """What a view answers: its status, and its text or the type of the problem."""
    request = APIRequestFactory().generic(method, "/somewhere", headers=bearer(key) if key else {})
    response = view(request)
    if isinstance(response, Response):
        return response.status_code, str(response.data)
    return response.status_code, json.loads(response.content)["type"].removeprefix("/problems/")


def keys() -> dict[frozenset[Scope], tuple[str, str]]:
    """A key for every set of scopes, and one that is bound to a customer."""
    sets = [frozenset(each) for size in range(1, len(Scope) + 1) for each in combinations(Scope, size)]
    return {
        scopes: (store.create("unbound", scopes), store.create("bound", scopes, customer_id=bytes(16)))
        for scopes in sets
    }


@pytest.mark.django_db
def test_a_view_that_forgot_to_say_what_it_needs_is_closed_to_everybody(database: Database) -> None:
    assert database
    for method in (*METHODS, "OPTIONS", "TRACE"):
        assert answer(FORGETFUL, method=method) == (401, "unauthorized"), method
    for key in sum(keys().values(), ()):
        for method in (*METHODS, "OPTIONS", "TRACE"):
            assert answer(FORGETFUL, key, method) == (403, "missing-scope"), method


@pytest.mark.django_db
def test_a_view_that_forgot_one_of_the_things_it_does_is_closed_there(database: Database) -> None:
    assert database
    assert answer(LIST) == answer(RETRIEVE) == (401, "unauthorized")
    for scopes, (unbound, _) in keys().items():
        assert answer(LIST, unbound) == ((200, "listed") if Scope.AUDIT in scopes else (403, "missing-scope"))
        assert answer(RETRIEVE, unbound) == (403, "missing-scope")


@pytest.mark.django_db
def test_a_key_of_one_customer_opens_only_what_looks_at_whose_data_it_is(database: Database) -> None:
    assert database
    for scopes, (unbound, bound) in keys().items():
        good = (200, "reported") if Scope.REPORTS in scopes else (403, "missing-scope")
        assert answer(DECLARED, unbound) == answer(OF_CUSTOMERS, unbound) == answer(OF_CUSTOMERS, bound) == good
        assert answer(DECLARED, bound) == ((403, "other-customer") if Scope.REPORTS in scopes else good)
