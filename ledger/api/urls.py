"""The paths of the log."""

from django.urls import path

from ledger.api import views

urlpatterns = [
    path("checkpoint", views.CheckpointView.as_view()),
    path("tile/<path:path>", views.TileView.as_view()),
    path("v1/tracking-numbers/<str:number>/proof", views.ProofView.as_view()),
]
