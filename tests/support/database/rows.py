"""One row for every table, so that what changes and removes rows has something to fail on."""

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

INSERTS = {
    "issuance_event": """
        INSERT INTO public.issuance_event (serial, order_created_at, requested_at, principal, customer_key_id,
            weight_band, request_id, customer_tag, number, origin, destination)
        VALUES (1, '2018-11-20 11:29:32Z', '2026-11-22 21:23:38.6355Z', NULL, 1, 4,
            '0193539a-8c1b-7a2e-9d4f-3b6c5a7e8f90', decode(repeat('ab', 32), 'hex'), '3K9M7QX2PZ4MYIDT', 'MY', 'ID')""",
    "number_block": "INSERT INTO public.number_block (id, writer) VALUES (0, 42)",
    "idempotency_claim": """
        INSERT INTO public.idempotency_claim (tag, fingerprint, number)
        VALUES (decode(repeat('cd', 32), 'hex'), decode(repeat('ef', 32), 'hex'), '3K9M7QX2PZ4MYIDT')""",
    "allocator": """
        INSERT INTO public.allocator (id, key_fingerprint, shard)
        VALUES ('0193539a-8c1b-7a2e-9d4f-3b6c5a7e8f91', '\\x0102030405060708', 0)""",
    "api_key": """
        INSERT INTO public.api_key (id, bound, digest, name, scopes)
        VALUES (1, false, decode(repeat('56', 32), 'hex'), 'a test', '{issue}')""",
    "tree_state": "INSERT INTO public.tree_state DEFAULT VALUES",
    "block_cursor": "INSERT INTO public.block_cursor (block, last_serial, closed) VALUES (0, 1, false)",
    "run": "INSERT INTO public.run (first_leaf, first_serial, last_serial, leaves) VALUES (0, 1, 1, 1)",
    "tile": "INSERT INTO public.tile (position, level, hashes) VALUES (0, 0, decode(repeat('12', 8192), 'hex'))",
    "checkpoint": "INSERT INTO public.checkpoint (size, signature) VALUES (1, decode(repeat('34', 64), 'hex'))",
    "cosignature": """
        INSERT INTO public.cosignature (size, cosigned_at, root, signature, cosignature, witness)
        VALUES (1, 1795000000, sha256(''), decode(repeat('34', 64), 'hex'), decode(repeat('56', 64), 'hex'), 'w')""",
    "witness": "INSERT INTO public.witness (witness) VALUES ('w')",
    "rollup_state": "INSERT INTO public.rollup_state DEFAULT VALUES",
    "daily_usage": """
        INSERT INTO public.daily_usage (count, day, weight_band, customer_tag, origin, destination)
        VALUES (1, '2026-11-22', 4, decode(repeat('ab', 32), 'hex'), 'MY', 'ID')""",
    "daily_total": """
        INSERT INTO public.daily_total (count, day, weight_band, origin, destination)
        VALUES (1, '2026-11-22', 4, 'MY', 'ID')""",
    "rollup_part": "INSERT INTO public.rollup_part (first_leaf, end_leaf, time_zone) VALUES (0, 1, 'UTC')",
    "rollup_part_usage": """
        INSERT INTO public.rollup_part_usage (first_leaf, count, day, weight_band, customer_tag, origin, destination)
        VALUES (0, 1, '2026-11-22', 4, decode(repeat('ab', 32), 'hex'), 'MY', 'ID')""",
    "daily_report": """
        INSERT INTO public.daily_report (size, total, day, root, signature, digest, document)
        VALUES (1, 1, '2026-11-22', sha256(''), decode(repeat('34', 64), 'hex'), sha256('{}'), '{}')""",
    "daily_correction": """
        INSERT INTO public.daily_correction (first_leaf, end_leaf, total, day, digest, document)
        VALUES (1, 2, 1, '2026-11-22', sha256('{}'), '{}')""",
    "ledger_check": """
        INSERT INTO public.ledger_check (id, first_leaf, end_leaf, faults) OVERRIDING SYSTEM VALUE
        VALUES (1, 0, 1, '{}')""",
    "number_account": """
        INSERT INTO public.number_account (id, leased, issued, burned, held, end_block, closed_issued, wrong,
            open_blocks, faults) OVERRIDING SYSTEM VALUE
        VALUES (1, 1024, 1, 1023, 0, 1, 1, 0, '{}', '{}')""",
    "recovery": """
        INSERT INTO public.recovery (id, leaves_before, leaves, events, blocks, lost, kind, verifier_key)
        OVERRIDING SYSTEM VALUE VALUES (1, 0, 1, 1, '[0,1)', '{[1,1024)}', 'recovered', 'log.test+12345678+AQ==')""",
    "customer_key": """
        INSERT INTO public.customer_key (key_id, fact, fingerprint)
        VALUES (1, 'introduced', decode(repeat('78', 32), 'hex'))""",
}
"""A row for each table; those of ``BORN`` are there from the migration on, so these are always refused."""
BORN = ("tree_state", "rollup_state")
KEYLESS = ("checkpoint", "rollup_part_usage")
"""These have no key that an INSERT could conflict with."""

KEYS = {
    "issuance_event": "number",
    "number_block": "id",
    "idempotency_claim": "tag",
    "allocator": "singleton",
    "api_key": "digest",
    "tree_state": "singleton",
    "block_cursor": "block",
    "run": "first_serial",
    "tile": "position",
    "checkpoint": "size",
    "cosignature": "size",
    "witness": "witness",
    "rollup_state": "singleton",
    "daily_usage": "customer_tag",
    "daily_total": "day",
    "rollup_part": "first_leaf",
    "rollup_part_usage": "first_leaf",
    "daily_report": "size",
    "daily_correction": "first_leaf",
    "ledger_check": "first_leaf",
    "number_account": "end_block",
    "recovery": "leaves",
    "customer_key": "fact",
}
"""A column that nobody may change."""

TABLES = tuple(INSERTS)
ISSUING = (*TABLES[:5], "customer_key")
"""Written by the application."""
LOG = TABLES[5:12]
"""Written by the sealer."""
REPORTS = TABLES[12:21]
"""Written by the reporter; those that are in none of these by the owner."""
COUNTS = ("rollup_state", "daily_usage", "daily_total", "rollup_part", "rollup_part_usage")
"""Those of the reporter that can be made anew, and so may change."""
GROWING = ("tree_state", "block_cursor", "run", "witness", "api_key")
"""Those whose rows change as the log grows or a key is used, and are never removed."""
APPEND_ONLY = tuple(table for table in TABLES if table not in {*GROWING, *COUNTS})

Session = psycopg.Connection[tuple[Any, ...]]


def insert_all(session: Session) -> None:
    """Put one row into each table."""
    for statement in INSERTS.values():
        session.execute(f"{statement} ON CONFLICT DO NOTHING")


def contents(session: Session) -> dict[str, list[str]]:
    """All rows of all tables, as text."""
    return {
        table: [row[0] for row in session.execute(f"SELECT each::text FROM public.{table} AS each ORDER BY 1")]
        for table in TABLES
    }


def attempts(tables: Iterable[str], statements: Mapping[str, str]) -> list[tuple[str, str]]:
    """Every table with the name of every statement that can be made for it."""
    return [
        (table, name)
        for table in tables
        for name, statement in statements.items()
        if not (table in KEYLESS and "ON CONFLICT" in statement)
    ]


def written(statement: str, table: str) -> str:
    """A statement for one table; ``{table}``, ``{key}`` and ``{insert}`` stand for what belongs to it."""
    return statement.format(table=table, key=KEYS[table], insert=INSERTS[table])
