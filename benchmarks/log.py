"""The log by itself: catching up, storage, verifying, and a proof's cost on a short log and on a long one."""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import batched, islice

import psycopg
from psycopg import IsolationLevel

from benchmarks import cpu, flat, record
from benchmarks.database import ROOT, Cluster
from core.databases import APPLICATION_ROLE, SEALER_ROLE
from core.session import Session
from issuance.domain.number import Numbering
from ledger import reading, store
from ledger.domain.entry import Event
from ledger.domain.note import SignerKey
from ledger.domain.serial import BLOCK_SIZE
from ledger.log import Interiors
from ledger.publication import Folder
from ledger.sealer import Sealer

GOAL_CATCH_UP, GOAL_VERIFY, GOAL_LOADED, GOAL_SLOW = 40_000, 60_000, 40, 150
_ROUTES = 60
_ROUND = flat.WRITERS * BLOCK_SIZE
_LOADED_TICK = 1_024
_LOADED_ROUNDS = 30
_PROOFS = 2_000
_VACUUM = 250
_TABLES = ("tree_state", "block_cursor", "run", "tile", "checkpoint")
_DATABASE = "log"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--small", type=int, default=10_000, help="events of the short log")
    parser.add_argument("--large", type=int, default=1_000_000, help="events of the long log")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print; the exit code says whether the goals are reached."""
    with Cluster(options.folder) as cluster:
        cluster.create(_DATABASE)
        bench = Ledger(cluster, _DATABASE)
        bench.fill(options.small)
        bench.catch_up()
        small = bench.proof()
        one = bench.storage(1, in_turn=False)
        turns = bench.storage(1, in_turn=True)
        many = bench.storage(_LOADED_TICK, in_turn=True, rounds=_LOADED_ROUNDS)
        before = bench.count
        _, short_memory = bench.verify()
        bench.fill(options.large)
        added = bench.count - before
        seconds, own, session = bench.catch_up()
        large = bench.proof()
        verifying, memory = bench.verify()
        bench.close()
    text = "\n".join(
        (
            "| figure | measured | goal |",
            "|---|--:|--:|",
            f"| catching up with {added:,} events | {added / seconds:,.0f}/s | {GOAL_CATCH_UP:,}/s |",
            f"| CPU an event, sealer and its session | {own / added:.1f} and {session / added:.1f} us | |",
            f"| `verify_ledger`, events a second of CPU, PostgreSQL's too | {1e6 / verifying:,.0f} | {GOAL_VERIFY:,} |",
            f"| its memory at most, {before:,} events | {short_memory / 1024:.0f} MB | |",
            f"| its memory at most, {bench.count:,} events | {memory / 1024:.0f} MB | the same |",
            f"| storage an event, {_LOADED_TICK} a tick | {many:.1f} bytes | {GOAL_LOADED} |",
            f"| storage an event, one a tick, one worker | {one:.1f} bytes | {GOAL_SLOW} |",
            f"| the same, two workers in turn | {turns:.1f} bytes | {GOAL_SLOW} |",
            f"| CPU of a proof, {options.small:,} events | {small:.0f} us | |",
            f"| CPU of a proof, {bench.count:,} events | {large:.0f} us ({large / small:.2f} x) | the same |",
        )
    )
    print(text)
    if options.record:
        record.section("log", text)
    reached = added / seconds >= GOAL_CATCH_UP and 1e6 / verifying >= GOAL_VERIFY
    return 0 if reached and many <= GOAL_LOADED and one <= GOAL_SLOW else 1


class Ledger:
    """One ledger that grows: its writers live, its sealer works in this process."""

    def __init__(self, cluster: Cluster, database: str, **moments: int) -> None:
        """Take an empty database of a cluster; ``moments`` are those of ``flat.events``."""
        self.count = 0
        self._cluster = cluster
        self._database = database
        self._settings = cluster.environment(database)
        self._batches = flat.events(_ROUTES, Numbering(bytes.fromhex(self._settings["NUMBER_KEY"])), **moments)
        self._key = SignerKey.parse(self._settings["LEDGER_KEY"])
        self._superuser = cluster.session(database)
        for writer in range(flat.WRITERS):
            self._superuser.execute("SELECT pg_advisory_lock(%s::bigint)", [writer])
        self._connection = psycopg.connect(cluster.sealing_url(database), autocommit=True)
        self._connection.isolation_level = IsolationLevel.REPEATABLE_READ
        self._connection.execute(f"SET ROLE {SEALER_ROLE}".encode())
        self._sealer = Sealer(self._connection, self._key, Folder(cluster.publication(database)), 0)

    def close(self) -> None:
        """End its sessions."""
        self._connection.close()
        self._superuser.close()

    def fill(self, size: int) -> None:
        """Append whole blocks of events until there are ``size``, and leave them unsealed."""

        async def fill(session: Session) -> None:
            whole = self.count + _whole(size - self.count)
            self.count = await flat.fill(session, self._batches, self.count, whole)

        self._with_session(fill)
        self._lease()

    def grow(self, size: int, each: int) -> None:
        """Append whole blocks until there are ``size`` events, with a checkpoint after ``each`` of them."""
        added = _whole(size - self.count)
        events = (event for batch in self._batches for event in batch)
        self._lease(added)
        self._with_session(lambda session: self._append(session, islice(events, added), each))
        self.count += added

    def catch_up(self) -> tuple[float, float, float]:
        """Tick until nothing is left: seconds, and CPU microseconds of this process and of the sealer's session."""
        backend = self._connection.info.backend_pid
        before = time.perf_counter(), time.process_time(), cpu.used(backend)
        while self._sealer.tick():
            pass
        after = time.perf_counter(), time.process_time(), cpu.used(backend)
        return after[0] - before[0], (after[1] - before[1]) * 1e6, after[2] - before[2]

    def verify(self) -> tuple[float, int]:
        """`manage.py verify_ledger`: CPU microseconds an event, PostgreSQL's included, and its memory at most in kB."""
        server = self._cluster.server.pid
        assert server is not None  # noqa: S101  # it runs
        before = cpu.used(server)
        command = [sys.executable, str(ROOT / "manage.py"), "verify_ledger"]
        quiet = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
        pid = os.posix_spawn(sys.executable, command, self._settings, file_actions=quiet)
        _, status, used = os.wait4(pid, 0)
        if status:
            raise RuntimeError("The log does not verify.")
        spent = (used.ru_utime + used.ru_stime) * 1e6 + cpu.used(server) - before
        return spent / self.count, used.ru_maxrss

    def storage(self, each: int, *, in_turn: bool, rounds: int = 1) -> float:
        """Bytes an event of the log's tables, at ``each`` events a tick of one worker, or of two in turn."""
        for _ in range(2):  # the first round fills what is then used again and again
            events = [event for batch in islice(self._batches, rounds * _ROUND // flat.BATCH) for event in batch]
            if in_turn:  # each worker uses its blocks one after the other
                events.sort(key=lambda event: (event.serial // _ROUND, event.serial % BLOCK_SIZE, event.serial))
            else:
                events.sort(key=lambda event: event.serial)
            self._lease(len(events))
            before = self._stored()
            self._with_session(lambda session, events=events: self._append(session, events, each))
            self.count += len(events)
        return (self._stored() - before) / len(events)

    def proof(self) -> float:
        """CPU microseconds of one proof of any number, this process and its session together."""
        found = self._superuser.execute(
            "SELECT number FROM issuance_event WHERE serial = ANY(%s)",
            [random.Random(self.count).sample(range(self.count), 2 * _PROOFS)],  # noqa: S311 - a load, not a secret
        )
        numbers = [str(number) for (number,) in found]
        known = Interiors()
        with psycopg.connect(self._cluster.serving_url(self._database), autocommit=True) as connection:
            backend = connection.info.backend_pid
            for number in numbers[:_PROOFS]:  # the second half is measured: other numbers, and caches that are warm
                reading.inclusion(connection, self._key.verifier, number, known)
            before = time.process_time(), cpu.used(backend)
            for number in numbers[_PROOFS:]:
                reading.inclusion(connection, self._key.verifier, number, known)
            after = time.process_time(), cpu.used(backend)
        return ((after[0] - before[0]) * 1e6 + after[1] - before[1]) / _PROOFS

    async def _append(self, session: Session, events: Iterable[Event], each: int) -> None:
        for turn, chunk in enumerate(batched(events, each)):
            await store.append(session, chunk)
            self._sealer.tick()
            if not turn % _VACUUM:
                self._superuser.execute("VACUUM tree_state")  # as autovacuum does every few minutes

    def _stored(self) -> int:
        self._superuser.execute("VACUUM tree_state, block_cursor, run")
        ((size,),) = self._superuser.execute(
            "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name", [list(_TABLES)]
        ).fetchall()
        return int(str(size))

    def _lease(self, ahead: int = 0) -> None:
        """Give the writers the blocks of all events there are, and of so many more."""
        self._superuser.execute(
            "INSERT INTO number_block (id, writer) SELECT id, id %% %s FROM generate_series("
            "(SELECT coalesce(max(id) + 1, 0) FROM number_block), %s::bigint - 1) AS id",
            [flat.WRITERS, (self.count + ahead) // BLOCK_SIZE],
        )

    def _with_session(self, work: Callable[[Session], Awaitable[None]]) -> None:
        async def run() -> None:
            session = await Session.connect(self._cluster.serving_url(self._database), APPLICATION_ROLE)
            try:
                await work(session)
            finally:
                session.close()

        asyncio.run(run())


def _whole(events: int) -> int:
    """So many events or a few more: as many as fill a block of each writer."""
    return -(-events // _ROUND) * _ROUND
