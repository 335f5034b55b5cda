"""Sessions, logins, messages and the content policy of the console; no other path pays for them."""

from typing import Final

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.utils.deprecation import MiddlewareMixin

CONSOLE: Final = "/console/"


class _OnlyThere(MiddlewareMixin):
    """Passes everything else on untouched."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        if request.path_info.startswith(CONSOLE):
            response: HttpResponseBase = super().__call__(request)  # type: ignore[assignment]  # likewise
            return response
        return self.get_response(request)  # type: ignore[return-value]  # likewise


class Sessions(_OnlyThere, SessionMiddleware):
    """Django's sessions."""


class Logins(_OnlyThere, AuthenticationMiddleware):
    """Django's `request.user`."""


class Messages(_OnlyThere, MessageMiddleware):
    """Django's messages."""


class Policy(_OnlyThere, ContentSecurityPolicyMiddleware):
    """Django's header Content-Security-Policy."""
