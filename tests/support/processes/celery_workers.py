"""Real workers and beats beside us, and what they must have counted in the end."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg
import redis

from core.embedded.__main__ import BEAT, WORKER
from core.embedded.process import Process
from core.embedded.valkey import Valkey, socket_path
from tests.logs import LOGS
from tests.plugin import ROOT, Database
from tests.support.processes.proc import children, eventually

_TABLES = {
    "daily_usage": "customer_tag, origin, destination, weight_band",
    "daily_total": "origin, destination, weight_band",
}
"""What they count by, beside the day."""


class Celery(Process):
    """One of `make run`'s two programs of Celery on a database and a Valkey, but quick."""

    def __init__(
        self,
        command: Sequence[str],
        database: Database,
        broker: Valkey,
        *,
        log: Path | None = None,
        app: str = "tests.support.programs.fast_celery",
        skew: Mapping[str, str] = {},
        **settings: str,
    ) -> None:
        """Start it; ``log`` is a file for what it says, ``skew`` of tests.support.processes.clocks."""
        given = {"REDIS_URL": broker.url, "LOG_LEVEL": "WARNING"} | settings
        quick = [part.replace("core.celery", app) for part in command]
        program = [sys.executable, "-m", *quick]
        if log is not None:
            LOGS.follow("workers", log)
            program = ["/bin/sh", "-c", 'exec "$@" 2>>"$0"', str(log), *program]
        environment = {**os.environ, **database.settings, **given, **skew}
        super().__init__(command[3], program, environment=environment, folder=ROOT, stop_seconds=10)

    @property
    def pool(self) -> list[int]:
        """The processes in which a worker's tasks run."""
        return children(self.pid)

    def kill_pool(self) -> None:
        """End the processes in which its tasks run."""
        for pid in self.pool:
            with suppress(ProcessLookupError):  # killed before, and its end taken in meanwhile
                os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """End it and its pool at once."""
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()


worker = partial(Celery, WORKER)
beat = partial(Celery, BEAT)


def send(broker: Valkey, task: str) -> str:
    """Send a task, as beat does; its id."""
    from celery import Celery as App  # noqa: PLC0415  # it costs every collection of the tests 0.3 s

    with App("test", broker=broker.url) as app:
        return str(app.send_task(f"reports.tasks.{task}", queue="reports-0").id)


def client(broker: Valkey) -> "redis.Redis":
    """A client of Valkey."""
    return redis.Redis(unix_socket_path=str(socket_path(broker.home)))


def counted(database: Database) -> int:
    """How many leaves are counted."""
    with psycopg.connect(database.owner_url) as session:
        row = session.execute("SELECT leaves FROM rollup_state").fetchone()
        assert row is not None
        return int(row[0])


def until_counted(database: Database, leaves: int, seconds: float = 90.0) -> None:
    """Return once so many leaves are counted."""
    assert eventually(lambda: counted(database) >= leaves, seconds), f"{counted(database)} of {leaves} leaves"


def check_counts(database: Database) -> None:
    """Every event is counted, in both tables, once."""
    with psycopg.connect(database.owner_url) as session:
        for table, keys in _TABLES.items():
            live = session.execute(f"SELECT day, {keys}, count FROM {table}").fetchall()
            expected = session.execute(
                f"SELECT (requested_at AT TIME ZONE 'UTC')::date AS day, {keys}, count(*)"
                f" FROM issuance_event GROUP BY day, {keys}"
            ).fetchall()
            assert sorted(live) == sorted(expected), table
