"""The roll-up of a million events beside one bare GROUP BY with insert over the same rows, and its memory."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import cpu, record
from benchmarks.database import ROOT, Cluster
from benchmarks.log import Ledger
from ledger.log import Connection
from reports import rollup
from reports.session import Turn, session, turn

LIMIT = 1.5
_DATABASE = "reports"
# What a report of customers takes at the least: the same rows, table and indexes.
_BARE = """
    INSERT INTO daily_usage (day, customer_tag, origin, destination, weight_band, count)
    SELECT (requested_at AT TIME ZONE 'UTC')::date, customer_tag, origin, destination, weight_band, count(*)
      FROM issuance_event GROUP BY 1, 2, 3, 4, 5"""
_EMPTY = "TRUNCATE daily_usage, daily_total; UPDATE rollup_state SET leaves = 0; CHECKPOINT"


class Spent(NamedTuple):
    """Seconds, and of them those of PostgreSQL's CPU."""

    time: float
    cpu: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--small", type=int, default=100_000, help="events of the small ledger, for memory")
    parser.add_argument("--large", type=int, default=1_000_000, help="events of the large one")
    parser.add_argument("--rounds", type=int, default=5, help="times that each is done, in turn; the median counts")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print; the exit code says whether the limit holds."""
    with Cluster(options.folder) as cluster:
        cluster.create(_DATABASE)
        ledger = Ledger(cluster, _DATABASE)
        ledger.fill(options.small)
        ledger.catch_up()
        small, small_memory = ledger.count, _memory(cluster)
        ledger.fill(options.large)
        ledger.catch_up()
        large, large_memory = ledger.count, _memory(cluster)
        with cluster.session(_DATABASE) as superuser:
            superuser.execute("VACUUM (ANALYZE) issuance_event, run, tree_state")
            ((rows,),) = superuser.execute("SELECT count(*) FROM daily_usage").fetchall()
        ledger.close()
        bare, counted = _compare(cluster, options.rounds)
    ratio = counted.time / bare.time
    text = "\n".join(
        (
            "| figure | measured | goal |",
            "|---|--:|--:|",
            f"| one GROUP BY of {large:,} events, with insert of {rows:,} rows | {_shown(bare)} | |",
            f"| the roll-up of the same events | {_shown(counted)} | |",
            f"| the second by the first, in time | {ratio:.2f} | ≤ {LIMIT} |",
            f"| the same in CPU of PostgreSQL | {counted.cpu / bare.cpu:.2f} | |",
            f"| the roll-up's memory at most, {small:,} events | {small_memory / 1024:.0f} MB | |",
            f"| the roll-up's memory at most, {large:,} events | {large_memory / 1024:.0f} MB | the same |",
        )
    )
    print(text)
    if options.record:
        record.section("reports", text)
    return 0 if ratio <= LIMIT else 1


def _compare(cluster: Cluster, rounds: int) -> tuple[Spent, Spent]:
    """Both on empty tables, in turn; one round goes before, which warms the caches."""
    bare, counted = list[Spent](), list[Spent]()
    with session(cluster.reporting_url(_DATABASE)) as connection, cluster.session(_DATABASE) as superuser:
        for number in range(rounds + 1):
            superuser.execute(_EMPTY)
            bare.append(_spent(connection, lambda: connection.execute(_BARE)))
            superuser.execute(_EMPTY)
            counted.append(_spent(connection, lambda: roll_up(connection)))
            print(f"round {number}: bare {_shown(bare[-1])}, rolled up {_shown(counted[-1])}", flush=True)
    return tuple(Spent(*map(median, zip(*some[1:], strict=True))) for some in (bare, counted))  # type: ignore[return-value]


def _spent(connection: Connection, work: Callable[[], object]) -> Spent:
    backend = connection.info.backend_pid
    before = time.perf_counter(), cpu.used(backend)
    work()
    return Spent(time.perf_counter() - before[0], (cpu.used(backend) - before[1]) / 1e6)


def roll_up(connection: Connection) -> None:
    """Count all there is."""
    with turn(connection, Turn.COUNTING):
        place = rollup.position(connection)
        while place.leaves < place.size:
            place = rollup.step(connection, "UTC")


def _memory(cluster: Cluster) -> int:
    """The most kB that a process of its own takes, which rolls up all there is."""
    with cluster.session(_DATABASE) as superuser:
        superuser.execute(_EMPTY)
    command = [sys.executable, "-m", "benchmarks.reports", cluster.reporting_url(_DATABASE)]
    return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def _peak() -> int:
    """The most kB that this process has taken; getrusage would tell what its parent had when it was made."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def _shown(spent: Spent) -> str:
    return f"{spent.time:.2f} s, {spent.cpu:.2f} s of CPU"


if __name__ == "__main__":
    with session(sys.argv[1]) as only:
        roll_up(only)
    print(_peak())
