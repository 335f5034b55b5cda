"""node, and what npm installs for tests/clients: tools that read the schema and the pages as our users' do."""

import fcntl
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.support.clients.generated_clients import CLIENTS, execute

MODULES: Final = CLIENTS / "node_modules"
_LOCK: Final = CLIENTS / "package-lock.json"
_INSTALLED: Final = MODULES / ".package-lock.json"
_NEEDED: Final = (20, 19)
# Neither says to its maker that it runs.
_QUIET: Final = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


class NoNodeError(Exception):
    """The tools can't be had here; the message says why."""


def find() -> None:
    """Make sure that there is a node that is new enough, and npm; NoNodeError otherwise."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NoNodeError("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(map(int, re.findall("[0-9]+", version)[:2])) < _NEEDED:
        raise NoNodeError(f"node {version} is too old; 20.19 or newer is needed")


def install() -> None:
    """Install what package-lock.json names, unless that is done.

    Raises:
        NoNodeError: there is no node, or it is too old, or npm failed.
    """
    find()
    with (CLIENTS / "npm.log").open("w") as lock:  # tests run in several processes; *.log is nobody's
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install()


def _install() -> None:
    if _INSTALLED.exists() and _INSTALLED.stat().st_mtime >= _LOCK.stat().st_mtime:
        return
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode != 0:
        raise NoNodeError(f"npm failed: {done.stderr.strip()[-500:]}")


def run(tool: str, *arguments: str, folder: Path = CLIENTS) -> str:
    """What one of the installed tools says; it must succeed."""
    return execute(str(MODULES / ".bin" / tool), *arguments, folder=folder, **_QUIET)
