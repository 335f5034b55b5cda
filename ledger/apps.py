"""The ledger as a Django app."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    """What was issued, kept for ever."""

    name = "ledger"
