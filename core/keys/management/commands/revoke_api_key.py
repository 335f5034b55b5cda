"""``manage.py revoke_api_key``: ends a key for good."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.keys import domain, store
from core.keys.callers import FRESH


class Command(BaseCommand):
    """Revoke an API key."""

    help = "Revoke an API key, by its id or by its text. There is no way back; make another one instead."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which one."""
        parser.add_argument("key", help="its id, as list_api_keys prints it, or the key itself")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        given: str = options["key"]
        named = domain.read(given)
        identity = named.id if named else int(given) if given.isascii() and given.isdecimal() else 0
        if not 1 <= identity <= domain.LARGEST_ID or not store.revoke(identity):
            raise CommandError("There is no such key, or it is revoked already. `manage.py list_api_keys` lists them.")
        self.stdout.write(f"Key {identity} is revoked; processes that remember it notice within {FRESH:.0f} seconds.")
