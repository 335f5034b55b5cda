"""Four instances beside one: what an issuance costs, each instance loaded over connections of its own.

One instance leaves cores idle, and a core is faster beside an idle one. So there is also one beside loops that run at
idle priority and keep every core busy: what is left between that one and four is what four cost by themselves.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from benchmarks import cpu, load, orders, record, targets
from benchmarks.database import Cluster
from benchmarks.run import WARM_UP, NotCountedError
from benchmarks.running import Running
from benchmarks.targets import PORT
from core.embedded.process import Process

CONNECTIONS = 64
"""Of each instance."""
GOAL = 1.2
_DATABASE = "instances"


class Setting(NamedTuple):
    """How many instances, and whether every core is kept busy."""

    count: int
    busy: bool = False

    def __str__(self) -> str:
        return f"{self.count}, every core kept busy" if self.busy else str(self.count)


ONE, FOUR = Setting(1), Setting(4)
SETTINGS = (ONE, Setting(1, busy=True), FOUR)


class Cost(NamedTuple):
    """What one issuance took; CPU in microseconds, of the instances and of PostgreSQL."""

    rate: float
    server: float
    database: float
    batch: float

    @property
    def cpu(self) -> float:
        """CPU of both."""
        return self.server + self.database


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--seconds", type=int, default=8, help="length of each load")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each number of instances; the median counts")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print; the exit code says whether the goal is reached."""
    found: dict[Setting, list[Cost]] = {setting: [] for setting in SETTINGS}
    with Cluster(options.folder) as cluster:
        work = cluster.folder / "orders"
        orders.write(work)
        cluster.create(_DATABASE)
        cluster.manage(_DATABASE, "init_allocator")
        for _ in range(options.rounds):
            for setting, costs in found.items():
                with _busy() if setting.busy else nullcontext():
                    costs.append(_cost(cluster, work, setting.count, options.seconds))
                print(f"{setting}: {costs[-1].cpu:.1f} µs", flush=True)
    medians = {each: sorted(costs, key=lambda cost: cost.cpu)[len(costs) // 2] for each, costs in found.items()}
    text = _table(medians)
    print(text)
    if options.record:
        record.section("instances", text)
    return 0 if medians[FOUR].cpu <= GOAL * medians[ONE].cpu else 1


def _cost(cluster: Cluster, work: Path, count: int, seconds: int) -> Cost:
    """Load as many instances at once; NotCountedError where the table has others than were answered."""
    postmaster = cluster.server.pid
    with ExitStack() as stack:
        running = [stack.enter_context(_instance(cluster, place)) for place in range(count)]
        _load(work, count, WARM_UP)
        rows, commits = cluster.rows(_DATABASE), _commits(cluster)
        before, begun = _used(running, postmaster), time.monotonic()
        answered = _load(work, count, seconds)
        took, after = time.monotonic() - begun, _used(running, postmaster)
        commits = _commits(cluster) - commits
        rows = cluster.rows(_DATABASE) - rows
    if rows != answered:
        raise NotCountedError(f"{answered} numbers were answered, {rows} are in the table")
    server, database = ((last - first) / answered for first, last in zip(before, after, strict=True))
    return Cost(answered / took, server, database, answered / commits)


@contextmanager
def _busy() -> Iterator[None]:
    """Have a loop on every core that gives way to whatever else wants to run."""
    loop = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
    with ExitStack() as stack:
        for _ in os.sched_getaffinity(0):
            stack.enter_context(Process("a loop", [sys.executable, "-c", loop], stop_seconds=1))
        yield


def _instance(cluster: Cluster, place: int) -> Running:
    environment = cluster.environment(_DATABASE) | {"WEB_CONCURRENCY": "1", "PORT": str(PORT + place)}
    return Running(targets.SERVICE, environment, cluster.folder / f"service-{place}.log")


def _load(work: Path, count: int, seconds: int) -> int:
    with ThreadPoolExecutor(count) as threads:
        ports = range(PORT, PORT + count)
        runs = [threads.submit(load.run, port, CONNECTIONS, seconds, work, "repeated") for port in ports]
        return sum(each.result().answered for each in runs)


def _used(running: list[Running], postmaster: int) -> tuple[float, float]:
    """CPU so far, of the instances and of PostgreSQL; neither generator nor proxy, of which there is none."""
    return sum(cpu.used(each.pid) for each in running), cpu.used(postmaster)


def _commits(cluster: Cluster) -> int:
    """Commits so far, of batches nearly all of them."""
    with cluster.session(_DATABASE) as session:
        (count,) = session.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone() or (0,)
    return int(str(count))


def _table(costs: dict[Setting, Cost]) -> str:
    one = costs[ONE]
    rows = [
        f"| instances | a second | rows a batch | server µs | PostgreSQL µs | **CPU µs** | by one's | ≤ {GOAL} |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for setting, cost in costs.items():
        ratio = cost.cpu / one.cpu
        judged = f"{ratio:.2f} | {('yes' if ratio <= GOAL else '**no**') if setting is FOUR else ''}"
        figures = f"{cost.server:.1f} | {cost.database:.1f} | **{cost.cpu:.1f}**"
        rows.append(f"| {setting} | {cost.rate:,.0f} | {cost.batch:.0f} | {figures} | {judged} |")
    return "\n".join(rows)
