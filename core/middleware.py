"""What Django leaves open and the issuance lane does not."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from core import problems


def require_host(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse a request without a Host header (RFC 9112, section 3.2); Django would take the server's own name."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.META.get("HTTP_HOST"):
            return problems.respond(request, problems.BAD_REQUEST)
        return get_response(request)

    return middleware
