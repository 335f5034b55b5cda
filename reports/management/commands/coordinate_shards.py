"""``manage.py coordinate_shards FILE``: make this database the coordinator of the shards that a file names."""

import sys
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.env import SettingsError
from issuance.configured import numbering
from ledger import coordinator
from ledger.coordinator import CoordinatorError
from ledger.runtime import key_ring
from reports import across


class Command(BaseCommand):
    """Sets up reading across shards; docs/scaling.md says when and how."""

    help = (
        "Make the database of DATABASE_OWNER_URL, a superuser's, the coordinator of shards: a database of its own that "
        "was migrated, and into which nothing is issued. Give all shards in a file, one a line as `<0 to 31> "
        "postgresql://<login>:<password>@<host>/<database> <verifier key of its log>`, or on standard input by `-`. "
        "Run it again when a shard is added or moved, and after each upgrade; then restart the instances with "
        "COORDINATOR=1."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the file, so that no password stands on a command line."""
        parser.add_argument("file", help="the file that names the shards, or - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        zone = settings.ENV.report_time_zone
        try:
            text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text(encoding="utf-8")
            shards = coordinator.parse(text)
            coordinator.check(shards, numbering(settings.ENV).fingerprint, key_ring(settings.ENV))
            with psycopg.connect(settings.DATABASE_OWNER_URL, autocommit=True) as connection:
                coordinator.coordinate(connection, shards, coordinator.RELATIONS | across.RELATIONS, zone)
        except (CoordinatorError, SettingsError, OSError, UnicodeDecodeError) as error:
            raise CommandError(str(error)) from None
        except psycopg.errors.UndefinedTable as error:
            raise CommandError(f"A database lacks what this version has; migrate it first: {error}".strip()) from None
        except psycopg.Error as error:
            raise CommandError(f"Nothing is changed: {str(error).strip()}") from None
        names = ", ".join(str(shard.number) for shard in shards)
        self.stdout.write(f"This database coordinates {len(shards)} shards: {names}.")
