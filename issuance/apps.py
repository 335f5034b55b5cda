"""Issuance as a Django app."""

from django.apps import AppConfig


class IssuanceConfig(AppConfig):
    """The write side: numbers, leases, the endpoint."""

    name = "issuance"
