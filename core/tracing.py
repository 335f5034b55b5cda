"""Traces by OpenTelemetry: spans of our own, since what instruments by itself would export queries and customers.

Imported only where OTEL_EXPORTER_OTLP_ENDPOINT is set; without it no module of OpenTelemetry is. A span holds method,
route, status and request id, or what a batch, tick or task came to; never a path, a query, an error's message.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from celery import signals
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from core.middleware import METHODS, route_of
from core.request_id import id_of

_PATH: Final = "/v1/traces"
"""Where a collector takes traces, below its endpoint (OTLP/HTTP)."""
_PATIENCE: Final = 5.0
"""Seconds that a collector may take; a process that stops waits no longer for one that is away."""
_MOST_LINKS: Final = 512
"""As many as a batch has requests (issuance.writer)."""
_SERVER_ERROR: Final = 500

_tasks: dict[str, Span] = {}


@cache
def _provider() -> TracerProvider:
    """That of this process, which a fork must not share: so it is made when the first span is."""
    endpoint = settings.ENV.otel_exporter_otlp_endpoint
    assert endpoint is not None  # noqa: S101  # else nobody has imported this
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: "tracking"}), span_limits=SpanLimits(max_links=_MOST_LINKS)
    )
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH, timeout=_PATIENCE)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


@cache
def _tracer() -> trace.Tracer:
    return _provider().get_tracer("tracking")


@contextmanager
def serving(method: str, traceparent: str | None) -> Iterator[Span]:
    """The span of a request, within the caller's trace if there is one (W3C Trace Context)."""
    parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent or ""}, Context())
    attributes = {"http.request.method": method}
    with _tracer().start_as_current_span(
        method, parent, SpanKind.SERVER, attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def served(span: Span, method: str, route: str, status: int, request_id: str) -> None:
    """What is to be known of a request that was answered."""
    span.update_name(f"{method} {route}")
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("tracking.request_id", request_id)
    if status >= _SERVER_ERROR:
        span.set_status(StatusCode.ERROR)


def current() -> SpanContext:
    """That of the span that we are in; invalid where we are in none."""
    return trace.get_current_span().get_span_context()


@contextmanager
def committing(answers: list[SpanContext]) -> Iterator[None]:
    """The span of a batch, linked to the requests that it answers."""
    links = [trace.Link(each) for each in answers if each.is_valid]
    attributes = {"tracking.batch_size": len(answers)}
    with _tracer().start_as_current_span(
        "commit", Context(), attributes=attributes, links=links, record_exception=False
    ):
        yield


def sealed(seconds: float, appended: int) -> None:
    """The span of a sealer's tick that has just ended."""
    now = time.time_ns()
    span = _tracer().start_span(
        "seal", Context(), attributes={"tracking.appended": appended}, start_time=now - round(seconds * 1e9)
    )
    span.end(now)


def requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Django's middleware for what does not go through the lane."""

    def middleware(request: HttpRequest) -> HttpResponse:
        method = request.method if request.method in METHODS else "_OTHER"
        with serving(str(method), request.META.get("HTTP_TRACEPARENT")) as span:
            response = get_response(request)
            served(span, str(method), route_of(request), response.status_code, id_of(request))
            return response

    return middleware


def tasks() -> None:
    """Have each of Celery's tasks make a span in the process that it runs in."""
    signals.task_prerun.connect(_begin)
    signals.task_postrun.connect(_end)
    signals.worker_process_shutdown.connect(hand_on)


def _begin(task_id: str, task: Any, **_: Any) -> None:
    _tasks[task_id] = _tracer().start_span(task.name, Context(), attributes={"celery.task_id": task_id})


def _end(task_id: str, state: str | None = None, **_: Any) -> None:
    span = _tasks.pop(task_id, None)
    if span is not None:
        span.set_attribute("celery.state", str(state))
        if state == "FAILURE":
            span.set_status(StatusCode.ERROR)
        span.end()


def hand_on(**_: Any) -> None:
    """Send what was not sent yet; the process is about to end."""
    _provider().shutdown()
