"""The staff as a Django app."""

from django.apps import AppConfig


class StaffConfig(AppConfig):
    """Whoever may log in to the console: their table and commands."""

    name = "core.staff"
    label = "staff"
