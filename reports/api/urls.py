"""The paths of the reports."""

from django.urls import path

from reports.api.daily import CorrectionsView, DailyReportsView, DailyReportView
from reports.api.views import CustomerStatsView

urlpatterns = [
    path("v1/customers/<str:customer_id>/stats", CustomerStatsView.as_view()),
    path("v1/reports/daily", DailyReportsView.as_view()),
    path("v1/reports/daily/<str:day>", DailyReportView.as_view()),
    path("v1/reports/daily/<str:day>/corrections", CorrectionsView.as_view()),
]
