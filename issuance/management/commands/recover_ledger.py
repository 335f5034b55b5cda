"""``manage.py recover_ledger``: after a restore, put back what was published and go on above the fence."""

import time
from contextlib import nullcontext
from typing import Any

import msgspec
import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.databases import OWNER_ROLE
from core.env import Env, SettingsError
from core.progress import Progress
from issuance.configured import fence, numbering
from issuance.domain.errors import FenceError, UnavailableError
from issuance.recovery import Outside, Plan, Recovery, alone
from ledger import recovery_record
from ledger import runtime as ledger
from ledger.domain.note import NoteError, VerifierKey
from ledger.guard import RestoredError
from ledger.log import Connection, LogError
from ledger.publication import Publication, PublicationError
from ledger.recovery import RecoveryError
from ledger.recovery_record import Record
from ledger.role_session import RoleError, session

_TOLD = (
    *(RecoveryError, RoleError, SettingsError, NoteError, FenceError, UnavailableError),
    *(RestoredError, PublicationError, LogError),
)


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

        parser.add_argument(
            "--new-log",
            metavar="REASON",
            help="where bundles are gone for good: end the log, and begin a new one, under a LEDGER_KEY of another "
            "name and with an empty PUBLICATION; the reason is recorded",
        )
        parser.add_argument("--old-key", metavar="VKEY", help="with --new-log: the verifier key of the log that ends")
        parser.add_argument(
            "--old-publication",
            metavar="PLACE",
            help="with --new-log: where there is something left of the log that ends",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        self._progress = Progress()
        run = self._recover if options["new_log"] is None else self._end_log
        try:
            with (
                session(settings.DATABASE_OWNER_URL, OWNER_ROLE, "tracking-recovery") as connection,
                alone(connection) if options["yes"] else nullcontext(),
            ):
                record = run(connection, settings.ENV, options)
        except _TOLD as error:
            raise CommandError(str(error)) from None
        except psycopg.errors.UndefinedTable:
            raise CommandError("This database has no ledger, or an older one. Run `manage.py migrate`.") from None
        except psycopg.Error as error:
            raise CommandError(
                f"The database failed: {str(error).strip()} What was put back stays; run this again."
            ) from None
        finally:
            self._progress.end()
        if record is not None:
            self._say("Start the service and the sealer; `manage.py verify_ledger` checks all of it.")

    def _recover(self, connection: Connection, env: Env, options: dict[str, Any]) -> Record | None:
        recovery = Recovery(connection, _outside(env, ledger.place(env), ledger.verifier(env), options["above"]))
        plan, began = recovery.plan, time.monotonic()
        self._say(_matter(plan))
        if not plan.needed:
            return None
        if not options["yes"]:
            recovery.check(self._progress.show)
            self._say(f"With --yes this command would {', '.join(_steps(plan))}.")
            return None
        record = self._told(recovery.recover(self._progress.show))
        if plan.missing:
            seconds = time.monotonic() - began
            self._say(f"The root is the published one. {seconds:.1f} s, {plan.missing / seconds:,.0f} leaves/s.")
        return record

    def _end_log(self, connection: Connection, env: Env, options: dict[str, Any]) -> Record | None:
        place, key = _ended(env, options["old_key"], options["old_publication"])
        recovery = Recovery(connection, _outside(env, place, key, options["above"]))
        plan = recovery.plan
        self._say(_matter(plan))
        if not options["yes"]:
            begin = f"end the log {key.name} for ever, and begin a new one with the {plan.leaves} leaves that are here"
            self._say(f"With --yes this command would {', '.join([*_steps(plan, 'what there is of'), begin])}.")
            return None
        return self._told(recovery.end_log(options["new_log"], self._progress.show))

    def _told(self, record: Record) -> Record:
        self._progress.end()
        for sentence in recovery_record.told(record):
            self._say(sentence)
        return record

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)


def _ended(env: Env, old_key: str | None, old_publication: str | None) -> tuple[Publication | None, VerifierKey]:
    """The publication and the key of the log that ends; RecoveryError where its successor is not another one."""
    if old_key is None:
        raise RecoveryError("Say with --old-key which log ends; its verifier key is what auditors have.")
    old, new = VerifierKey.parse(old_key.strip()), ledger.verifier(env)
    if old.name == new.name:
        raise RecoveryError(
            f"A new log needs a new name, and LEDGER_KEY has the old one, {old.name}. Make a key with another: "
            "`manage.py ledger_key --make NAME`."
        )
    place = ledger.place(env)
    if place.read_checkpoint() is not None:
        raise RecoveryError(f"{place} has a checkpoint already. Set PUBLICATION to a place where nothing is.")
    if old_publication is None:
        return None, old
    return ledger.place(msgspec.structs.replace(env, publication=old_publication)), old


def _outside(env: Env, place: Publication | None, key: VerifierKey, above: int | None) -> Outside:
    numbers = numbering(env)
    return Outside(
        fence(env),
        place,
        key,
        env.shard,
        numbers.fingerprint,
        numbers.encode,
        above,
    )


def _matter(plan: Plan) -> str:
    if not plan.needed:
        return f"Nothing is missing: the database has {plan.leaves} leaves, {plan.published} are published."
    said = f"The database's log has {plan.leaves} leaves, {plan.published} were published"
    if plan.blocks:
        said += f"; blocks {plan.blocks[0]} to {plan.blocks[-1]} were leased, and it does not know of them"
    return f"{said}."


def _steps(plan: Plan, which: str = "the") -> list[str]:
    steps = []
    if plan.takes_over:
        steps.append("take the fence's allocator into this database")
    if plan.missing:
        steps.append(f"put back {which} leaves {plan.leaves} to {plan.published - 1}")
    if plan.blocks:
        steps.append(f"write off blocks {plan.blocks[0]} to {plan.blocks[-1]}, and go on leasing above them")
    return steps
