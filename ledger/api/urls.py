"""The paths of the log and of what is known of a number; that of their list is where numbers are issued, too."""

from django.urls import path

from ledger.api import views
from ledger.api.numbers import BarcodeViewSet, TrackingNumberViewSet

urlpatterns = [
    path("checkpoint", views.CheckpointView.as_view()),
    path("witnessed-checkpoint", views.WitnessedView.as_view()),
    path("tile/<path:path>", views.TileView.as_view()),
    path("v1/tracking-numbers/<str:number>", TrackingNumberViewSet.as_view({"get": "retrieve"})),
    path("v1/tracking-numbers/<str:number>/barcode.svg", BarcodeViewSet.as_view({"get": "svg"})),
    path("v1/tracking-numbers/<str:number>/barcode.png", BarcodeViewSet.as_view({"get": "png"})),
    path("v1/tracking-numbers/<str:number>/proof", views.ProofView.as_view()),
]
