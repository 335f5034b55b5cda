"""Programs that only some tests need, and that pip does not bring: Debian has them, and CI installs them."""

import os
import shutil
from pathlib import Path
from typing import Final

_PLACES: Final = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
"""Debian puts servers where a user's PATH does not reach."""


class NoToolError(Exception):
    """A program or a library is missing; the message names its package."""


def find(program: str, package: str) -> Path:
    """Where a program is.

    Raises:
        NoToolError: nowhere.
    """
    found = shutil.which(program, path=_PLACES)
    if found is None:
        raise NoToolError(f"{program} is not there. Debian: apt-get install {package}")
    return Path(found)


def library(pattern: str, package: str) -> Path:
    """Where a shared library is, by a pattern below /usr/lib; raises NoToolError as ``find`` does."""
    found = next(Path("/usr/lib").glob(pattern), None)
    if found is None:
        raise NoToolError(f"{pattern} is not there. Debian: apt-get install {package}")
    return found
