"""A whole service under load whose parts are killed: PostgreSQL that keeps what it commits, web, sealers, workers.

What ends is started again, as an orchestrator does, and nothing else is done for it. Clients write down each answer
(tests.support.programs.endless_clients); after each fault the checker compares these with the ledger.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psycopg

from core.embedded.__main__ import BEAT, WORKER
from core.embedded.process import Process
from core.embedded.valkey import Valkey
from tests.logs import LOGS
from tests.plugin import ROOT, Database, HeardServer
from tests.support.clients.client_crowd import Crowd
from tests.support.database import ledger
from tests.support.database.own_cluster import OwnCluster
from tests.support.log import naive_log
from tests.support.log.checker import Checker, check_checkpoints
from tests.support.processes import celery_workers
from tests.support.processes.celery_workers import counted
from tests.support.processes.clocks import faked
from tests.support.processes.commands import manage
from tests.support.processes.ports import free_port
from tests.support.processes.proc import alive, eventually, family
from tests.support.processes.sealers import COMMAND as SEAL
from tests.support.processes.sealers import published
from tests.support.processes.service import answers
from tests.support.programs.endless_clients import PAUSE
from tests.support.servers.disks import small_disk
from tests.support.servers.wire import Wire, wire

RECOVERY_SECONDS = 90.0
"""From the end of a fault until every client has numbers again, without a hand."""
AGAIN = 0.5
"""Seconds after which a program that ended is started again."""
QUIET = 1.0
"""So long nothing must fail before a service has recovered."""
WAL_BYTES = 160 << 20
_GUNICORN = ("-m", "gunicorn", "-c", "gunicorn.conf.py", "core.asgi:application")


class Postgres(HeardServer):
    """A durable PostgreSQL that is started again without waiting for it."""

    def launch(self) -> None:
        """Start it; it may end again."""
        self._launch(self._take_home())


class Kept:
    """A program that is started again when it has ended."""

    def __init__(self, running: Callable[[], bool], start: Callable[[], None]) -> None:
        self._running = running
        self._start = start
        self._since = time.monotonic()

    def keep(self) -> None:
        """Start it, if that is due."""
        if not self._running() and time.monotonic() > self._since + AGAIN:
            self._start()
            self._since = time.monotonic()


class Program(Kept):
    """A process of the service, and its log."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        LOGS.follow("the services", log)
        self.log = log
        self.past: list[int] = []
        """All that ran before: none may live on."""
        # A thread's end would end what it started: this is for the main thread, which does all in a drill.
        program = ["/bin/sh", "-c", 'exec "$@" 2>>"$0"', str(log), sys.executable, *arguments]
        given = {**os.environ, **environment}

        def start() -> None:
            self.process = Process(name, program, environment=given, folder=ROOT)

        start()
        super().__init__(lambda: self.process.running, start)

    @property
    def pid(self) -> int:
        """Of the process that runs at present."""
        return self.process.pid

    def kill(self, pid: int, signal: int) -> None:
        """End it or a child of it."""
        self.past += family(pid)
        os.kill(pid, signal)


class Outcome(NamedTuple):
    """What a fault came to: seconds until every client had numbers again, and the requests meanwhile."""

    recovery: float
    answered: int
    failed: int


