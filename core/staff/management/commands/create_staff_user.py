"""``manage.py create_staff_user``: makes a login for the console and prints its one-time password."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from core.staff import store


class Command(BaseCommand):
    """Make a login for the console."""

    help = (
        "Make a login for the console and print its one-time password, which must be changed at the first login. "
        "It is shown this once; only a hash of it is kept."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Who, and whether there may be such a login already."""
        parser.add_argument("name", type=_name, help="what you call the login, such as ada or night-shift")
        parser.add_argument(
            "--again",
            action="store_true",
            help="if there is this login already: give it a new password, end its sessions, let it in again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        name = options["name"]
        try:
            password = store.create(name) or (store.renew(name) if options["again"] else None)
        except DatabaseError as error:
            raise CommandError(f"The login could not be kept: {str(error).strip()}") from None
        if password is None:
            raise CommandError("There is this login already; with --again it gets a new one-time password.")
        self.stdout.write(password)


def _name(text: str) -> str:
    if not store.NAME.fullmatch(text):
        raise ArgumentTypeError("a name has 1 to 64 of a-z, 0-9, dot, hyphen and underscore; it begins with a-z or 0-9")
    return text
