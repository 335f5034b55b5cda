"""Finds the browser of the tests: the machine's own, so that nothing is downloaded but by its package manager."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

OPTIONS: Final = (
    "--no-sandbox",  # CI runs as root, and opens nothing but our own pages
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # whatever a page asks for, it stays on this machine
)
_NAMES: Final = ("chromium", "google-chrome")
_NEEDED: Final = 137  # has Ed25519 in WebCrypto


class NoBrowserError(Exception):
    """There is no fit browser here; the message says why."""


def find() -> Path:
    """The program of a Chromium that is new enough; NoBrowserError where there is none."""
    for name in _NAMES:
        if program := shutil.which(name):
            said = subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
            version = re.search(r" (\d+)\.", said.stdout)
            if version is None or int(version[1]) < _NEEDED:
                raise NoBrowserError(f"{name} is too old ({said.stdout.strip()}); {_NEEDED} or newer is needed")
            return Path(program)
    raise NoBrowserError("Chromium is not installed")
