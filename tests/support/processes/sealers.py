"""Real sealers for tests, beside us and in our own process, and what their log says."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from core.embedded.process import Process
from ledger import sealer, standby
from ledger.domain.note import SignerKey
from ledger.domain.serial import first_block
from ledger.publication import Folder
from tests.logs import LOGS
from tests.plugin import LEDGER_KEY, ROOT, Database
from tests.support.processes.proc import eventually

COMMAND = (str(ROOT / "manage.py"), "seal_ledger")


class Sealer(Process):
    """`manage.py seal_ledger` on a database; leaving the block stops it."""

    def __init__(
        self, database: Database, *, log: Path | None = None, command: Sequence[str] = COMMAND, **settings: str
    ) -> None:
        """Start it; ``log`` is a file for what it says, ``command`` what Python runs."""
        environment = {**os.environ, **database.settings, "LOG_LEVEL": "INFO", "LOG_FORMAT": "text", **settings}
        program = [sys.executable, *command]
        if log is not None:
            LOGS.follow("sealers", log)
            program = ["/bin/sh", "-c", 'exec "$@" 2>>"$0"', str(log), *program]
        super().__init__("the sealer", program, environment=environment, folder=ROOT, stop_seconds=60)


def dying(step: str, signal: int) -> tuple[str, ...]:
    """The command of a sealer that signals itself after a step (tests.support.programs.dying_sealer)."""
    return "-m", "tests.support.programs.dying_sealer", step, str(int(signal))


def refusal(database: Database, **settings: str) -> str:
    """What a sealer says that refuses to work; it must end by itself, with exit code 1."""
    environment = {**os.environ, **database.settings, **settings}
    command = [sys.executable, *COMMAND]
    ended = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=180)
    LOGS.take("sealers", ended.stderr)
    assert ended.returncode == 1, ended.stderr
    return ended.stderr


@contextmanager
def sealing(database: Database, *, shard: int = 0) -> Iterator[sealer.Sealer]:
    """The active sealer, in this process, to be ticked by hand."""
    key = SignerKey.parse(LEDGER_KEY)
    place = Folder(database.publication)
    work = standby.Work(database.sealer_url, key, place, first_block(shard), allow_unsafe=True)
    with standby._active(work) as (active, connection):
        # The test may take its time between two ticks, and within one.
        connection.execute("SET idle_session_timeout = 0")
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        yield active


def state(database: Database) -> dict[str, Any]:
    """The row of tree_state."""
    with psycopg.connect(database.owner_url, row_factory=psycopg.rows.dict_row) as session:
        found = session.execute("SELECT * FROM tree_state").fetchone()
        assert found is not None
        return found


def published(database: Database) -> int:
    """How many leaves are published."""
    size: int = state(database)["published_size"]
    return size


def until_published(database: Database, size: int, seconds: float = 90.0) -> None:
    """Return once so many leaves are published."""
    assert eventually(lambda: published(database) >= size, seconds), (
        f"{published(database)} of {size} leaves after {seconds} s"
    )


def seal(database: Database, size: int) -> None:
    """Publish so many leaves, by a sealer in this process that then leaves."""
    with sealing(database) as active:
        assert eventually(lambda: active.tick() >= 0 and published(database) >= size), (
            f"{published(database)} of {size} leaves"
        )
