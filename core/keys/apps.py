"""The keys as a Django app."""

from django.apps import AppConfig


class KeysConfig(AppConfig):
    """API keys: their table and commands."""

    name = "core.keys"
    label = "keys"
