"""`migrate`, as the owner of the tables: the login that serves may not change them."""

from django.core.management.base import CommandParser
from django.core.management.commands import migrate


class Command(migrate.Command):
    """Django's own, on the database alias `owner` unless `--database` says otherwise."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Change two defaults: checks of the code, which import all of the web, are `make check`'s."""
        super().add_arguments(parser)
        parser.set_defaults(database="owner", skip_checks=True)
