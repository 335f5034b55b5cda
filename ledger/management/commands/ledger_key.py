"""``manage.py ledger_key``: print the log's verifier key; ``--make NAME``: make a new signing key."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.env import SettingsError
from ledger import runtime
from ledger.domain.note import NoteError, SignerKey


class Command(BaseCommand):
    """Tells auditors what to verify with, and operators what to sign with."""

    help = "Print the verifier key of the log, which is public; with --make NAME print a new signing key, a secret."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare ``--make``."""
        parser.add_argument(
            "--make",
            metavar="NAME",
            help="make a signing key for a log of this name, like tracking.example/log; keep it secret, as LEDGER_KEY",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        try:
            if options["make"] is not None:
                self.stdout.write(SignerKey.make(options["make"]).export())
            else:
                self.stdout.write(str(runtime.verifier(settings.ENV)))
        except (SettingsError, NoteError) as error:
            raise CommandError(str(error)) from None
