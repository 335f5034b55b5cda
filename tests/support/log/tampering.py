"""What someone with full power over a database can do to a ledger, and what verification says then."""

from io import StringIO
from typing import NamedTuple

import msgspec
import psycopg
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from issuance.domain.number import Numbering
from ledger import log
from ledger.domain import entry, merkle
from ledger.domain.growth import Growth
from tests.plugin import Database
from tests.support.processes.secret_keys import NUMBER_KEY

NUMBERS = Numbering(bytes.fromhex(NUMBER_KEY))
GUARDED = (
    *("issuance_event", "number_block", "tile", "checkpoint", "run", "block_cursor", "tree_state"),
    "cosignature",
)
VERDICT = "The ledger is not what was signed."


class Outcome(NamedTuple):
    """What verify_ledger came to."""

    code: int
    summary: str
    faults: list[str]
    said: str
    """What the command ended with, if it failed."""


def verify(database: Database, *arguments: str) -> Outcome:
    """Run verify_ledger in this process; as a command of its own it takes ten times as long to start."""
    env = msgspec.structs.replace(
        settings.ENV, database_url=database.url, fence=str(database.fence), publication=str(database.publication)
    )
    out, code, said = StringIO(), 0, ""
    with override_settings(ENV=env, DATABASE_URL=database.url):
        try:
            call_command("verify_ledger", *arguments, stdout=out, no_color=True)
        except CommandError as error:
            code, said = error.returncode, str(error)
    lines = out.getvalue().splitlines()
    kinds = (" checkpoints checked in ", " cosignatures of ", " events are not sealed yet.", "Everything fits.")
    summary = [line for line in lines if any(kind in line for kind in kinds)]
    return Outcome(code, " ".join(summary), [line for line in lines if line not in summary], said)


def caught(database: Database, *expected: tuple[str, ...]) -> list[str]:
    """Verification fails and says as many sentences as expected, each with all of its parts; returns them."""
    outcome = verify(database)
    assert (outcome.code, outcome.said) == (1, VERDICT), outcome
    assert "Everything fits." not in outcome.summary
    for parts in expected:
        assert any(all(part in fault for part in parts) for fault in outcome.faults), (parts, outcome.faults)
    assert len(outcome.faults) == len(expected), "nothing else may be blamed: " + "\n".join(outcome.faults)
    return outcome.faults


def tamper(database: Database, *statements: str) -> None:
    """Run statements as the superuser, with every guard put aside for the moment; each must change something."""
    with psycopg.connect(database.owner_url) as session:
        for table in GUARDED:
            session.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
        for statement in statements:
            assert session.execute(statement.encode()).rowcount > 0, statement
        for table in GUARDED:
            for (name,) in session.execute(
                "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", [table]
            ).fetchall():
                session.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}".encode())


def ask(database: Database, query: str) -> tuple[int, ...]:
    """One row of integers."""
    with psycopg.connect(database.owner_url) as session:
        row = session.execute(query.encode()).fetchone()
        assert row is not None, query
        return row


class Leaf(NamedTuple):
    """A leaf of the untouched log."""

    number: str
    serial: int


def leaf(database: Database, index: int) -> Leaf:
    """The event of a leaf."""
    with psycopg.connect(database.owner_url) as session:
        (event,) = log.read_leaves(session, index, index + 1)
        return Leaf(event.number, event.serial)


def edit(database: Database, number: str, change: str) -> None:
    """Edit one row."""
    tamper(database, f"UPDATE issuance_event SET {change} WHERE number = '{number}'")


def delete(database: Database, number: str) -> None:
    """Delete one row."""
    tamper(database, f"DELETE FROM issuance_event WHERE number = '{number}'")


def insert(database: Database, serial: int) -> str:
    """Insert a row that looks right in every way, under the number that the serial would have had; returns it."""
    number = NUMBERS.encode(serial, "MY", "ID")
    tamper(
        database,
        f"""INSERT INTO issuance_event (serial, number, origin, destination, order_created_at, requested_at,
                   customer_key_id, weight_band, request_id, customer_tag)
            SELECT {serial}, '{number}', 'MY', 'ID', order_created_at, requested_at,
                   customer_key_id, weight_band, gen_random_uuid(), customer_tag FROM issuance_event LIMIT 1""",
    )
    return number


def flipped(column: str, at: int) -> str:
    """SQL for a bytea with one bit changed."""
    return f"set_byte({column}, {at}, get_byte({column}, {at}) # 1)"


def rewrite(database: Database) -> None:
    """Make tiles and state what the rows give, as one who has everything but the log's key would."""
    with psycopg.connect(database.owner_url) as session:
        ((size, published),) = session.execute("SELECT size, published_size FROM tree_state").fetchall()
        events = log.read_leaves(session, 0, size)
    growth = Growth()
    leaves = [merkle.leaf_hash(entry.encode(event)) for event in events]
    full = growth.extend(leaves[:published])
    published_root = growth.root
    full += growth.extend(leaves[published:])
    edge = ",".join(f"'\\x{each.hex()}'::bytea" for each in growth.edge)
    tamper(
        database,
        *(
            f"UPDATE tile SET hashes = '\\x{hashes.hex()}' WHERE level = {place.level} AND position = {place.position}"
            for place, hashes in full
        ),
        f"UPDATE tree_state SET root = '\\x{growth.root.hex()}', edge = ARRAY[{edge}],"
        f" published_root = '\\x{published_root.hex()}'",
    )
