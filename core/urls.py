"""Every path of the service but the issuance lane's fast way in."""

from django.urls import include, path

from core import health
from issuance.api import NextTrackingNumberView

urlpatterns = [
    path("next-tracking-number", NextTrackingNumberView.as_view()),
    # Answered, not redirected: a redirect would make a second request. One of the two is enough in the schema.
    path("next-tracking-number/", NextTrackingNumberView.as_view(schema=None)),
    path("livez", health.livez),
    path("", include("ledger.api.urls")),
    path("", include("reports.api.urls")),
    path("", include("schema.urls")),
]

handler400 = "core.problems.bad_request"
handler404 = "core.problems.not_found"
handler500 = "core.problems.server_error"
