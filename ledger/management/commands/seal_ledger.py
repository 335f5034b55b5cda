"""``manage.py seal_ledger``: append events to the log, sign it and publish it, until told to stop."""

import gc
import logging
import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.env import SettingsError
from ledger import runtime, standby
from ledger.sealer import WrongKeyError
from ledger.standby import Sealed


class Command(BaseCommand):
    """Runs one sealer; any number may run, and one of them is active."""

    help = "Append events to the log, sign it and publish it. Start two: one is active, the other stands by."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until the process is ended, which is safe at any moment."""
        # What start-up made stays, and a tick makes no cycles: collections took a quarter of its CPU.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        # As process 1 of a container it would not be ended by a signal that it has no handler for.
        signal.signal(signal.SIGTERM, _end)
        try:
            standby.run(runtime.work(), _traces())
        except (SettingsError, WrongKeyError) as error:
            raise CommandError(str(error)) from None


def _traces() -> Sealed | None:
    """What makes a span of a tick, where something is traced."""
    if settings.ENV.otel_exporter_otlp_endpoint is None:
        return None
    from core import tracing  # noqa: PLC0415  # only here, so that it is not imported where nothing is traced

    return tracing.sealed


def _end(*_: object) -> None:
    # What the database is doing for us is cancelled, and nobody need know how that went.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    sys.exit(0)
