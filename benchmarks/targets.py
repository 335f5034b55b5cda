"""What is measured: the service, and its peers."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks import orders
from benchmarks.database import ROOT

WORKERS = 2
PORT = 8791
POOL = 16
"""Database connections of each worker of a peer."""
_PYTHON = [sys.executable, "-m"]
_PEERS = Path("benchmarks/peers")
_FASTIFY = ROOT / _PEERS / "fastify"
_GUNICORN = [*_PYTHON, "gunicorn", "-c", str(_PEERS / "gunicorn_settings.py")]


def _nothing(_: Path) -> None:
    return None


class LeftOutError(Exception):
    """A target can't run here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server that answers ``/next-tracking-number``.

    Attributes:
        issues: whether it inserts a row per answer; the constants don't.
        allocates: whether its database needs the service's ``init_allocator``.
        prepare: called once with a folder for files; raises LeftOutError.
    """

    name: str
    title: str
    command: Sequence[str]
    issues: bool = True
    allocates: bool = False
    prepare: Callable[[Path], None] = _nothing


def _install_fastify(folder: Path) -> None:
    (folder / "countries.json").write_bytes(msgspec.json.encode(orders.countries()))
    if not (shutil.which("node") and (npm := shutil.which("npm"))):
        raise LeftOutError("node and npm are not installed")
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund"], cwd=_FASTIFY, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        raise LeftOutError(f"npm failed: {done.stderr.strip().splitlines()[-1:]}")


SERVICE = Target(
    name="service",
    title="this service",
    command=[*_PYTHON, "gunicorn", "-c", "gunicorn.conf.py", "core.asgi:application"],
    allocates=True,
)
BARE = Target(
    name="bare",
    title="constant (gunicorn, uvicorn worker)",
    command=[*_GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "benchmarks.peers.bare:application"],
    issues=False,
)
_STOCK = [*_GUNICORN, "-k", "gthread", "--threads", "2"]
DRF = Target(
    name="drf",
    title="Django REST framework",
    command=[*_STOCK, "benchmarks.peers.drf:application"],
)
DJANGO = Target(
    name="django",
    title="this service's Django",
    command=[*_STOCK, "core.wsgi:application"],
    issues=False,
)
"""What of the service is Django's, as gunicorn serves any Django: no number is asked of it here."""
TARGETS = (
    SERVICE,
    BARE,
    Target(
        name="bare-native",
        title="constant (gunicorn, asgi worker)",
        command=[*_GUNICORN, "-k", "asgi", "benchmarks.peers.bare:application"],
        issues=False,
    ),
    Target(
        name="fastify",
        title="Fastify + pg",
        command=[shutil.which("node") or "node", str(_FASTIFY / "server.js")],
        prepare=_install_fastify,
    ),
    Target(
        name="fastapi",
        title="FastAPI + asyncpg",
        command=[
            *(*_PYTHON, "uvicorn", "benchmarks.peers.fastapi_asyncpg:application", "--workers", str(WORKERS)),
            *("--host", "127.0.0.1", "--port", str(PORT), "--loop", "uvloop", "--http", "httptools"),
            *("--no-access-log", "--no-proxy-headers", "--log-level", "warning", "--backlog", "4096"),
        ],
    ),
    DRF,
)
PGBENCH = "pgbench"
