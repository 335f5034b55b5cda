"""The body of a request, whole and within a limit, whatever server it comes through."""

from typing import Final

from django.http import HttpRequest

from core import problems
from core.problems import ProblemError
from core.server import CLIENT

_SCOPE: Final = "asgi.scope"
"""What a2wsgi hands on; its stream has the chunks undone, and ends where the body does or the client has gone."""


def read(request: HttpRequest, limit: int) -> bytes:
    """The body. Django's own way stops at 2.5 MB, and takes a body that comes in chunks for none.

    Raises:
        ProblemError: it has more than ``limit`` bytes, did not come whole, or came in chunks through plain WSGI.
    """
    if length := request.META.get("CONTENT_LENGTH"):
        if int(length) > limit:
            raise ProblemError(problems.BODY_TOO_LARGE)
        body = request.read()
        whole = len(body) == int(length)
    elif _SCOPE in request.META:
        body = request.META["wsgi.input"].read(limit + 1)
        if len(body) > limit:
            raise ProblemError(problems.BODY_TOO_LARGE)
        client = (request.META[_SCOPE].get("extensions") or {}).get(CLIENT)
        whole = client is None or not client.gone
    elif request.META.get("HTTP_TRANSFER_ENCODING"):
        raise ProblemError(problems.LENGTH_REQUIRED)
    else:
        return b""
    if not whole:
        raise ProblemError(problems.BAD_REQUEST)
    return body
