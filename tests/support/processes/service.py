"""The real service for tests: gunicorn with the configuration that production runs."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

import httpx

from core.embedded.process import Process
from tests.plugin import ROOT, Database
from tests.support.clients.http import ask
from tests.support.processes.commands import manage
from tests.support.processes.ports import free_port
from tests.support.processes.proc import eventually

ANSWER_SECONDS = 120.0
STOP_SECONDS = 90.0


class Service:
    """A running service; leaving the block stops it by SIGTERM, and fails if that takes longer than the drain may."""

    def __init__(
        self, database: Database, *, initialise: bool = True, arguments: Sequence[str] = (), **settings: str
    ) -> None:
        """Start it on a free port of 127.0.0.1 and wait until it answers and all its workers are there.

        Args:
            initialise: whether the allocator is made first.
            arguments: of gunicorn, which they tell something else than its configuration does.
            settings: as core.env names them.
        """
        self.port = int(settings.get("PORT") or free_port())
        self.base_url = f"http://127.0.0.1:{self.port}"
        given = {"PORT": str(self.port), "WEB_CONCURRENCY": "2", "LOG_LEVEL": "WARNING"} | database.settings | settings
        if initialise:
            manage(database, "init_allocator", **given)
        self._workers = int(given["WEB_CONCURRENCY"])
        self._process = Process(
            "the service",
            [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *arguments, "core.asgi:application"],
            environment={**os.environ, **given},
            folder=ROOT,
            stop_seconds=STOP_SECONDS,
        )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self._process.stop()
            raise

    @property
    def pid(self) -> int:
        """The master's process id."""
        return self._process.pid

    @property
    def worker_pids(self) -> list[int]:
        """The workers' process ids."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    @property
    def running(self) -> bool:
        """Whether the master is alive."""
        return self._process.running

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop it as production is stopped. Stopping twice is fine."""
        assert self._process.stop(), f"the service did not stop within {STOP_SECONDS} s of SIGTERM"

    def _wait_until_it_answers(self) -> None:
        assert eventually(lambda: not self.running or self._complete(), ANSWER_SECONDS), "the service does not answer"
        assert self.running, "the service ended; its log is above"

    def _complete(self) -> bool:
        """Whether it answers and each of its workers was forked: the first may answer before there is a second."""
        return answers(self.port) and len(self.worker_pids) >= self._workers


@contextmanager
def runserver(database: Database, **settings: str) -> Iterator[int]:
    """The port of `manage.py runserver`, the plain WSGI way in, while the block runs; the allocator must be there."""
    port = free_port()
    command = [sys.executable, str(ROOT / "manage.py"), "runserver", "--noreload", f"127.0.0.1:{port}"]
    environment = {**os.environ, **database.settings, "LOG_LEVEL": "DEBUG", **settings}
    with Process("runserver", command, environment=environment, folder=ROOT, stop_seconds=STOP_SECONDS):
        assert eventually(lambda: answers(port)), "runserver does not answer"
        yield port


def answers(port: int) -> bool:
    """Whether a service serves there; where one only listens as yet, its answer is waited for."""
    try:
        ask(port, "/robots.txt")
    except httpx.TransportError:
        return False
    return True


class ServiceFactory(Protocol):
    """What the fixture `service` gives."""

    def __call__(self, database: Database, *, initialise: bool = True, **settings: str) -> Service: ...
