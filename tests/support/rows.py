"""One row for every append-only table, so that what changes and removes rows has something to fail on."""

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
}
KEYS = {"issuance_event": "number", "number_block": "id", "idempotency_claim": "tag", "allocator": "singleton"}
TABLES = tuple(INSERTS)

Session = psycopg.Connection[tuple[Any, ...]]


def insert_all(session: Session) -> None:
    """Put one row into each table."""
    for statement in INSERTS.values():
        session.execute(statement)


def contents(session: Session) -> dict[str, list[str]]:
    """All rows of all tables, as text."""
    return {
        table: [row[0] for row in session.execute(f"SELECT each::text FROM public.{table} AS each ORDER BY 1")]
        for table in TABLES
    }
