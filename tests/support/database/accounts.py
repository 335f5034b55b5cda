"""What `manage.py account_numbers` says of a database, and what its nights have noted."""

import json
from io import StringIO
from typing import Any, NamedTuple

import msgspec
import psycopg
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from ledger.domain.serial import BLOCK_SIZE
from reports.accounting import MOST_BLOCKS, account_numbers
from reports.session import Turn, session, turn
from tests.plugin import Database
from tests.support.log.tampering import NUMBERS

_NIGHTS = "SELECT leased, issued, burned, held, end_block, open_blocks, wrong, faults FROM number_account ORDER BY id"


class Sums(NamedTuple):
    """Serials."""

    leased: int
    issued: int
    burned: int
    held: int


class Outcome(NamedTuple):
    """What the command came to; ``blocks`` by their ids, of those that are not all issued."""

    code: int
    sums: Sums
    faults: list[str]
    blocks: dict[int, dict[str, Any]]
    document: dict[str, Any]


def account(database: Database, **changes: Any) -> Outcome:
    """Run it in this process; as a command of its own it takes ten times as long to start."""
    env = msgspec.structs.replace(settings.ENV, database_url=database.url, **changes)
    out, code = StringIO(), 0
    with override_settings(ENV=env, DATABASE_URL=database.url):
        try:
            call_command("account_numbers", "--json", "--blocks", stdout=out)
        except CommandError as error:
            if not out.getvalue():
                raise
            code = error.returncode
    *blocks, document = (json.loads(line) for line in out.getvalue().splitlines())
    sums = Sums(*(document[name] for name in Sums._fields))
    assert sums.leased == sums.issued + sums.burned + sums.held
    assert sums.leased % BLOCK_SIZE == 0
    for each in blocks:
        assert each["issued"] + each["burned"] + each["held"] == BLOCK_SIZE
        assert each["issued"] < BLOCK_SIZE
    for name in ("burned", "held"):
        assert sum(each[name] for each in blocks) == document[name]
    return Outcome(code, sums, document["faults"], {each["block"]: each for each in blocks}, document)


def night(database: Database, most: int = MOST_BLOCKS) -> list[str]:
    """Account as the worker does each night; what was wrong."""
    with session(database.reporter_url) as connection, turn(connection, Turn.ACCOUNTING) as mine:
        assert mine
        return account_numbers(connection, NUMBERS, 0, most)


class Night(NamedTuple):
    """What was noted of one."""

    sums: Sums
    end: int
    open: list[int]
    wrong: int
    faults: list[str]


def nights(database: Database) -> list[Night]:
    """All that was noted."""
    with psycopg.connect(database.owner_url) as connection:
        return [Night(Sums(*row[:4]), *row[4:]) for row in connection.execute(_NIGHTS)]
