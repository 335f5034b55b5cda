"""``manage.py end_staff_user``: keeps a login out of the console."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from core.staff import store


class Command(BaseCommand):
    """End a login."""

    help = "Keep a login out of the console, at once. `create_staff_user --again` lets it in again."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Which one."""
        parser.add_argument("name", help="the login")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        try:
            ended = store.end(options["name"])
        except DatabaseError as error:
            raise CommandError(f"The login could not be ended: {str(error).strip()}") from None
        if not ended:
            raise CommandError("There is no such login, or it is ended already.")
        self.stdout.write("The login is ended, with all its sessions.")
