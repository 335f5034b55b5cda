"""Issuance as a Django app."""

from django.apps import AppConfig


class IssuanceConfig(AppConfig):
    """The write side: numbers, leases, the endpoint."""

    name = "issuance"

    def ready(self) -> None:
        """Tell the ledger, which knows no numbering, how a number tells its serial: reads across shards go by it."""
        from issuance import runtime  # noqa: PLC0415  # models can't be imported before the apps are there
        from ledger.shards import Numbers  # noqa: PLC0415

        Numbers.serial_of = staticmethod(runtime.serial_of)
