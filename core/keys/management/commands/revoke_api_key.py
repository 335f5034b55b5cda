"""``manage.py revoke_api_key``: ends a key for good."""

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from core.keys import domain, store
from core.keys.callers import FRESH


class Command(BaseCommand):
    """Revoke an API key."""

    help = "Revoke an API key, by its id or by its text. There is no way back; make another one instead."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Which one."""
        parser.add_argument("key", help="its id, as list_api_keys prints it, or the key itself")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        identity = _identity(options["key"])
        try:
            revoked = identity is not None and store.revoke(identity)
        except DatabaseError as error:
            raise CommandError(f"The key could not be revoked: {str(error).strip()}") from None
        if not revoked:
            raise CommandError("There is no such key, or it is revoked already. `manage.py list_api_keys` lists them.")
        self.stdout.write(f"Key {identity} is revoked; processes that remember it notice within {FRESH:.0f} seconds.")


def _identity(given: str) -> int | None:
    """The id that a key's text or an id names; None where that can't be one."""
    named = domain.read(given)
    if named is not None:
        return named.id
    return int(given) if re.fullmatch("[0-9]{1,16}", given) and int(given) <= domain.LARGEST_ID else None
