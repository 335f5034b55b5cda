"""Every path of the service but the issuance lane's fast way in."""

from django.conf import settings
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from core import (
    drf,  # noqa: F401  # first, since it leaves out what else DRF would bring
    health,
)
from core.converters import AnyText
from core.scraping import MetricsView
from issuance import readiness
from issuance.api import NextTrackingNumberView
from issuance.bulk_api import TrackingNumbersViewSet
from issuance.validate import ValidateView
from reports import readings

register_converter(AnyText, "text")

urlpatterns = [
    path("next-tracking-number", NextTrackingNumberView.as_view()),
    # Answered, not redirected: a redirect would make a second request. One of the two is enough in the schema.
    path("next-tracking-number/", NextTrackingNumberView.as_view(schema=None)),
    path("v1/validate/<text:number>", ValidateView.as_view()),
    path("v1/tracking-numbers", TrackingNumbersViewSet.as_view({"get": "list", "post": "issue"})),
    path("livez", health.livez),
    path("readyz", health.readyz(readiness.checks)),
    path("metrics", MetricsView.as_view(readings=readings.read)),
    path("", include("ledger.api.urls")),
    path("", include("reports.api.urls")),
    path("", include("schema.urls")),
]

if not settings.ENV.coordinator:  # the console is that of one ledger; each shard has its own
    urlpatterns += [
        path("console", RedirectView.as_view(url="/console/")),
        path("console/", include("reports.console.urls")),
    ]

handler400 = "core.problems.bad_request"
handler404 = "core.problems.not_found"
handler500 = "core.problems.server_error"
