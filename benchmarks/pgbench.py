"""The database's own rate: PostgreSQL's pgbench inserts the same row one at a time, without any service."""

import os
import re
import subprocess
from pathlib import Path

from benchmarks.load import THREADS, Load
from core.embedded import postgres

_SCRIPT = Path(__file__).parent / "peers" / "insert.sql"
_PROCESSED = re.compile(r"number of transactions actually processed: (\d+)")
_FAILED = re.compile(r"number of failed transactions: (\d+)")
_RATE = re.compile(r"tps = ([0-9.]+)")


class PgbenchError(Exception):
    """pgbench failed; the message is its own."""


def run(database_url: str, connections: int, seconds: int) -> Load:
    """Insert for ``seconds`` over ``connections`` sessions; pgbench gives no percentiles, so those are NaN.

    Raises:
        PgbenchError: a transaction failed, or pgbench did.
    """
    options = ["-n", "-M", "prepared", "-f", str(_SCRIPT), "-D", "n=0"]
    # pgbench's time runs while it opens its sessions, some hundred a second; its rate leaves that out.
    size = ["-c", str(connections), "-j", str(THREADS), "-T", str(seconds + connections // 100)]
    done = subprocess.run(
        [str(postgres.binaries() / "pgbench"), *options, *size, database_url],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 120,
        env={"PATH": os.environ["PATH"]},
    )
    processed, failed, rate = (pattern.search(done.stdout) for pattern in (_PROCESSED, _FAILED, _RATE))
    if done.returncode != 0 or not (processed and rate) or (failed and int(failed[1])):
        raise PgbenchError(f"pgbench failed: {done.stderr.strip()[:400] or done.stdout}")
    answered = int(processed[1])
    return Load(
        sent=answered,
        answered=answered,
        refused=0,
        broken=0,
        seconds=answered / float(rate[1]),
        p50=float("nan"),
        p99=float("nan"),
        longest=float("nan"),
    )
