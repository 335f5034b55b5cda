"""Recovery: an empty database restored from the published bundles alone, and what a destroyed one would have lost."""

import argparse
import os
import random
import signal
import sys
import threading
import time
from typing import NamedTuple

import msgspec
import psycopg

from benchmarks import cpu, load, orders, record, targets
from benchmarks.database import ROOT, Cluster
from benchmarks.log import Ledger
from benchmarks.running import Running
from benchmarks.targets import PORT, WORKERS
from core.embedded.process import Process
from issuance.fence import FileFence
from ledger import log
from ledger.domain import note
from ledger.domain.note import SignerKey
from ledger.publication import CHECKPOINT

GOAL_RATE, GOAL_LOSS = 20_000, 1.0
CONNECTIONS = 64
_LOAD, _MOMENTS = 4, (1.5, 2.5)
"""Seconds of a load, and when in it the database is destroyed."""
_FIRST, _RESTORED, _LOSING = "recovery", "restored", "losing"


class Restored(NamedTuple):
    """What it took: events, seconds, and CPU microseconds of the command and of PostgreSQL."""

    events: int
    seconds: float
    command: float
    postgres: float


class Loss(NamedTuple):
    """What one destroyed database had that was not published: numbers, and the age of the oldest in seconds."""

    numbers: int
    seconds: float
    of: int


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the restored database")
    parser.add_argument("--times", type=int, default=10, help="how often a database is destroyed under load")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print; the exit code says whether the goals are reached."""
    with Cluster(options.folder) as cluster:
        restored = restore(cluster, options.events)
        losses = [lose(cluster) for _ in range(options.times)]
    rate = restored.events / restored.seconds
    oldest, most = max(loss.seconds for loss in losses), max(loss.numbers for loss in losses)
    busiest = max(loss.of for loss in losses)
    text = "\n".join(
        (
            "| figure | measured | goal |",
            "|---|--:|--:|",
            f"| {restored.events:,} events put back into an empty database | {rate:,.0f}/s, exact | {GOAL_RATE:,}/s |",
            f"| CPU an event, the command and PostgreSQL | {restored.command:.1f} and {restored.postgres:.1f} us | |",
            f"| destroyed under load {len(losses)} times: lost at worst, the last | {oldest:.2f} s | {GOAL_LOSS:g} s |",
            f"| the most that was lost, of {busiest:,} events within a second | {most:,} | |",
        )
    )
    print(text)
    if options.record:
        record.section("recovery", text)
    return 0 if rate >= GOAL_RATE and oldest <= GOAL_LOSS else 1


def restore(cluster: Cluster, events: int) -> Restored:
    """Fill, publish, and have a new, empty database recovered from what was published.

    Raises:
        RuntimeError: the new one is not the old one.
    """
    cluster.create(_FIRST)
    cluster.manage(_FIRST, "init_allocator")
    ledger = Ledger(cluster, _FIRST)
    ledger.fill(events)
    ledger.catch_up()
    ledger.close()
    settings = cluster.environment(_FIRST)
    _move_fence(cluster)
    cluster.create(_RESTORED)
    # The new database, and what is outside of the old one.
    ours = cluster.environment(_RESTORED)
    settings |= {name: ours[name] for name in ours if name.startswith("DATABASE_")}
    command = [sys.executable, str(ROOT / "manage.py"), "recover_ledger", "--yes"]
    server = cpu.used(cluster.server.pid)
    began = time.monotonic()
    pid = os.posix_spawn(sys.executable, command, settings)
    _, status, used = os.wait4(pid, 0)
    seconds = time.monotonic() - began
    if status:
        raise RuntimeError("recover_ledger failed.")
    postgres = cpu.used(cluster.server.pid) - server
    if _contents(cluster, _RESTORED) != _contents(cluster, _FIRST):
        raise RuntimeError("What was put back is not what was published.")
    spent = (used.ru_utime + used.ru_stime) * 1e6
    count = cluster.rows(_RESTORED)
    cluster.drop(_RESTORED)
    cluster.drop(_FIRST)
    return Restored(count, seconds, spent / count, postgres / count)


def lose(cluster: Cluster) -> Loss:
    """Kill PostgreSQL under load, and compare what it had committed with what is published."""
    service = next(target for target in targets.TARGETS if target.name == "service")
    work = cluster.folder / "orders"
    if not work.exists():
        orders.write(work)
    cluster.create(_LOSING)
    cluster.manage(_LOSING, "init_allocator")
    environment = cluster.environment(_LOSING) | {"WEB_CONCURRENCY": str(WORKERS), "PORT": str(PORT)}
    seal = [sys.executable, str(ROOT / "manage.py"), "seal_ledger"]
    quiet = environment | {"LOG_LEVEL": "ERROR"}
    loading = threading.Thread(target=load.run, args=(PORT, CONNECTIONS, _LOAD, work, "repeated"))
    with (
        Running(service, quiet, cluster.folder / "service.log"),
        Process("the sealer", seal, environment=quiet, folder=ROOT),
    ):
        loading.start()
        time.sleep(random.uniform(*_MOMENTS))  # noqa: S311 - a moment, not a secret
        os.kill(cluster.server.pid, signal.SIGKILL)
        killed = time.time()
        loading.join()
    cluster.server.stop()
    cluster.server.start()
    return _compare(cluster, killed)


def _compare(cluster: Cluster, killed: float) -> Loss:
    """What the database had committed, beside what is published of it."""
    key = SignerKey.parse(cluster.environment(_LOSING)["LEDGER_KEY"]).verifier
    published, _ = note.read((cluster.publication(_LOSING) / CHECKPOINT).read_text(), key)
    with psycopg.connect(cluster.server.url(database=_LOSING), autocommit=True) as session:
        kept = {leaf.serial for leaf in log.read_leaves(session, 0, published.size)}
        events = session.execute(
            "SELECT serial, extract(epoch FROM requested_at)::float8 FROM issuance_event"
        ).fetchall()
    lost = [moment for serial, moment in events if serial not in kept]
    lately = sum(moment > killed - 1 for _, moment in events)
    return Loss(len(lost), killed - min(lost, default=killed), lately)


def _move_fence(cluster: Cluster) -> None:
    """Have the fence where it would be, had the service leased the blocks."""
    fence = FileFence(cluster.folder / f"fence-{_FIRST}")
    mark = fence.read()
    with cluster.session(_FIRST) as session:
        ((highest,),) = session.execute("SELECT max(id) FROM number_block").fetchall()
    if mark is None:
        raise RuntimeError("There is no fence.")
    fence.advance(msgspec.structs.replace(mark, highest_block=int(str(highest))), 0)


def _contents(cluster: Cluster, database: str) -> tuple[object, ...]:
    """The tree, and a sum over all that every event says."""
    with cluster.session(database) as session:
        tree = session.execute("SELECT size, root FROM tree_state").fetchone() or ()
        rows = session.execute("SELECT count(*), sum(hashtextextended(e::text, 0)) FROM issuance_event e").fetchone()
        return (*tree, *(rows or ()))
