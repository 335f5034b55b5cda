"""The paths of the reports."""

from django.urls import path

from reports.api import views

urlpatterns = [
    path("v1/customers/<str:customer_id>/stats", views.CustomerStatsView.as_view()),
]
