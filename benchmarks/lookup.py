"""CPU of a look-up: our viewset beside a stock RetrieveAPIView on the same table, in a small ledger and in a large one.

Both under the same gunicorn: two workers of its threaded kind. The stock view asks for no key; ours does, and gets one.
"""

import argparse
import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from itertools import product
from statistics import median
from typing import NamedTuple

import uvloop

from benchmarks import cpu, record, targets
from benchmarks.database import Cluster
from benchmarks.flat import LARGE, SMALL
from benchmarks.generator import Client
from benchmarks.log import Ledger
from benchmarks.running import Running, TargetError
from benchmarks.targets import PORT, WORKERS, Target
from core.keys import domain

GOAL_STOCK, GOAL_LARGE = 3 / 4, 1.1
CONNECTIONS = 8
_EACH = 2_048
"""Events under one checkpoint: a tick of a busy service."""
_NUMBERS = 100_000
_OURS, _SERVED, _STOCK = targets.DJANGO, targets.SERVICE, targets.DRF
_MEASURED = (
    (_OURS, "our viewset"),
    (_SERVED, "our viewset, as production serves it"),
    (_STOCK, "stock RetrieveAPIView"),
)


class Cost(NamedTuple):
    """CPU microseconds a look-up."""

    server: float
    database: float

    @property
    def cpu(self) -> float:
        """Of both."""
        return self.server + self.database

    def __str__(self) -> str:
        return f"{self.server:,.0f} + {self.database:,.0f} = **{self.cpu:,.0f}**"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--small", type=int, default=SMALL, help="events of the small ledger")
    parser.add_argument("--large", type=int, default=LARGE, help="events of the large one")
    parser.add_argument("--warm-up", type=int, default=20, help="seconds of load before each measurement")
    parser.add_argument("--seconds", type=int, default=10, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each; the median counts")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print; the exit code says whether the goals are reached."""
    sizes: tuple[int, int] = (options.small, options.large)
    found: dict[tuple[str, int], list[Cost]] = {}
    with Cluster(options.folder) as cluster, contextlib.ExitStack() as stack:
        ledgers = [stack.enter_context(_filled(cluster, f"lookup_{size}", size)) for size in sizes]
        # Ledgers and views in turn, and each server anew: none has a better hour than the other, or an older memory.
        every = product(range(1, options.rounds + 1), _MEASURED, zip(sizes, ledgers, strict=True))
        for turn, (target, title), (size, ledger) in every:
            with ledger.serving(target) as server:
                ledger.load(options.warm_up)
                cost = ledger.cost(server, options.seconds)
            found.setdefault((target.name, size), []).append(cost)
            print(f"round {turn}, {size:>9,} events: {title:37} {cost}", flush=True)
    costs = {place: _median(same) for place, same in found.items()}
    text = _table(sizes, costs)
    ours = [costs[_OURS.name, size].cpu for size in sizes]
    share, growth = ours[0] / costs[_STOCK.name, sizes[0]].cpu, ours[1] / ours[0]
    goals = "\n".join(
        (
            "| goal | measured | reached |",
            "|---|--:|---|",
            f"| at most {GOAL_STOCK} of the stock view | {share:.2f} | {_verdict(share <= GOAL_STOCK)} |",
            f"| large at most {GOAL_LARGE} of small | {growth:.2f} | {_verdict(growth <= GOAL_LARGE)} |",
        )
    )
    print(f"{text}\n\n{goals}")
    if options.record:
        record.section("lookup", f"{text}\n\n{goals}")
    return 0 if share <= GOAL_STOCK and growth <= GOAL_LARGE else 1


def _median(same: list[Cost]) -> Cost:
    return Cost(median(each.server for each in same), median(each.database for each in same))


def _table(sizes: tuple[int, int], costs: dict[tuple[str, int], Cost]) -> str:
    head = "".join(f" {size:,} events |" for size in sizes)
    rows = [f"| CPU a look-up, µs (server + PostgreSQL) |{head}", "|---|--:|--:|"]
    for target, title in _MEASURED:
        rows.append(f"| {title} |" + "".join(f" {costs[target.name, size]} |" for size in sizes))
    return "\n".join(rows)


def _verdict(reached: bool) -> str:  # noqa: FBT001  # it is the question
    return "yes" if reached else "**no**"


class _Filled:
    """A ledger, sealed, and what is asked of it."""

    def __init__(self, cluster: Cluster, database: str, size: int) -> None:
        self._cluster = cluster
        self._database = database
        self._key = self._make_key()
        self._numbers = self._sample(size)

    @contextmanager
    def serving(self, target: Target) -> Iterator[int]:
        """A server of this ledger; its process id."""
        environment = self._cluster.environment(self._database) | {"PORT": str(PORT), "WEB_CONCURRENCY": str(WORKERS)}
        with Running(target, environment, self._cluster.folder / f"{target.name}.log") as running:
            yield running.pid

    def cost(self, server: int, seconds: int) -> Cost:
        """CPU of a look-up under load."""
        database = self._cluster.server.pid
        before = cpu.used(server), cpu.used(database)
        answers = self.load(seconds)
        after = cpu.used(server), cpu.used(database)
        return Cost((after[0] - before[0]) / answers, (after[1] - before[1]) / answers)

    def load(self, seconds: int) -> int:
        """Look numbers up, any of them, for a while; how many answers came.

        Raises:
            TargetError: one was not a number that was found.
        """
        source = random.Random(0)  # noqa: S311 - a load, not a secret
        head = f"HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._key}\r\n\r\n"

        def make() -> bytes:
            return f"GET /v1/tracking-numbers/{source.choice(self._numbers)} {head}".encode()

        seen = uvloop.run(_ask(make, seconds))
        if refused := [status for status, _ in seen if status != HTTPStatus.OK]:
            raise TargetError(f"{len(refused)} of {len(seen)} look-ups were answered with {set(refused)}.")
        return len(seen)

    def _make_key(self) -> str:
        """An auditor's key."""
        identity, text = domain.make(None)
        with self._cluster.session(self._database) as session:
            session.execute(
                "INSERT INTO api_key (id, bound, digest, name, scopes) VALUES (%s, false, %s, 'benchmark', '{audit}')",
                [identity, domain.digest(text)],
            )
        return text

    def _sample(self, size: int) -> list[str]:
        serials = random.Random(size).sample(range(size), min(size, _NUMBERS))  # noqa: S311 - a load, not a secret
        with self._cluster.session(self._database) as session:
            session.execute("VACUUM (ANALYZE)")
            session.execute("CHECKPOINT")
            found = session.execute("SELECT number FROM issuance_event WHERE serial = ANY(%s)", [serials])
            return [str(number) for (number,) in found]


@contextmanager
def _filled(cluster: Cluster, database: str, size: int) -> Iterator[_Filled]:
    """A ledger of its own, as if by a service that has issued at full load ever since."""
    cluster.create(database)
    cluster.manage(database, "init_allocator")
    ledger = Ledger(cluster, database)
    ledger.grow(size, _EACH)
    try:
        yield _Filled(cluster, database, size)
    finally:
        ledger.close()


async def _ask(make: Callable[[], bytes], seconds: int) -> list[tuple[int, float]]:
    """Status and seconds of each answer that some connections got."""
    seen: list[tuple[int, float]] = []
    loop, stop = asyncio.get_running_loop(), time.monotonic() + seconds
    clients = [
        (await loop.create_connection(lambda: Client(make, stop, seen), "127.0.0.1", PORT))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(client.done for client in clients))
    return seen
