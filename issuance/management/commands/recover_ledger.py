"""``manage.py recover_ledger``: after a restore, put back what was published and go on above the fence."""

import time
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.databases import OWNER_ROLE
from core.env import Env, SettingsError
from core.progress import Progress
from issuance import runtime
from issuance.domain.errors import FenceError, UnavailableError
from issuance.recovery import Outside, Plan, Recovery, alone
from ledger import recovery_record
from ledger import runtime as ledger
from ledger.domain.note import NoteError
from ledger.guard import RestoredError
from ledger.log import LogError
from ledger.publication import PublicationError
from ledger.recovery import RecoveryError
from ledger.role_session import RoleError, session


class Command(BaseCommand):
    """Says what a restored database lacks; with ``--yes`` puts it right."""

    help = (
        "After a restore: compare the database with the published log and the fence, and say what it lacks. With --yes "
        "put the missing events back from the published bundles, go on leasing above the fence, and record what was "
        "done. Works as the owner (DATABASE_OWNER_URL); reads fence and publication, and writes neither."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--yes", action="store_true", help="do what the command says that it would do")
        parser.add_argument(
            "--above",
            type=int,
            metavar="BLOCK",
            help="where the fence is lost or was set back: the highest block that may have been used, generously",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        progress = Progress()
        try:
            with session(settings.DATABASE_OWNER_URL, OWNER_ROLE, "tracking-recovery") as connection, alone(connection):
                recovery = Recovery(connection, _outside(settings.ENV, options["above"]))
                plan = recovery.plan
                self._say(_matter(plan))
                if not plan.needed:
                    return
                began = time.monotonic()
                if not options["yes"]:
                    recovery.check(progress.show)
                    progress.end()
                    self._say(f"With --yes this command would {_intent(plan)}.")
                    return
                record = recovery.recover(progress.show)
                progress.end()
        except (RecoveryError, RoleError, SettingsError, NoteError, FenceError, UnavailableError) as error:
            raise CommandError(str(error)) from None
        except (RestoredError, PublicationError, LogError) as error:
            raise CommandError(str(error)) from None
        except psycopg.errors.UndefinedTable:
            raise CommandError("This database has no ledger, or an older one. Run `manage.py migrate`.") from None
        except psycopg.Error as error:
            raise CommandError(
                f"The database failed: {str(error).strip()} What was put back stays; run this again."
            ) from None
        for sentence in recovery_record.told(record):
            self._say(sentence)
        seconds = time.monotonic() - began
        if plan.missing:
            self._say(f"The root is the published one. {seconds:.1f} s, {plan.missing / seconds:,.0f} leaves/s.")
        self._say("Start the service and the sealer; `manage.py verify_ledger` checks all of it.")

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)


def _outside(env: Env, above: int | None) -> Outside:
    numbering = runtime.numbering(env)
    return Outside(
        runtime.fence(env),
        ledger.place(env),
        ledger.verifier(env),
        env.shard,
        numbering.fingerprint,
        numbering.encode,
        above,
    )


def _matter(plan: Plan) -> str:
    if not plan.needed:
        return f"Nothing is missing: the database has {plan.leaves} leaves, {plan.published} are published."
    said = f"The database's log has {plan.leaves} leaves, {plan.published} were published"
    if plan.blocks:
        said += f"; blocks {plan.blocks[0]} to {plan.blocks[-1]} were leased, and it does not know of them"
    return f"{said}."


def _intent(plan: Plan) -> str:
    steps = []
    if plan.takes_over:
        steps.append("take the fence's allocator into this database")
    if plan.missing:
        steps.append(f"put back leaves {plan.leaves} to {plan.published - 1}, which are all there and fit")
    if plan.blocks:
        steps.append(f"write off blocks {plan.blocks[0]} to {plan.blocks[-1]}, and go on leasing above them")
    return ", ".join(steps)
