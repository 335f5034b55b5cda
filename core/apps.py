"""The project itself as a Django app: its commands and system checks."""

from django.apps import AppConfig
from django.core.checks import Tags, register

from core.checks import serving_login


class CoreConfig(AppConfig):
    """What every app may use."""

    name = "core"

    def ready(self) -> None:
        """Register the system check of the database."""
        register(serving_login, Tags.database)