class Drill:
    """The service, its clients, and what they were answered."""

    def __init__(self, folder: Path, seed: int, stack: ExitStack, faketime: Path | None, pause: float) -> None:
        """Start everything.

        Args:
            folder: with a short path, since sockets are in it.
            seed: of all that is left to chance.
            stack: stops it all.
            faketime: the library, where the service's clock is to be set.
            pause: seconds of a client between two requests.
        """
        self.chance = random.Random(seed)
        self.seed = seed
        self.folder = folder
        self.server = Postgres(folder / "postgres", durable=True)
        self.cluster = OwnCluster(folder, self.server)
        stack.callback(self.server.stop)
        self.database = self.cluster.create()
        self.wal = self._own_disk(stack)
        self.wire: Wire = stack.enter_context(wire(None, self.database.url))
        self.wired = self._over_the_wire()
        self.port = free_port()
        self.clock = folder / "clock"
        self.clock.write_text("+0")
        self._settings = self.wired.settings | {
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "2",
            "LOG_LEVEL": "WARNING",
            "ALLOW_UNSAFE_DATABASE": "0",
        }
        skewed = {} if faketime is None else faked(faketime, self.clock)
        manage(self.wired, "init_allocator", **self._settings)
        self.broker = Valkey(folder / "v")
        LOGS.follow("Valkey", folder / "v/log")
        stack.enter_context(self.broker)
        self._kept: list[Kept] = []
        self.web = self._program(stack, "web", _GUNICORN, skewed)
        self.sealers = [self._program(stack, f"sealer{number}", SEAL, skewed) for number in (1, 2)]
        redis = {"REDIS_URL": self.broker.url}
        for name, command in (("worker", WORKER), ("beat", BEAT)):
            quick = [part.replace("core.celery", "tests.support.programs.fast_celery") for part in command]
            self._program(stack, name, ["-m", *quick], skewed | redis)
        self._kept += [Kept(lambda: self.server.running, self.server.launch)]
        self._kept += [Kept(lambda: self.broker.running, self.broker.start)]
        self.until(lambda: answers(self.port), "the service answers")
        self.crowd = stack.enter_context(Crowd(self.port, folder, seed, pause=pause))
        self.checker = Checker(self.database.owner_url)
        self.until_recovered(time.monotonic())

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
        """Return once it holds; what ends meanwhile is started again."""
        deadline = time.monotonic() + seconds
        while not self._holds(holds):
            assert time.monotonic() < deadline, f"not within {seconds} s: {what} (seed {self.seed})"
            self._keep()
            time.sleep(0.05)

    def pause(self, seconds: float) -> None:
        """Let some time go by, in which what has ended is started again."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._keep()
            time.sleep(0.02)

    def run(self, fault: Callable[["Drill"], None]) -> Outcome:
        """Let something happen at a random moment; return once every client has numbers again and all is sealed.

        Asserts that nothing that was answered until then is twice, is missing or was altered.
        """
        self.pause(self.chance.uniform(0.2, 1.2))
        self.crowd.look(forget=True)
        fault(self)
        recovery = self.until_recovered(time.monotonic())
        numbers, requests = self.crowd.numbers, len(self.crowd.lines)
        self.until_sealed()
        self.check()
        return Outcome(recovery, numbers, requests - numbers)

    def until_recovered(self, since: float) -> float:
        """Return once every client has numbers again; seconds from ``since`` to the last failure, or long wait."""

        def served() -> bool:
            quiet = max(since, self.crowd.last_failure())
            return time.monotonic() > quiet + QUIET and self.crowd.all_served(quiet)

        self.until(served, "every client has numbers", RECOVERY_SECONDS)
        return max(0.0, self.crowd.last_failure() - since)

    def until_sealed(self) -> None:
        """Return once all that is in the ledger now is published, and counted for the reports."""
        issued = ledger.count(self.database.owner_url)
        self.until(lambda: published(self.database) >= issued, f"{issued} leaves are published", RECOVERY_SECONDS)
        self.until(lambda: counted(self.database) >= issued, f"{issued} leaves are counted", RECOVERY_SECONDS)

    def check(self) -> None:
        """Compare what was answered with the ledger."""
        self.checker.take(self.crowd.unchecked())
        assert not self.checker.faults, self.checker.faults[:10]

    def finish(self) -> None:
        """Stop the clients, and look at everything: answers, requests, reports, log, and all that a monitor saw."""
        assert self.crowd.stop(), "the clients did not stop"
        self.until_sealed()
        self.check()
        self.checker.finish()
        seen = self.crowd.seen()
        assert len(seen) > 1
        faults = self.checker.faults + check_checkpoints(seen, self.database.owner_url, naive_log.KEY)
        assert not faults, faults[:10]
        celery_workers.check_counts(self.database)
        manage(self.wired, "verify_ledger", **self._settings)
        past = [pid for program in self._kept if isinstance(program, Program) for pid in program.past]
        assert eventually(lambda: not alive(past)), f"processes that were ended live on: {alive(past)}"

    def said(self) -> str:
        """All that the service's processes have logged."""
        return "".join(kept.log.read_text() for kept in self._kept if isinstance(kept, Program))

    def _program(self, stack: ExitStack, name: str, arguments: Sequence[str], more: Mapping[str, str]) -> Program:
        made = Program(name, arguments, {**self._settings, **more}, self.folder / f"{name}.log")
        stack.callback(lambda: made.process.stop())  # noqa: PLW0108  # of the one that runs by then
        self._kept.append(made)
        return made

    def _own_disk(self, stack: ExitStack) -> Path | None:
        """Give the write-ahead log a small file system of its own, as initdb --waldir does; only root can."""
        place, log = self.folder / "wal", self.server.data / "pg_wal"
        owner = self.server.data.stat()
        place.mkdir()
        if not stack.enter_context(small_disk(place, WAL_BYTES, owner.st_uid)):
            return None
        self.server.stop()
        shutil.copytree(log, place / "log")
        for path in (place / "log", *(place / "log").rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        shutil.rmtree(log)
        log.symlink_to(place / "log")
        self.server.start()
        stack.callback(self.server.stop)
        return place

    def _over_the_wire(self) -> Database:
        made, over = self.database, self.wire.url
        urls = over(made.url), over(made.sealer_url), over(made.reporter_url)
        return replace(made, url=urls[0], sealer_url=urls[1], reporter_url=urls[2])

    def _keep(self) -> None:
        for each in self._kept:
            each.keep()

    def _holds(self, holds: Callable[[], bool]) -> bool:
        try:
            return holds()
        except psycopg.OperationalError:  # of a question of ours, to a server that is on its way
            return False


@contextmanager
def drill(seed: int, faketime: Path | None = None, *, pause: float = PAUSE) -> Iterator[Drill]:
    """A drill that runs for as long as the block."""
    folder = Path(tempfile.mkdtemp(prefix="dr-"))
    try:
        with ExitStack() as stack:
            yield Drill(folder, seed, stack, faketime, pause)
    finally:
        LOGS.read()
        shutil.rmtree(folder)
