"""What is done with each of the clients that are made of the schema."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.plugin import ROOT
from tests.support.clients.operations import PENDING

CLIENTS: Final = ROOT / "tests" / "clients"
SCHEMA: Final = ROOT / "schema" / "openapi.yaml"
STEPS: Final = {
    "issue": {"GET /next-tracking-number", "GET /v1/tracking-numbers/{number}/proof", "GET /checkpoint"},
    "problem": {"GET /next-tracking-number", "GET /v1/tracking-numbers/{number}/proof"},
    "look_up": {"GET /v1/tracking-numbers/{number}"},
    "pages": {"GET /v1/tracking-numbers"},
    "daily": {"GET /v1/reports/daily", "GET /v1/reports/daily/{day}"},
}
"""Each is a program of that name in each language; it is made and run once the operations that it needs are there."""
READY: Final = [step for step, needed in STEPS.items() if not needed & PENDING]


def copy_programs(language: str, folder: Path) -> None:
    """Copy what is written by hand into the folder that the client is generated into."""
    waiting = STEPS.keys() - set(READY)
    for file in (CLIENTS / language).iterdir():
        if file.is_file() and file.stem not in waiting:
            shutil.copy(file, folder)


def execute(*command: str, folder: Path, **environment: str) -> str:
    """What a program says; it must succeed."""
    given = {**os.environ, **environment}
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
