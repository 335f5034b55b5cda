"""The paths of the log, and of what is known of numbers."""

from django.urls import path

from ledger.api import views
from ledger.api.listing import TrackingNumberListViewSet

urlpatterns = [
    path("checkpoint", views.CheckpointView.as_view()),
    path("tile/<path:path>", views.TileView.as_view()),
    path("v1/tracking-numbers", TrackingNumberListViewSet.as_view({"get": "list"})),
    path("v1/tracking-numbers/<str:number>/proof", views.ProofView.as_view()),
]
