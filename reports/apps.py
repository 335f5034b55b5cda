"""The reports as a Django app."""

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """What is counted of the events."""

    name = "reports"
