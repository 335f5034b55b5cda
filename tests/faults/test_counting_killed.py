"""Whoever counts is killed at any moment, and so are the database's sessions: each leaf is counted once."""

import functools
import os
import random
import signal
import subprocess
import sys
import time

import psycopg
import pytest

from tests.conftest import Length
from tests.plugin import ROOT, Database
from tests.support.database.report_counts import counted, expected, position, roll_up
from tests.support.database.synthetic_ledger import fill
from tests.support.processes.proc import eventually

MOST = 1024
# Of this database, whatever they do; their workers end then.
_OF_WORKERS = "FROM pg_stat_activity WHERE application_name = 'tracking-reporter' AND datname = current_database()"
_END_SESSIONS = f"SELECT count(pg_terminate_backend(pid)) {_OF_WORKERS}"
_SESSIONS = f"SELECT count(*) {_OF_WORKERS}"

_COUNTED = """
    SELECT leaves, (SELECT sum(count) FROM daily_usage), (SELECT sum(count) FROM daily_total) FROM rollup_state"""


@pytest.mark.timeout(900)  # two processes begin in each round
def test_workers_that_are_killed_at_random_count_each_leaf_once(database: Database, length: Length) -> None:
    events, rounds = length((64 * MOST, 5), (256 * MOST, 25))
    # Of each of the two workers of a round, so that something is left for the last one, however late they are killed.
    steps = events // MOST // rounds // 2
    fill(database, events)
    chance = random.Random(5)
    ended = 0
    with psycopg.connect(database.owner_url, autocommit=True) as superuser:
        for round_ in range(rounds):
            before = position(database)
            assert before < events, f"done after {round_} rounds"
            workers = [start(database, steps) for _ in range(2)]
            assert eventually(functools.partial(moved, database, before)), before
            time.sleep(chance.uniform(0, 0.03))
            if round_ % 4 == 0:
                ((sessions,),) = superuser.execute(_END_SESSIONS.encode()).fetchall()
                ended += sessions
            for worker in workers:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
            assert of_position(database), "more or less is counted than the position says"
        assert eventually(lambda: superuser.execute(_SESSIONS.encode()).fetchone() == (0,)), "one may have the turn"
    assert ended > 0, "no session was ended at work"
    roll_up(database)
    assert position(database) == events
    assert counted(database) == expected(database)


def of_position(database: Database) -> bool:
    """Whether as many leaves are counted as the position says, in both tables."""
    with psycopg.connect(database.owner_url) as connection:
        found = connection.execute(_COUNTED.encode()).fetchone()
    assert found is not None
    return len(set(found)) == 1


def moved(database: Database, before: int) -> bool:
    return position(database) > before


def start(database: Database, steps: int) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-m",
        "tests.support.programs.counting_worker",
        database.reporter_url,
        str(MOST),
        str(steps),
    ]
    return subprocess.Popen(command, cwd=ROOT, env=dict(os.environ))
