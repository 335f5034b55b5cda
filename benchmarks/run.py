"""Measures every target in turn, round after round."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from benchmarks import cpu, load, orders, pgbench, targets
from benchmarks.database import Cluster
from benchmarks.load import Load, Mix
from benchmarks.running import Running
from benchmarks.targets import PORT, WORKERS, LeftOutError, Target

WARM_UP = 3
SETTINGS: tuple[tuple[int, Mix], ...] = ((64, "repeated"), (512, "repeated"), (64, "fresh"))
"""Connections and customers of the figures taken."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One run; CPU in microseconds per answer.

    Attributes:
        server: CPU of the target's processes.
        database: CPU of PostgreSQL's processes.
    """

    target: str
    connections: int
    mix: Mix
    rate: float
    p50: float
    p99: float
    longest: float
    errors: int
    server: float
    database: float

    @property
    def cpu(self) -> float:
        """CPU of both."""
        return self.server + self.database


class NotCountedError(Exception):
    """The rows of the table are not the answers; the figure would be a lie."""


class Say(Protocol):
    """Where progress goes."""

    def __call__(self, line: str) -> None: ...  # noqa: D102


class Bench:
    """All that the runs share."""

    def __init__(self, cluster: Cluster, *, seconds: int, say: Say) -> None:
        """``seconds`` is how long each load lasts."""
        self._cluster, self._seconds, self._say = cluster, seconds, say
        self._orders = cluster.folder / "orders"
        orders.write(self._orders)

    def prepare(self, chosen: Sequence[Target]) -> list[Target]:
        """Those that can run here; the others are left out with a message."""
        able = []
        for target in chosen:
            try:
                target.prepare(self._cluster.folder)
            except LeftOutError as error:
                self._say(f"{target.title} is left out: {error}")
            else:
                able.append(target)
        return able

    def target(self, target: Target) -> Iterator[Figure]:
        """Start ``target`` on an empty database and take its figures."""
        name = f"bench_{target.name.replace('-', '_')}"
        with self._database(name), self._running(target, name) as server:
            server.check()
            for connections, mix in SETTINGS:
                load.run(PORT, connections, WARM_UP, self._orders, mix)
                yield self._counted(target, server.pid, name, connections, mix)

    def pgbench(self) -> Iterator[Figure]:
        """The database's own rate at the same numbers of connections."""
        for connections in dict.fromkeys(connections for connections, _ in SETTINGS):
            with self._database(targets.PGBENCH):
                url = self._cluster.serving_url(targets.PGBENCH)
                before, postmaster = cpu.used(self._cluster.server.pid), self._cluster.server.pid
                seen = pgbench.run(url, connections, self._seconds)
                used = cpu.used(postmaster) - before
                rows = self._cluster.rows(targets.PGBENCH)
                if rows != seen.answered:
                    raise NotCountedError(f"pgbench: {seen.answered} transactions, {rows} rows")
                yield _figure(targets.PGBENCH, (connections, "repeated"), seen, (0.0, used))

    @contextmanager
    def _database(self, name: str) -> Iterator[None]:
        self._cluster.create(name)
        try:
            yield
        finally:
            self._cluster.drop(name)

    def _running(self, target: Target, database: str) -> Running:
        environment = self._cluster.environment(database) | {
            "PORT": str(PORT),
            "WEB_CONCURRENCY": str(WORKERS),
            "PEER_COUNTRIES": str(self._cluster.folder / "countries.json"),
            "PEER_POOL": os.environ.get("PEER_POOL", str(targets.POOL)),
        }
        if target.allocates:
            self._cluster.manage(database, "init_allocator")
        return Running(target, environment, self._log(target))

    def _log(self, target: Target) -> Path:
        return self._cluster.folder / f"{target.name}.log"

    def _counted(self, target: Target, server: int, database: str, connections: int, mix: Mix) -> Figure:
        postmaster = self._cluster.server.pid
        rows = self._cluster.rows(database)
        before = cpu.used(server), cpu.used(postmaster)
        seen = load.run(PORT, connections, self._seconds, self._orders, mix)
        used = cpu.used(server) - before[0], cpu.used(postmaster) - before[1]
        rows = self._cluster.rows(database) - rows
        if target.issues and rows != seen.answered:
            raise NotCountedError(f"{target.name}: {seen.answered} answers with a number, {rows} rows")
        return _figure(target.name, (connections, mix), seen, used)


def _figure(name: str, setting: tuple[int, Mix], seen: Load, used: tuple[float, float]) -> Figure:
    """``used``: CPU microseconds of server and PostgreSQL over the whole run."""
    answers = seen.answered or 1
    return Figure(
        target=name,
        connections=setting[0],
        mix=setting[1],
        rate=seen.answered / seen.seconds,
        p50=seen.p50,
        p99=seen.p99,
        longest=seen.longest,
        errors=seen.refused + seen.broken,
        server=used[0] / answers,
        database=used[1] / answers,
    )
