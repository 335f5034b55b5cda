"""The issuance lane: ASGI straight to the issuer for plain requests; anything unusual is left to Django's twin view."""

from collections.abc import Awaitable, Callable, Container, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware

from core.server import WHOLE_RESPONSE
from issuance.answered import ANSWERED
from issuance.answers import Head, Headers
from issuance.issuer import FORWARDED, HEADERS, PATH, Issuer

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
type Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_PATHS = frozenset((PATH, f"{PATH}/"))


class IssuanceLane:
    """Answers ``GET /next-tracking-number`` at a third of what Django's own handler costs before it does anything.

    What Django's middleware would decide (Host, HTTPS, methods) is not decided again here: a request that is not
    plainly in order goes to Django.
    """

    def __init__(self, django: Application, issuer: Callable[[], Issuer]) -> None:
        self._django = django
        self._issuer = issuer
        self._security = security_headers()
        self._lines: dict[Head, bytes] = {}
        self._https_only = settings.SECURE_SSL_REDIRECT
        self._looked_at = HEADERS | {FORWARDED} if settings.ENV.trusted_proxies else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["path"] not in _PATHS or scope["method"] != "GET":
            await self._django(scope, receive, send)
            return
        given = interesting(scope["headers"], self._looked_at)
        if not is_our_host(given.get(b"host", b"")) or (
            self._https_only and scope["scheme"] != "https" and given.get(b"x-forwarded-proto") != b"https"
        ):
            await self._django(scope, receive, send)
            return
        peer = client[0] if (client := scope.get("client")) else ""
        answer = await self._issuer().issue(scope["query_string"], given, peer)
        ANSWERED[answer.status] += 1
        body = answer.body
        if (extensions := scope.get("extensions")) and (whole := extensions.get(WHOLE_RESPONSE)):
            lines = self._lines.get(answer.head) or self._render(answer.head)
            if answer.more:
                lines += _lines(answer.more)
            whole(answer.status, b"%sx-request-id: %s\r\n" % (lines, answer.request_id), body)
            return
        headers = [*answer.headers, *self._security, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _render(self, head: Head) -> bytes:
        lines = self._lines[head] = _lines((*head.headers, *self._security))
        return lines


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%s: %s\r\n" % header for header in headers])


def interesting(headers: Iterable[tuple[bytes, bytes]], names: Container[bytes]) -> dict[bytes, bytes]:
    """The headers that the issuer looks at; one that is given twice has its values joined by a comma."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in names:
            found[name] = value if name not in found else found[name] + b"," + value
    return found


@lru_cache(1024)
def is_our_host(host: bytes) -> bool:
    """Whether Django would take this Host header."""
    domain, _ = split_domain_port(host.decode("latin-1"))
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def security_headers() -> Headers:
    """The headers that Django's security middleware puts on every answer, asked of that middleware itself."""
    request = HttpRequest()
    request.META = {"wsgi.url_scheme": "https", "HTTP_X_FORWARDED_PROTO": "https"}

    def bare(_: HttpRequest) -> HttpResponse:
        return HttpResponse()

    response = cast("HttpResponse", SecurityMiddleware(XFrameOptionsMiddleware(bare))(request))
    return tuple((name.lower().encode(), value.encode()) for name, value in response.items() if name != "Content-Type")
