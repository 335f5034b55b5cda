"""What a read costs through a coordinator of shards, beside asking the shard itself: one ledger, one server."""

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from benchmarks import cpu, record, targets
from benchmarks.database import ROOT, Cluster
from benchmarks.log import Ledger
from benchmarks.reports import roll_up
from benchmarks.running import Running
from benchmarks.targets import PORT
from ledger.domain.note import SignerKey
from reports.session import session

_SHARD, _COORDINATOR = "shard", "coordinator"
_EACH: Final = 2_048
"""Events of a checkpoint."""
_READER: Final = "bench_reader"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--size", type=int, default=200_000, help="events of the ledger")
    parser.add_argument("--asked", type=int, default=300, help="requests of each kind")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print."""
    with Cluster(options.folder) as cluster:
        for database in (_SHARD, _COORDINATOR):
            cluster.create(database)
        cluster.manage(_SHARD, "init_allocator")
        ledger = Ledger(cluster, _SHARD)
        ledger.grow(options.size, _EACH)
        with session(cluster.reporting_url(_SHARD)) as reporter:
            roll_up(reporter)
        paths = _paths(cluster, ledger.count, options.asked)
        _coordinate(cluster)
        keys = {name: cluster.manage(name, "create_api_key", "b", *_SCOPES).strip() for name in (_SHARD, _COORDINATOR)}
        found = {name: _costs(cluster, name, keys[name], paths) for name in (_SHARD, _COORDINATOR)}
        ledger.close()
    rows = [
        f"| {kind} | {found[_SHARD][kind]:,.0f} µs | {found[_COORDINATOR][kind]:,.0f} µs |"
        f" {found[_COORDINATOR][kind] / found[_SHARD][kind]:.2f} |"
        for kind in paths
    ]
    head = [f"| CPU a request, {ledger.count:,} events | of the shard | by a coordinator | x |", "|---|--:|--:|--:|"]
    text = "\n".join((*head, *rows))
    print(text)
    if options.record:
        record.section("shards", text)
    return 0


_SCOPES: Final = ("--scope", "audit", "--scope", "reports")


def _paths(cluster: Cluster, size: int, asked: int) -> dict[str, list[str]]:
    """What is asked for, by kind."""
    source = random.Random(0)  # noqa: S311 - a load, not a secret
    serials = source.sample(range(size), asked)
    with cluster.session(_SHARD) as superuser:
        superuser.execute("VACUUM (ANALYZE)")
        rows = superuser.execute("SELECT number FROM issuance_event WHERE serial = ANY(%s)", [serials]).fetchall()
    numbers = [f"/v1/tracking-numbers/{number}" for (number,) in rows]
    customers = [f"de619854-b59b-425e-9db4-{source.randrange(2000):012x}" for _ in range(asked)]
    return {
        "a look-up": numbers,
        "a proof": [f"{number}/proof" for number in numbers],
        "a page of 100": ["/v1/tracking-numbers"] * asked,
        "a page of 100 of a route": ["/v1/tracking-numbers?route=MY-ID"] * asked,
        "a customer's statistics": [f"/v1/customers/{each}/stats" for each in customers],
        "thirty days of reports": ["/v1/reports/daily"] * asked,
    }


def _coordinate(cluster: Cluster) -> None:
    """Make the coordinator; both databases are of one PostgreSQL, whose CPU is then that of both."""
    settings = cluster.environment(_COORDINATOR) | {"COORDINATOR": "1"}
    key = SignerKey.parse(settings["LEDGER_KEY"]).verifier
    with cluster.session(_SHARD) as superuser:
        superuser.execute(f"CREATE ROLE {_READER} LOGIN IN ROLE tracking_auditor")
    url = cluster.server.url(user=_READER, database=_SHARD)
    command = [sys.executable, str(ROOT / "manage.py"), "coordinate_shards", "-"]
    subprocess.run(command, env=settings, cwd=ROOT, check=True, input=f"0 {url} {key}\n", text=True)


def _costs(cluster: Cluster, database: str, key: str, paths: dict[str, list[str]]) -> dict[str, float]:
    """CPU microseconds of a request of each kind: the web process and PostgreSQL."""
    found = {}
    with _serving(cluster, database) as server, httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {key}"
        for kind, asked in paths.items():
            _ask(client, asked[:50])  # plans, memories, sessions
            before = cpu.used(server) + cpu.used(cluster.server.pid)
            _ask(client, asked)
            found[kind] = (cpu.used(server) + cpu.used(cluster.server.pid) - before) / len(asked)
    return found


def _ask(client: httpx.Client, paths: list[str]) -> None:
    for path in paths:
        client.get(path).raise_for_status()


@contextmanager
def _serving(cluster: Cluster, database: str) -> Iterator[int]:
    """The service on one of the two databases; its process id."""
    environment = cluster.environment(database) | {"PORT": str(PORT), "WEB_CONCURRENCY": "1"}
    if database == _COORDINATOR:
        environment |= {"COORDINATOR": "1"}
    with Running(targets.SERVICE, environment, cluster.folder / f"{database}.log") as running:
        yield running.pid
