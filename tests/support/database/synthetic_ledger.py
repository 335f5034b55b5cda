"""Ledgers too large to issue: rows made by SQL that look like those of eight writers, and a log that has them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import psycopg

from ledger.domain.tag import KeyRing
from tests.plugin import CLUSTER, Database
from tests.support.database.database_copies import backup
from tests.support.processes.secret_keys import TAG_KEY

WRITERS, BATCH = 8, 32
STEADY = "timestamptz '2026-01-01T00:00:00Z' + i * interval '0.4 s'"
"""When the i-th event was requested."""
CUSTOMERS = 2000
LARGE_CUSTOMER, CUSTOMER, SMALL_CUSTOMER = (f"de619854-b59b-425e-9db4-{number:012x}" for number in (0, 10, 1999))
"""Of a million events they have 22,000, 3,600 and 250."""
RARE_ORIGIN, RARE_DESTINATION, RARE_PRINCIPAL = "AQ", "TV", 77
"""These have five each."""

# Batches of the writers in turn, each from its own blocks, so that rows lie as they do when the service wrote them.
_EVENTS = """
    INSERT INTO issuance_event
    SELECT serial, moment - interval '1 hour', moment,
           CASE WHEN i % 200003 = 11 THEN 77 WHEN dice & 1 = 0 THEN NULL ELSE 1 + (dice >> 1) % 13 END,
           1, (dice >> 5) % 11,
           CASE WHEN i % 5 = 0 THEN gen_random_uuid() ELSE uuidv7(moment - now()) END,
           (SELECT tag FROM customers WHERE number = customer),
           to_char(serial, 'FM00000000000') || origin || destination || '0', origin, destination
      FROM (SELECT i, dice,
                   ((i / {round} * {writers} + i / {batch} % {writers}) << 10)
                       + i / {together} % {batches} * {batch} + i % {batch} AS serial,
                   {moment} AS moment,
                   CASE WHEN i % 200003 = 7 THEN 'AQ'
                        ELSE (ARRAY['MY', 'SG', 'ID', 'TH', 'VN', 'CN', 'US', 'DE', 'FR', 'AU'])[1 + (dice >> 9) % 10]
                   END AS origin,
                   CASE WHEN i % 200003 = 3 THEN 'TV'
                        ELSE (ARRAY['ID', 'MY', 'SG', 'TH', 'VN', 'CN', 'US', 'DE', 'FR'])[1 + (dice >> 13) % 9]
                   END AS destination,
                   floor({customers} * power(random(), 2))::int AS customer
              FROM (SELECT i, hashint8(i) & 16777215 AS dice
                      FROM generate_series(0::bigint, {count} - 1) AS i) AS thrown
           ) AS drawn"""
_RUNS = """
    INSERT INTO run
    SELECT sum(count(*)) OVER (ORDER BY serial >> 10) - count(*), min(serial), max(serial), count(*)
      FROM issuance_event WHERE serial >> 10 < %s GROUP BY serial >> 10"""
_PUBLISHED = """
    UPDATE tree_state SET size = sealed, published_size = sealed, root = sha256('filled'),
                          published_root = sha256('filled'), published_signature = decode(repeat('00', 64), 'hex'),
                          closed_below = closed
      FROM (SELECT sum(leaves) AS sealed, max(last_serial >> 10) + 1 AS closed FROM run) AS runs"""


def fill(database: Database, count: int, *, moment: str = STEADY, unsealed_blocks: int = 0) -> None:
    """Put events into an empty ledger, and all but the last blocks of them into its log, signed with nothing."""
    statement = _EVENTS.format(
        count=count,
        moment=moment,
        writers=WRITERS,
        batch=BATCH,
        together=WRITERS * BATCH,
        batches=1024 // BATCH,
        round=WRITERS * 1024,
        customers=CUSTOMERS,
    )
    ring = KeyRing({1: bytes.fromhex(TAG_KEY)})
    tags = [ring.tag(UUID(f"de619854-b59b-425e-9db4-{customer:012x}").bytes)[1] for customer in range(CUSTOMERS)]
    blocks = -(-count // (WRITERS * 1024)) * WRITERS
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        # Made afterwards it takes a third of the time.
        index = session.execute("SELECT pg_get_indexdef('issuance_event_customer'::regclass)").fetchone()
        assert index is not None
        session.execute("DROP INDEX issuance_event_customer")
        session.execute("CREATE TEMP TABLE customers (number int PRIMARY KEY, tag bytea)")
        session.cursor().executemany("INSERT INTO customers VALUES (%s, %s)", list(enumerate(tags)))
        session.execute(statement.encode())
        session.execute(index[0])
        session.execute(_RUNS, [blocks - unsealed_blocks])
        session.execute(_PUBLISHED)
        session.execute("VACUUM (ANALYZE) issuance_event, run, tree_state")


_MADE: Final[dict[tuple[int, str, Callable[[Database], object]], Database]] = {}


@contextmanager
def filled(
    count: int, *, moment: str = STEADY, then: Callable[[Database], object] = lambda _: None
) -> Iterator[Database]:
    """A ledger of so many events for the block alone, with what ``then`` does to it.

    One is filled in a process of tests, and each block has a copy of it.
    """
    key = count, moment, then
    if key not in _MADE:
        _MADE[key] = CLUSTER.create()
        fill(_MADE[key], count, moment=moment)
        then(_MADE[key])
    with backup(_MADE[key]) as copy:
        yield copy
