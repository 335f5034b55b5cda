"""The few plain pages that the contract refers to."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularYAMLAPIView

from core import problems

READ = ["get", "head"]  # to OPTIONS DRF would answer with a description, for which these have no renderer


class OpenApi(SpectacularYAMLAPIView):
    """The OpenAPI document."""

    scope = None
    http_method_names = READ


@require_safe
def problem(request: HttpRequest, slug: str) -> HttpResponse:
    """What a problem type means and what to do about it (RFC 9457, section 3.1.1)."""
    del request
    for kind in problems.ALL:
        if kind.slug == slug:
            return HttpResponse(f"{kind.title}.\n\n{kind.advice}\n", content_type="text/plain; charset=utf-8")
    raise Http404


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Keep crawlers away: a number lies behind a GET."""
    del request
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain; charset=utf-8")


@require_safe
def front(request: HttpRequest) -> HttpResponse:
    """Whoever opens the bare address wants the documentation."""
    del request
    return HttpResponseRedirect("/docs")
