"""What the figures were measured on."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from core.embedded import postgres

_PACKAGES = ("django", "djangorestframework", "gunicorn", "uvicorn", "uvloop", "fastapi", "asyncpg", "psycopg")


def _said_by(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def facts() -> dict[str, str]:
    """Name and value of each fact worth recording."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{len(os.sched_getaffinity(0))} x {processor}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": _said_by(str(postgres.binaries() / "postgres"), "--version").rpartition(" ")[2],
        "node": _said_by("node", "--version") if shutil.which("node") else "none",
        **{name: version(name) for name in _PACKAGES},
    }
