"""Every path of the service but the issuance lane's fast way in."""

from django.urls import include, path, re_path

from issuance.api import NextTrackingNumberView

urlpatterns = [
    # The slash at the end is optional, since a redirect would be a second request.
    re_path(r"^next-tracking-number/?$", NextTrackingNumberView.as_view()),
    path("", include("schema.urls")),
]

handler400 = "core.problems.bad_request"
handler404 = "core.problems.not_found"
handler500 = "core.problems.server_error"
