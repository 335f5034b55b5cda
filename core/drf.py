"""DRF's way into this project: its errors become problem documents."""

from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from core import problems
from core.lean_imports import without
from core.problems import ProblemError, respond

# Its test client and its own renderers would bring these: a fifth of a start, and 10 MB.
with without("requests", "jinja2", "pygments"):
    from drf_spectacular import plumbing  # noqa: F401
    from rest_framework import exceptions

_BY_STATUS: Final = {problem.status: problem for problem in reversed(problems.ALL)} | {
    HTTPStatus.BAD_REQUEST: problems.BAD_REQUEST,
    HTTPStatus.FORBIDDEN: problems.MISSING_SCOPE,
    HTTPStatus.SERVICE_UNAVAILABLE: problems.DATABASE_UNAVAILABLE,
}


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's hook: ours and its exceptions as problem documents; anything else is Django's to handle."""
    request: HttpRequest = context["request"]._request  # noqa: SLF001  # DRF wraps Django's request, and offers no other way
    if isinstance(error, ProblemError):
        response = respond(request, error.problem, error.sentence, error.errors)
        for name, value in error.headers.items():
            response[name] = value
        return response
    if not isinstance(error, exceptions.APIException):
        return None
    response = respond(request, _BY_STATUS.get(error.status_code, problems.INTERNAL))
    if isinstance(error, exceptions.MethodNotAllowed):
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response
