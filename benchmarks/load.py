"""One load: wrk where it is there, else a generator in Python; both say how many answers they got."""

import itertools
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Literal, cast

import msgspec

Mix = Literal["repeated", "fresh"]
THREADS = 2
PATIENCE = 30
"""Seconds that a generator waits for answers that are still on their way after its last request."""
_HERE = Path(__file__).parent


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a generator saw; times of answers in microseconds.

    Attributes:
        sent: requests sent.
        answered: of these, answered with 200.
        refused: answered with something else.
        broken: connection errors.
        seconds: from the first request to the last answer.
    """

    sent: int
    answered: int
    refused: int
    broken: int
    seconds: float
    p50: float
    p99: float
    longest: float


class LoadError(Exception):
    """The generator did not work; the message says how."""


def generator() -> str:
    """Which generator is used here."""
    return "wrk" if shutil.which("wrk") else "python"


def _wrk(command: list[str], limit: float) -> str:
    """Run wrk until each of its threads has said that it has all its answers, or ``limit`` seconds at most."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as wrk:
        guard = threading.Timer(limit, wrk.kill)
        guard.start()
        try:
            said = list(itertools.islice(cast("IO[str]", wrk.stderr), THREADS))
            wrk.send_signal(signal.SIGINT)
            output, rest = wrk.communicate()
        finally:
            guard.cancel()
    if wrk.returncode != 0:
        raise LoadError(f"wrk failed or waited {limit:.0f} s in vain: {output}{''.join(said)}{rest}")
    return output


def run(port: int, connections: int, seconds: int, orders: Path, mix: Mix, *, addresses: int = 0) -> Load:
    """Load ``127.0.0.1:port`` for ``seconds`` over keep-alive connections, and wait for the last answer.

    With ``addresses`` each request has an X-Forwarded-For, one of so many.

    Raises:
        LoadError: the generator failed, or an answer was still missing when it gave up.
    """
    rest = [str(orders), str(seconds), mix, str(addresses)]
    limit = seconds + PATIENCE
    if wrk := shutil.which("wrk"):
        options = [
            f"-t{THREADS}",
            f"-c{connections}",
            f"-d{limit}s",
            f"--timeout={PATIENCE}s",
            f"-s{_HERE / 'load.lua'}",
        ]
        output = _wrk([wrk, *options, f"http://127.0.0.1:{port}", "--", *rest, str(connections // THREADS)], limit + 5)
    else:
        command = [sys.executable, "-m", "benchmarks.generator", str(port), str(connections), *rest]
        output = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=True).stdout
    load = msgspec.json.decode(output.strip().rpartition("\n")[2], type=Load)
    if load.sent != load.answered + load.refused:
        raise LoadError(
            f"{load.sent - load.answered - load.refused} of {load.sent} requests were never answered: {load}"
        )
    return load
