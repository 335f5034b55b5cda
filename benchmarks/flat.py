"""WAL bytes per issuance, small ledger against large: the cost of an event must not grow with the events before it."""

import argparse
import asyncio
import random
import secrets
import time
from collections.abc import Iterator
from itertools import islice

from uuid_utils import uuid7

from benchmarks import orders, record
from benchmarks.database import Cluster
from core.databases import APPLICATION_ROLE
from core.session import Session
from issuance.domain.number import Numbering
from ledger import store
from ledger.domain.entry import Event
from ledger.domain.serial import BLOCK_SIZE

SMALL, LARGE = 100_000, 5_000_000
ROUTES = (60, 3_000)
WRITERS = 2
BATCH = 32
"""Events in a commit: what the service writes at 64 connections."""
_FILL = 8_192
LIMIT = 1.15
_MORE = 4
"""After the events that follow a checkpoint, this many times as many more, for the cost between checkpoints."""
_START = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z in microseconds
_PACE = 200  # microseconds from one event to the next


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--small", type=int, default=SMALL, help="events before the first measurement")
    parser.add_argument("--large", type=int, default=LARGE, help="events before the second measurement")
    parser.add_argument("--window", type=int, default=100_000, help="events measured each time")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print; the exit code says whether the limit holds."""
    rows = [
        f"| routes | WAL bytes an event | of {options.small:,} | of {options.large:,} | ratio | ≤ {LIMIT} |",
        "|--:|---|--:|--:|--:|---|",
    ]
    kinds = f"the first {options.window:,} after a checkpoint", f"the next {options.window * _MORE:,}"
    reached = True
    # Vacuum would write its share of WAL now or later, as it pleases; the figure is to be exact.
    with Cluster(options.folder, {"autovacuum": "off"}) as cluster:
        for routes in ROUTES:
            cluster.create("flat")
            small, large = asyncio.run(_grow(cluster, routes, options.small, options.large, options.window))
            cluster.drop("flat")
            for kind, before, after in zip(kinds, small, large, strict=True):
                ratio = after / before
                reached = reached and ratio <= LIMIT
                verdict = "yes" if ratio <= LIMIT else "**no**"
                rows.append(f"| {routes:,} | {kind} | {before:.0f} | {after:.0f} | {ratio:.2f} | {verdict} |")
    text = "\n".join(rows)
    print(text)
    if options.record:
        record.section("flat", text)
    return 0 if reached else 1


def events(
    routes: int, numbering: Numbering | None = None, *, start: int = _START, pace: int = _PACE
) -> Iterator[list[Event]]:
    """Batches of the two writers in turn, each from its own blocks, as the service would write them; without end.

    Args:
        routes: how many there are.
        numbering: the service's, else one of its own.
        start: when the first was requested, in microseconds since 1970.
        pace: microseconds from one to the next.
    """
    numbering = numbering or Numbering(secrets.token_bytes(32))
    tags = [secrets.token_bytes(32) for _ in range(orders.CUSTOMERS)]
    pairs = orders.routes(routes)
    moment = start
    source = random.Random(orders.SEED)  # noqa: S311 - a load, not a secret
    block = 0
    while True:
        where = orders.skewed(len(pairs), WRITERS * BLOCK_SIZE, seed=block)
        who = orders.skewed(len(tags), WRITERS * BLOCK_SIZE, seed=block + 1)
        drawn = zip(where, who, strict=True)
        for first in range(0, BLOCK_SIZE, BATCH):
            for writer in range(WRITERS):
                base = (block + writer) * BLOCK_SIZE + first
                batch = []
                for serial in range(base, base + BATCH):
                    route, customer = next(drawn)
                    origin, destination = pairs[route]
                    moment += pace
                    batch.append(
                        Event(
                            number=numbering.encode(serial, origin, destination),
                            serial=serial,
                            customer_tag=tags[customer],
                            customer_key_id=1,
                            origin=origin,
                            destination=destination,
                            weight_band=source.randrange(11),
                            order_created_at=moment - source.randrange(86_400_000_000),
                            requested_at=moment,
                            request_id=uuid7(),
                            principal=None,
                        )
                    )
                yield batch
        block += WRITERS


async def _grow(cluster: Cluster, routes: int, small: int, large: int, window: int) -> list[tuple[float, float]]:
    """Fill to ``small`` and to ``large`` events; for each, WAL bytes per event right after a checkpoint and later."""
    sessions = [await Session.connect(cluster.serving_url("flat"), APPLICATION_ROLE) for _ in range(WRITERS)]
    batches = events(routes)
    found, count = list[tuple[float, float]](), 0
    for size in (small, large):
        count = await fill(sessions[0], batches, count, size)
        with cluster.session("flat") as superuser:
            superuser.execute("CHECKPOINT")
        first, pages = await _window(cluster, sessions, batches, window)
        later, _ = await _window(cluster, sessions, batches, window * _MORE)
        print(
            f"{routes:,} routes, {count:,} events: {first:.1f} WAL bytes an event after a checkpoint"
            f" ({pages:.3f} whole pages), then {later:.1f}",
            flush=True,
        )
        found.append((first, later))
        count += window * (1 + _MORE)
    for session in sessions:
        session.close()
    return found


async def fill(session: Session, batches: Iterator[list[Event]], count: int, size: int) -> int:
    """Append up to ``size`` events in large batches."""
    said = time.monotonic()
    while count < size:
        chunk = [event for batch in islice(batches, min(_FILL, size - count) // BATCH or 1) for event in batch]
        await store.append(session, chunk)
        count += len(chunk)
        if time.monotonic() - said > 10:  # noqa: PLR2004 - seconds
            said = time.monotonic()
            print(f"  {count:,} of {size:,} events", flush=True)
    return count


async def _window(
    cluster: Cluster, sessions: list[Session], batches: Iterator[list[Event]], window: int
) -> tuple[float, float]:
    """Append ``window`` events as the service does; WAL bytes and whole pages in it, per event."""
    before = await _wal(cluster, sessions)
    written = 0
    for turn, batch in enumerate(islice(batches, window // BATCH)):
        await store.append(sessions[turn % WRITERS], batch)
        written += len(batch)
    after = await _wal(cluster, sessions)
    return (after[0] - before[0]) / written, (after[1] - before[1]) / written


async def _wal(cluster: Cluster, sessions: list[Session]) -> tuple[int, int]:
    """WAL bytes, and the number of whole pages among them, since the server was made."""
    for session in sessions:
        # A session tells the statistics what it did at most once a second, unless it is asked to (PostgreSQL 27.2).
        await session.execute(b"SELECT pg_stat_force_next_flush()")
    with cluster.session("flat") as observer:
        written, pages = observer.execute("SELECT wal_bytes, wal_fpi FROM pg_stat_wal").fetchone() or (0, 0)
    return int(str(written)), int(str(pages))
