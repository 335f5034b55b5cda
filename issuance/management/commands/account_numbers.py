"""``manage.py account_numbers``: say of every serial that was leased whether it is issued, burned or held."""

import json
import time
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from psycopg import sql

from core.databases import APPLICATION_ROLE
from core.env import Env, SettingsError
from core.progress import Progress
from issuance import accounts, capacity
from issuance.accounting import Account, Detail, account
from issuance.configured import numbering
from issuance.domain.capacity import MONTH, Space
from issuance.domain.errors import FenceError
from ledger.domain.serial import BLOCK_SIZE, SHARD_CAPACITY

WRONG, NOT_COUNTED = 1, 2
"""Exit codes."""
_LINE: Final = "{:>12} {:>20} {:>8} {:>8} {:>8}"


class Command(BaseCommand):
    """Accounts for the whole ledger; the exit code is 0, 1 where something must not be there, 2 if it can't."""

    help = (
        "Say of every serial that was leased whether it is issued, burned or held, and list the numbers that lie in no "
        "leased block or are not those of their serials. Exit code 0: all is accounted for; 1: it is not; 2: it could "
        "not be counted. It only reads."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare ``--blocks`` and ``--json``."""
        parser.add_argument("--blocks", action="store_true", help="list the blocks of which not all is issued, too")
        parser.add_argument("--json", action="store_true", help="write JSON, a document a line; the last has the sums")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        env: Env = settings.ENV
        self._json: bool = options["json"]
        progress, began = Progress("blocks"), time.monotonic()
        try:
            numbers = numbering(env)
            with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection:
                connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(APPLICATION_ROLE)))
                found = account(
                    *(connection, numbers, env.shard),
                    noted=accounts.newest(connection),
                    each=self._list if options["blocks"] else lambda _: None,
                    progress=progress.show,
                )
                space = capacity.space(connection.execute(capacity.STATEMENT, capacity.given(env.shard)).fetchone())
        except (SettingsError, FenceError) as error:
            raise CommandError(str(error), returncode=NOT_COUNTED) from None
        except psycopg.errors.UndefinedTable:
            raise CommandError(
                "This database has no ledger, or an old one. Run `manage.py migrate`.", returncode=NOT_COUNTED
            ) from None
        except psycopg.Error as error:
            raise CommandError(f"The ledger can't be read: {str(error).strip()}", returncode=NOT_COUNTED) from None
        finally:
            progress.end()
        (self._sums_as_json if self._json else self._sums)(found, space, time.monotonic() - began)
        if found.wrong:
            raise CommandError(
                f"{found.wrong:,} of what was found must not be there, and was not put there by this service.",
                returncode=WRONG,
            )

    def _list(self, block: Detail) -> None:
        """Show a block, if there is anything to tell."""
        _, issued, burned, held = block.figures
        if issued == BLOCK_SIZE:
            return
        if self._json:
            row = {"block": block.id, "writer": block.writer, "leased_at": block.leased_at.astimezone(UTC).isoformat()}
            self.stdout.write(json.dumps(row | block.figures._asdict()))
            return
        if not self._head_shown:
            self._head_shown = True
            self.stdout.write(_LINE.format("block", "leased at (UTC)", "issued", "burned", "held"))
        leased_at = f"{block.leased_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        self.stdout.write(_LINE.format(block.id, leased_at, issued, burned, held))

    _head_shown = False

    def _sums(self, found: Account, space: Space, seconds: float) -> None:
        leased, issued, burned, held = found.figures
        self.stdout.write(
            f"leased {leased:,} = issued {issued:,} + burned {burned:,} + held {held:,}, in {leased // BLOCK_SIZE:,} "
            "blocks."
        )
        date = space.runs_out(datetime.now(UTC))
        when = f"on {date:%Y-%m-%d}" if date else "not before the year 10000"
        self.stdout.write(
            f"{space.used:,} of the shard's {SHARD_CAPACITY:,} serials are leased, {space.percent}. At the rate of "
            f"the last {MONTH} days, {space.rate:,.0f} a day, they run out {when}."
        )
        self.stdout.write(f"{found.looked_at:,} numbers compared with their serials in {seconds:.1f} s.")
        for fault in found.faults:
            self.stdout.write(self.style.ERROR(fault))
        if not found.wrong:
            self.stdout.write("Everything is accounted for.")

    def _sums_as_json(self, found: Account, space: Space, _: float) -> None:
        date = space.runs_out(datetime.now(UTC))
        sums = found.figures._asdict() | {
            "capacity": SHARD_CAPACITY,
            "used": space.used,
            "a_day": round(space.rate),
            "runs_out": f"{date:%Y-%m-%d}" if date else None,
            "wrong": found.wrong,
            "faults": found.faults,
        }
        self.stdout.write(json.dumps(sums))
