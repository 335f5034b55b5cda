"""``manage.py create_api_key``: makes a key and prints it, once."""

import re
import uuid
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from core.keys import store
from core.keys.domain import Scope

_UUID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
_MOST_DAYS = 36_500


class Command(BaseCommand):
    """Make an API key."""

    help = "Make an API key and print it. It is shown this once; only a hash of it is kept."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Who it is for, what it may do, and for how long."""
        parser.add_argument("name", type=_name, help="what you call it, such as the name of the system that uses it")
        parser.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=[str(scope) for scope in Scope],
            help="what it may be used for; may be given several times",
        )
        parser.add_argument("--customer", type=_customer, metavar="UUID", help="bind it to this one customer")
        parser.add_argument("--days", type=_days, help="how long it is good; without this, until it is revoked")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        days = options["days"]
        try:
            text = store.create(
                options["name"],
                {Scope(scope) for scope in options["scope"]},
                customer_id=options["customer"],
                expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
            )
        except DatabaseError as error:
            raise CommandError(f"The key could not be kept, so there is none: {str(error).strip()}") from None
        self.stdout.write(text)


def _name(text: str) -> str:
    if not 1 <= len(text) <= 100 or not text.isprintable():  # noqa: PLR2004  # as api_key.sql has it
        raise ArgumentTypeError("a name has 1 to 100 printable characters")
    return text


def _customer(text: str) -> bytes:
    if not _UUID.fullmatch(text):
        raise ArgumentTypeError("a customer's id is a UUID: hex digits as 8-4-4-4-12")
    return uuid.UUID(text).bytes


def _days(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= _MOST_DAYS:
        raise ArgumentTypeError(f"days are a number from 1 to {_MOST_DAYS}")
    return int(text)
