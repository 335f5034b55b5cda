"""What Django leaves open and the issuance lane does not; and what is to be known of each request."""

import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from structlog.contextvars import bind_contextvars, clear_contextvars

from core import metrics, problems
from core.request_id import id_of

type GetResponse = Callable[[HttpRequest], HttpResponse]

METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_OPERATORS: Final = frozenset(("/livez", "/readyz", "/metrics"))


def observe(get_response: GetResponse) -> GetResponse:
    """Give each request an id, which answer and log lines carry, and count it by its route."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        identity = id_of(request)
        clear_contextvars()  # and not afterwards: Django says what it refused once the last middleware has returned
        bind_contextvars(request_id=identity)
        response = get_response(request)
        response.headers.setdefault("X-Request-ID", identity)
        method = request.method if request.method in METHODS else "other"
        route = route_of(request)
        metrics.HTTP_REQUESTS.labels(method, route, response.status_code).inc()
        metrics.HTTP_SECONDS.labels(route).observe(time.perf_counter() - began)
        return response

    return middleware


def route_of(request: HttpRequest) -> str:
    """The pattern that the request's path fits, never the path; `none` for what no view was asked about."""
    match = request.resolver_match
    return "none" if match is None else f"/{match.route}"


def operators(get_response: GetResponse) -> GetResponse:
    """Answer probes and scrapes for any Host and without HTTPS: they come from beside us, by address.

    A platform's health check wants exactly 200, so it may not be sent elsewhere.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info not in _OPERATORS:
            return get_response(request)
        match = request.resolver_match = resolve(request.path_info)
        response: HttpResponse = match.func(request)
        response.headers.setdefault("Content-Length", str(len(response.content)))
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    return middleware


def require_host(get_response: GetResponse) -> GetResponse:
    """Refuse a request without a Host header (RFC 9112, section 3.2); Django would take the server's own name."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.META.get("HTTP_HOST"):
            return problems.respond(request, problems.BAD_REQUEST)
        return get_response(request)

    return middleware
