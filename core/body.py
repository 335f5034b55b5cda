"""The body of a request, whole and within a limit, whatever server it comes through."""

from typing import Final

from django.http import HttpRequest

from core import problems
from core.problems import ProblemError

_ENDS_BY_ITSELF: Final = ("asgi.scope", "wsgi.input_terminated")
"""Signs that the server has undone the chunks, and that its stream ends where the body does (a2wsgi; gunicorn)."""


def read(request: HttpRequest, limit: int) -> bytes:
    """The body. Django's own way stops at 2.5 MB, and takes a body that comes in chunks for none.

    Raises:
        ProblemError: it is over ``limit`` bytes, or comes in chunks through a server that does not undo them.
    """
    if length := request.META.get("CONTENT_LENGTH"):
        if int(length) > limit:
            raise ProblemError(problems.BODY_TOO_LARGE)
        return request.read()
    if any(request.META.get(sign) for sign in _ENDS_BY_ITSELF):
        body: bytes = request.META["wsgi.input"].read(limit + 1)
        if len(body) > limit:
            raise ProblemError(problems.BODY_TOO_LARGE)
        return body
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        raise ProblemError(problems.LENGTH_REQUIRED)
    return b""
