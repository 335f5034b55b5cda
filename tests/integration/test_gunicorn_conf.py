"""gunicorn.conf.py: wrong settings are sentences, and no worker is left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin import ROOT, Database
from tests.support.processes.proc import alive, eventually
from tests.support.processes.service import ServiceFactory


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"PORT": "http"}, "Setting PORT: "),
        ({"NUMBER_KEY": ""}, "Production (DATABASE_URL is set) needs NUMBER_KEY; see README.md, Settings."),
    ],
)
def test_a_wrong_setting_is_one_sentence(setting: dict[str, str], sentence: str) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "core.asgi:application"]
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | setting, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(sentence)
    assert ended.stderr.count("\n") == 1


def test_workers_whose_master_was_killed_let_go_of_the_port(
    database: Database, service: ServiceFactory, tmp_path: Path
) -> None:
    running = service(database, WEB_CONCURRENCY="2", TMPDIR=str(tmp_path))  # where nobody is left to tidy up
    workers = running.worker_pids
    os.kill(running.pid, signal.SIGKILL)
    assert eventually(lambda: alive(workers) == [])
