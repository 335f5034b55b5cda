"""Issue to provable: how long after its answer a number has a proof, at full load, and what the sealer takes."""

import argparse
import http.client
import statistics
import sys
import threading
import time
from http import HTTPStatus
from pathlib import Path

import msgspec

from benchmarks import cpu, load, orders, record, targets
from benchmarks.database import ROOT, Cluster
from benchmarks.running import GOOD, Running
from benchmarks.targets import PORT, WORKERS
from core.embedded.process import Process

CONNECTIONS = 64
GOAL_SECONDS, GOAL_SHARE = 1.0, 0.15
_POLL = 0.02
_PATIENCE = 30.0
_DATABASE = "provable"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--seconds", type=int, default=20, help="length of each of the two loads")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print; the exit code says whether the goals are reached."""
    service = next(target for target in targets.TARGETS if target.name == "service")
    with Cluster(options.folder) as cluster:
        work = cluster.folder / "orders"
        orders.write(work)
        cluster.create(_DATABASE)
        service.prepare(cluster.folder)
        cluster.manage(_DATABASE, "init_allocator")
        environment = cluster.environment(_DATABASE) | {"WEB_CONCURRENCY": str(WORKERS), "PORT": str(PORT)}
        seal = [sys.executable, str(ROOT / "manage.py"), "seal_ledger"]
        with (
            Process("the sealer", seal, environment=environment, folder=ROOT) as sealer,
            Running(service, environment, cluster.folder / "service.log") as running,
        ):
            load.run(PORT, CONNECTIONS, 3, work, "repeated")
            backend = _backend(cluster)
            before = _cpu(cluster, running.pid, sealer.pid, backend)
            quiet = load.run(PORT, CONNECTIONS, options.seconds, work, "repeated")
            after = _cpu(cluster, running.pid, sealer.pid, backend)
            waits = _probed(options.seconds, work)
    issuing, sealing = ((last - first) / quiet.answered for first, last in zip(before, after, strict=True))
    share, p99 = sealing / issuing, statistics.quantiles(waits, n=100)[98]
    text = "\n".join(
        (
            "| figure | measured | goal |",
            "|---|--:|--:|",
            f"| issue to provable, p50 of {len(waits)} | {statistics.median(waits) * 1000:.0f} ms | |",
            f"| p99 | {p99 * 1000:.0f} ms | {GOAL_SECONDS * 1000:.0f} ms |",
            f"| longest | {max(waits) * 1000:.0f} ms | |",
            f"| issuing, CPU an issuance at {quiet.answered / quiet.seconds:,.0f}/s | {issuing:.0f} us | |",
            f"| sealing, CPU an issuance | {sealing:.1f} us ({share:.1%}) | {GOAL_SHARE:.0%} |",
        )
    )
    print(text)
    if options.record:
        record.section("provable", text)
    return 0 if p99 < GOAL_SECONDS and share <= GOAL_SHARE else 1


def _backend(cluster: Cluster) -> int:
    with cluster.session(_DATABASE) as session:
        ((pid,),) = session.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'tracking-sealer' AND datname = %s", [_DATABASE]
        ).fetchall()
    return int(str(pid))


def _cpu(cluster: Cluster, service: int, sealer: int, backend: int) -> tuple[float, float]:
    """CPU so far of issuing (the service, and PostgreSQL but for the sealer's session) and of sealing."""
    pid = cluster.server.pid
    assert pid is not None  # noqa: S101  # it runs
    session = cpu.used(backend)
    return cpu.used(service) + cpu.used(pid) - session, cpu.used(sealer) + session


def _probed(seconds: int, work: Path) -> list[float]:
    """Under a load, issue one number after the other and wait for its proof; seconds from answer to proof."""
    waits: list[float] = []
    stop = threading.Event()

    def probe() -> None:
        while not stop.is_set():
            waits.append(_wait_for_proof())

    prober = threading.Thread(target=probe)
    prober.start()
    load.run(PORT, CONNECTIONS, seconds, work, "repeated")
    stop.set()
    prober.join()
    return waits


def _wait_for_proof() -> float:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=_PATIENCE)
    try:
        proof = msgspec.json.decode(_get(connection, GOOD)[1])["links"]["proof"]
        answered = time.monotonic()
        while _get(connection, proof)[0] != HTTPStatus.OK:
            if time.monotonic() - answered > _PATIENCE:
                break
            time.sleep(_POLL)
        return time.monotonic() - answered
    finally:
        connection.close()


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()
