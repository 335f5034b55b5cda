"""What each stage of one issuance costs, without server and database: the best of several runs over varied orders."""

import argparse
import asyncio
import gc
import secrets
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uuid_utils

from benchmarks import generator, orders, record
from core.keys.domain import Caller
from issuance import answers
from issuance.domain import query
from issuance.domain.number import Numbering
from issuance.issuer import Issuer
from issuance.writer import Writer
from issuance.writer_session import Written
from ledger.domain import entry, merkle
from ledger.domain.entry import Event
from ledger.domain.tag import Claim, KeyRing
from ledger.rows import row

COUNT = 20_000
_ROUNDS = 5
_CONNECTIONS = 64


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print."""
    repeated, fresh = _queries("repeated"), _queries("fresh")
    ring = KeyRing({1: secrets.token_bytes(32)})
    numbering = Numbering(secrets.token_bytes(32))
    made = _events(repeated, ring, numbering)
    identity = uuid_utils.uuid7()
    stages: list[tuple[str, Callable[[Any], object], Sequence[Any]]] = [
        ("read and check the query, customers recurring", query.parse, repeated),
        ("read and check the query, every customer new", query.parse, fresh),
        ("request id: UUIDv7, its text", lambda _: str(uuid_utils.uuid7()), repeated),
        ("customer tag: HMAC (once per customer that recurs)", ring.tag, [event.request_id.bytes for event in made]),
        ("number: permutation, base 32, check character", lambda e: numbering.encode(e.serial, "MY", "ID"), made),
        ("entry: canonical JSON", entry.encode, made),
        ("leaf hash of an entry", merkle.leaf_hash, [entry.encode(event) for event in made]),
        ("row of the binary COPY", row, made),
        (
            "answer: entry, leaf hash, JSON, headers",
            lambda event: answers.issued(event, str(identity).encode(), replayed=False),
            made,
        ),
    ]
    rows = ["| stage | µs |", "|---|--:|"]
    rows += [f"| {title} | {_best(stage, given):.1f} |" for title, stage, given in stages]
    whole = asyncio.run(_whole(repeated, ring, numbering))
    rows.append(f"| all of it through `Issuer.issue`, {_CONNECTIONS} at a time, the database left out | {whole:.1f} |")
    text = "\n".join(rows)
    print(text)
    if options.record:
        record.section("stages", text)
    return 0


def _queries(mix: str) -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "orders")
        orders.write(path)
        make = generator.requests(path, mix)
        return [make().partition(b"?")[2].partition(b" ")[0] for _ in range(COUNT)]


def _events(queries: Sequence[bytes], ring: KeyRing, numbering: Numbering) -> list[Event]:
    found = []
    for serial, raw in enumerate(queries):
        asked = query.parse(raw)
        key_id, tag = ring.tag(asked.customer_id)
        found.append(
            Event(
                number=numbering.encode(serial, asked.origin, asked.destination),
                serial=serial,
                customer_tag=tag,
                customer_key_id=key_id,
                origin=asked.origin,
                destination=asked.destination,
                weight_band=asked.weight_band,
                order_created_at=asked.created_at,
                requested_at=time.time_ns() // 1000,
                request_id=uuid_utils.uuid7(),
                principal=None,
            )
        )
    return found


def _best(stage: Callable[[Any], object], given: Sequence[Any]) -> float:
    """CPU microseconds a call, the best of some runs, less what the loop itself takes."""
    return _fastest(stage, given) - _fastest(lambda _: None, given)


def _fastest(stage: Callable[[Any], object], given: Sequence[Any]) -> float:
    times = []
    for _ in range(_ROUNDS):
        gc.collect()
        start = time.process_time_ns()
        for each in given:
            stage(each)
        times.append(time.process_time_ns() - start)
    return min(times) / len(given) / 1000


class _FreeGate:
    """A database session that takes everything at once."""

    def __init__(self) -> None:
        self.writer = 1
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next = 1

    def close(self) -> None:
        return None

    async def wait_until_gone(self, writer: int) -> None:
        del writer

    async def lease(self, count: int) -> range:
        first, self._next = self._next, self._next + count
        return range(first, self._next)

    async def append(self, events: Sequence[Event], claims: Sequence[Sequence[Claim]]) -> Written:
        del claims
        b"".join(map(row, events))
        return Written(frozenset())

    async def present(self, numbers: Sequence[str]) -> set[str]:
        return set(numbers)

    async def winners(self, tags: Sequence[bytes]) -> dict[bytes, Any]:
        del tags
        return {}


async def _nobody(authorization: bytes, address: str) -> Caller | None:
    """Nobody presents a key."""
    del authorization, address


async def _whole(queries: Sequence[bytes], ring: KeyRing, numbering: Numbering) -> float:
    """CPU microseconds an issuance when some clients ask again as soon as they are answered."""

    async def open_session() -> _FreeGate:
        return _FreeGate()

    writer = Writer(open_session, numbering, queue_limit=4096, deadline=10)
    task = asyncio.create_task(writer.run())
    issuer = Issuer(writer, ring, _nobody, requires_key=False)
    waiting = cycle(queries)
    headers = {b"host": b"127.0.0.1"}

    async def client(count: int) -> None:
        for _ in range(count):
            answer = await issuer.issue(next(waiting), headers)
            if answer.status != 200:  # noqa: PLR2004 - OK
                raise RuntimeError(answer.body)

    times = []
    for _ in range(_ROUNDS + 1):  # the first one fills the caches
        start = time.process_time_ns()
        await asyncio.gather(*(client(COUNT // _CONNECTIONS) for _ in range(_CONNECTIONS)))
        times.append(time.process_time_ns() - start)
    await writer.drain()
    await task
    return min(times[1:]) / (COUNT // _CONNECTIONS * _CONNECTIONS) / 1000
