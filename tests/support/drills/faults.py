"""What can happen to a service: each a function that returns when it is over."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Final

import psycopg

from tests.support.database import ledger
from tests.support.drills.drill import Drill
from tests.support.processes.proc import children, standing_still
from tests.support.servers.disks import fill

STILL_SECONDS: Final = 5.0
SWITCHES: Final = 40


def kill_a_backend(drill: Drill) -> None:
    """One session's process is killed: PostgreSQL ends all others, and recovers."""
    with ledger.reading(drill.database.owner_url) as session:
        found = session.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^tracking-'"
        ).fetchall()
    for (pid,) in drill.chance.sample(found, len(found)):
        with contextlib.suppress(ProcessLookupError):  # some of them live for a moment only
            os.kill(pid, signal.SIGKILL)
            return


def kill_the_postmaster(drill: Drill) -> None:
    """PostgreSQL's first process is killed."""
    os.kill(drill.server.pid, signal.SIGKILL)


def kill_a_web_worker(drill: Drill) -> None:
    """One of the web processes is killed; gunicorn starts another."""
    drill.web.kill(drill.chance.choice(children(drill.web.pid)), signal.SIGKILL)


def kill_the_master(drill: Drill) -> None:
    """Gunicorn's first process is killed: its workers must leave the port to the next."""
    drill.web.kill(drill.web.pid, signal.SIGKILL)


def kill_both_sealers(drill: Drill) -> None:
    """One after the other, so that whoever is active is among them."""
    for sealer in drill.chance.sample(drill.sealers, 2):
        sealer.kill(sealer.pid, signal.SIGKILL)
        drill.pause(drill.chance.uniform(0.1, 1.5))


def kill_valkey(drill: Drill) -> None:
    """What passes the ticks on is killed."""
    os.kill(drill.broker.pid, signal.SIGKILL)


def stop_postgresql(drill: Drill) -> None:
    """All of PostgreSQL stands still for some seconds."""
    with standing_still(drill.server.pid):
        drill.pause(STILL_SECONDS)


def reset_connections(drill: Drill) -> None:
    """All connections to PostgreSQL break together after a random number of bytes, five times."""
    for _ in range(5):
        drill.wire.budget = drill.chance.randrange(1, 20_000)
        until = time.monotonic() + 2
        while drill.wire.budget is not None and time.monotonic() < until:
            drill.pause(0.05)


def fill_the_disk(drill: Drill) -> None:
    """The file system of the write-ahead log is full for some seconds; PostgreSQL can't go on without it."""
    assert drill.wal is not None
    filler = fill(drill.wal)
    with contextlib.suppress(psycopg.OperationalError), ledger.reading(drill.database.owner_url) as session:
        for _ in range(SWITCHES):  # to a new file each, until there is no room for one
            session.execute("SELECT pg_logical_emit_message(false, 'fill', 'up'), pg_switch_wal()")
    try:
        drill.pause(3.0)
        drill.until(drill.crowd.refused_by_now, "somebody is refused")
    finally:
        filler.unlink()


def set_the_clock_back(drill: Drill) -> None:
    """The service's clock is an hour slow, and then right again."""
    _set_clock(drill, "-1h")


def set_the_clock_forward(drill: Drill) -> None:
    """The service's clock is a year fast, and then right again."""
    _set_clock(drill, "+1y")


def _set_clock(drill: Drill, offset: str) -> None:
    before = _wrong_times(drill)
    drill.clock.write_text(offset)
    drill.pause(4.0)
    drill.until(lambda: _wrong_times(drill) > before, "an event has the wrong time")
    drill.clock.write_text("+0")
    drill.pause(1.5)


def _wrong_times(drill: Drill) -> int:
    wrong = "requested_at NOT BETWEEN clock_timestamp() - interval '10 min' AND clock_timestamp()"
    with ledger.reading(drill.database.owner_url) as session:
        row = session.execute(f"SELECT count(*) FROM issuance_event WHERE {wrong}").fetchone()
        assert row is not None
        return int(row[0])


FAULTS: Final[dict[str, Callable[[Drill], None]]] = {
    "kill -9 of a PostgreSQL backend": kill_a_backend,
    "kill -9 of the postmaster": kill_the_postmaster,
    "kill -9 of a web process": kill_a_web_worker,
    "kill -9 of the gunicorn master": kill_the_master,
    "kill -9 of both sealers": kill_both_sealers,
    "kill -9 of Valkey": kill_valkey,
    "PostgreSQL stands still for 5 s": stop_postgresql,
    "connections to PostgreSQL reset": reset_connections,
    "disk of the write-ahead log full": fill_the_disk,
    "clock an hour back": set_the_clock_back,
    "clock a year forward": set_the_clock_forward,
}
