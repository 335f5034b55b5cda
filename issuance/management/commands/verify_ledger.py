"""``manage.py verify_ledger``: recompute the whole log from the event rows, and say what does not fit."""

import time
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from psycopg import sql

from core.databases import APPLICATION_ROLE
from core.env import Env, SettingsError
from core.progress import Progress
from issuance.configured import numbering
from ledger import recovery_record, runtime
from ledger.domain.note import NoteError, VerifierKey
from ledger.log import LogError
from ledger.publication import PublicationAwayError
from ledger.verify import Verdict, verify

FAULTS, NOT_CHECKED = 1, 2
"""Exit codes."""


class Command(BaseCommand):
    """Checks rows, numbers, tiles, state and every checkpoint; the exit code is 0, 1 with faults, 2 if it can't."""

    help = (
        "Recompute the log from the events, and compare: numbers, leaves, tiles, state, every checkpoint, and the "
        "published one. Exit code 0: everything fits; 1: it does not; 2: it could not be checked."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare ``--key``."""
        parser.add_argument(
            "--database-only", action="store_true", help="compare with no publication: of a copy, while the log goes on"
        )
        parser.add_argument("--key", metavar="VKEY", help="verify with this verifier key, not with that of LEDGER_KEY")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        env: Env = settings.ENV
        began = time.monotonic()
        progress = Progress()
        try:
            key = runtime.verifier(env) if options["key"] is None else VerifierKey.parse(options["key"].strip())
            place = None if options["database_only"] else runtime.place(env)
            with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection:
                connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(APPLICATION_ROLE)))
                verdict = verify(connection, key, numbering(env).encode, place, progress.show)
                records = recovery_record.read(connection)
        except (SettingsError, NoteError, PublicationAwayError) as error:
            raise CommandError(str(error), returncode=NOT_CHECKED) from None
        except LogError as error:
            raise CommandError(str(error), returncode=FAULTS) from None
        except psycopg.errors.UndefinedTable:
            raise CommandError(
                "This database has no ledger. Run `manage.py migrate`.", returncode=NOT_CHECKED
            ) from None
        except psycopg.Error as error:
            raise CommandError(f"The ledger can't be read: {str(error).strip()}", returncode=NOT_CHECKED) from None
        finally:
            progress.end()
        for at, record in records:
            for sentence in recovery_record.told(record):
                self.stdout.write(f"{at:%Y-%m-%d %H:%M:%S}Z: {sentence}")
        self._report(verdict, time.monotonic() - began)

    def _report(self, verdict: Verdict, seconds: float) -> None:
        self.stdout.write(
            f"{verdict.leaves} leaves, {verdict.tiles} full tiles and {verdict.checkpoints} checkpoints checked in "
            f"{seconds:.1f} s, {verdict.leaves / seconds:,.0f} leaves/s."
        )
        if verdict.cosignatures:
            self.stdout.write(f"{verdict.cosignatures} cosignatures of witnesses checked.")
        if verdict.unsealed is not None:
            self.stdout.write(f"{verdict.unsealed} events are not sealed yet.")
        for fault in verdict.faults:
            self.stdout.write(self.style.ERROR(fault))
        if verdict.faults:
            raise CommandError("The ledger is not what was signed.", returncode=FAULTS)
        self.stdout.write("Everything fits.")
