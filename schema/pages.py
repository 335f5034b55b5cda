"""Swagger UI and Redoc from the sidecar's files; whoever reads them is known to this service alone."""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import etag, require_safe
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.response import Response

from schema.views import READ

# Both write styles of their own into the page; Redoc searches in a worker that it makes of a blob, and Swagger UI shows
# a picture that was answered as one.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REDOC: Final = "drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js"
_LOGO: Final = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
_NOTHING: Final = b"data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


class Swagger(SpectacularSwaggerSplitView):
    """Swagger UI; the template that comes with it doesn't tell a screen reader its language."""

    scope = None
    http_method_names = READ
    template_name = "schema/swagger.html"

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        """Keep the page from loading anything from elsewhere."""
        return _policed(super().finalize_response(*args, **kwargs))


class Redoc(SpectacularRedocView):
    """Redoc; the template that comes with it asks Google for its fonts."""

    scope = None
    http_method_names = READ
    template_name = "schema/redoc.html"

    @staticmethod
    def _redoc_standalone() -> str:
        return reverse("redoc-script")

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        """Keep the page from loading anything from elsewhere."""
        return _policed(super().finalize_response(*args, **kwargs))


@lru_cache(1)
def _redoc_script() -> bytes:
    found = finders.find(_REDOC)
    assert isinstance(found, str)  # noqa: S101  # the sidecar has it, and a test asks for it
    return Path(found).read_bytes().replace(_LOGO, _NOTHING)


@require_safe
@gzip_page
@cache_control(public=True, max_age=3600)
@etag(lambda _: f'"{sha256(_redoc_script()).hexdigest()[:32]}"')
def redoc_script(request: HttpRequest) -> HttpResponse:
    """Redoc itself, but for the logo that it would have each reader fetch from its maker."""
    del request
    return HttpResponse(_redoc_script(), content_type="text/javascript; charset=utf-8")


def _policed(response: Response) -> Response:
    response["Content-Security-Policy"] = _POLICY
    return response
