"""Bulk calls beside single ones: what a number costs the server and PostgreSQL, at three sizes of a call."""

import argparse
import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from itertools import cycle
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

from benchmarks import cpu, generator, load, orders, record, targets
from benchmarks.database import Cluster
from benchmarks.run import WARM_UP, NotCountedError
from benchmarks.running import Running
from benchmarks.targets import PORT, WORKERS

SIZES = (100, 1_000, 10_000)
CALLERS = 2
"""Who make the bulk calls."""
CONNECTIONS = (CALLERS, 64)
"""Of the single calls: of as many callers, and of so many that commits are shared by a group."""
GOAL = 5.0
_ORDERS = 20_000
_PATIENCE = 60.0
_DATABASE = "bulk"


class Cost(NamedTuple):
    """What one number took; CPU in microseconds."""

    rate: float
    server: float
    database: float

    @property
    def cpu(self) -> float:
        """CPU of both."""
        return self.server + self.database


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--seconds", type=int, default=8, help="length of each load")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each load, in turns; the median counts")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print; the exit code says whether the goal is reached where a call is as large as it may be."""
    with Cluster(options.folder) as cluster:
        work = cluster.folder / "orders"
        orders.write(work)
        cluster.create(_DATABASE)
        cluster.manage(_DATABASE, "init_allocator")
        key = cluster.manage(_DATABASE, "create_api_key", "the benchmark's", "--scope", "issue").strip()
        environment = cluster.environment(_DATABASE) | {"WEB_CONCURRENCY": str(WORKERS), "PORT": str(PORT)}
        loads: dict[str, Callable[[int], int]] = {
            f"one by one, {connections} connections": partial(_one_by_one, work, connections)
            for connections in CONNECTIONS
        }
        loads |= {f"{size:,} in a call": _Calls(key, work, size).run for size in SIZES}
        found: dict[str, list[Cost]] = {title: [] for title in loads}
        with Running(targets.SERVICE, environment, cluster.folder / "service.log") as running:
            for run in loads.values():
                run(WARM_UP)
            for _ in range(options.rounds):
                for title, run in loads.items():
                    found[title].append(_cost(cluster, running.pid, run, options.seconds))
    medians = {title: sorted(each, key=lambda cost: cost.cpu)[len(each) // 2] for title, each in found.items()}
    text = _table(medians)
    print(text)
    if options.record:
        record.section("bulk", text)
    single, *_, largest = medians.values()
    return 0 if largest.rate >= GOAL * single.rate else 1


def _one_by_one(work: Path, connections: int, seconds: int) -> int:
    return load.run(PORT, connections, seconds, work, "repeated").answered


class _Calls:
    """Calls of one size: the orders that are asked for one by one, as JSON."""

    def __init__(self, key: str, work: Path, size: int) -> None:
        make = generator.requests(work, "repeated")
        queries = [make().partition(b"?")[2].partition(b" ")[0].decode() for _ in range(_ORDERS)]
        made = [dict(parse_qsl(query)) for query in queries]
        self._bodies = [json.dumps(made[at : at + size]).encode() for at in range(0, _ORDERS, size)]
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._size = size

    def run(self, seconds: int) -> int:
        """Call for so long; returns how many numbers were answered."""
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(CALLERS) as threads:
            return self._size * sum(threads.map(lambda _: self._call(until), range(CALLERS)))

    def _call(self, until: float) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=_PATIENCE)
        bodies, answered = cycle(self._bodies), 0
        while time.monotonic() < until:
            connection.request("POST", "/v1/tracking-numbers", next(bodies), self._headers)
            response = connection.getresponse()
            content = response.read()
            if response.status != HTTPStatus.CREATED:
                raise NotCountedError(f"a call was answered with {response.status} {content[:500]!r}")
            answered += 1
        connection.close()
        return answered


def _cost(cluster: Cluster, service: int, run: Callable[[int], int], seconds: int) -> Cost:
    """Have numbers issued and see what each took; NotCountedError where the table has others than were answered."""
    postmaster = cluster.server.pid
    rows, begun = cluster.rows(_DATABASE), time.monotonic()
    server, database = cpu.used(service), cpu.used(postmaster)
    answered = run(seconds)
    server, database = cpu.used(service) - server, cpu.used(postmaster) - database
    took = time.monotonic() - begun
    rows = cluster.rows(_DATABASE) - rows
    if rows != answered:
        raise NotCountedError(f"{answered} numbers were answered, {rows} are in the table")
    return Cost(answered / took, server / answered, database / answered)


def _table(costs: dict[str, Cost]) -> str:
    rows = [
        f"| numbers | a second | x the first | ≥ {GOAL:.0f} | server µs | PostgreSQL µs | **CPU µs** |",
        "|---|--:|--:|---|--:|--:|--:|",
    ]
    single = next(iter(costs.values()))
    for title, cost in costs.items():
        ratio = cost.rate / single.rate
        judged = " | " if "one by one" in title else f"{ratio:.1f} | {'yes' if ratio >= GOAL else '**no**'}"
        figures = f"{cost.server:.1f} | {cost.database:.1f} | **{cost.cpu:.1f}**"
        rows.append(f"| {title} | {cost.rate:,.0f} | {judged} | {figures} |")
    return "\n".join(rows)
