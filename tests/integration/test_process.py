"""A program beside us: told to stop, killed if it does not listen, and nothing of it stays."""

import os
import sys
from pathlib import Path

import pytest

from core.embedded.process import Process
from tests.support.processes.proc import alive, eventually


def started(path: Path, program: str, stop_seconds: float = 50.0) -> Process:
    """Run Python code, and return when it has written `path`."""
    process = Process("a program", [sys.executable, "-c", program, str(path)], stop_seconds=stop_seconds)
    assert eventually(path.exists)
    return process


def test_one_that_listens_stops_in_time(tmp_path: Path) -> None:
    process = started(tmp_path / "ready", "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(60)")
    assert process.running
    assert process.stop()
    assert not process.running
    assert process.stop(), "stopping twice is fine"


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); open(sys.argv[1], 'w').close(); time.sleep(60)"
    process = started(tmp_path / "ready", deaf, stop_seconds=0.2)
    assert not process.stop()
    assert not process.running


def test_what_it_started_and_left_behind_is_killed(tmp_path: Path) -> None:
    parent = """
import os, subprocess, sys
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", deaf])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(child.pid))
os.rename(sys.argv[1] + ".new", sys.argv[1])
os._exit(0)
"""
    process = started(tmp_path / "child", parent)
    left = int((tmp_path / "child").read_text())
    assert process.wait() == 0
    assert alive([left]) == [left]
    process.stop()
    assert eventually(lambda: alive([left]) == [])


def test_its_environment_and_folder_are_what_is_given(tmp_path: Path) -> None:
    program = "import os, sys; print(os.environ['GIVEN'], os.getcwd(), file=open(sys.argv[1], 'w'))"
    path = tmp_path / "said"
    command = [sys.executable, "-c", program, str(path)]
    with Process("a program", command, environment={**os.environ, "GIVEN": "this"}, folder=tmp_path) as process:
        assert process.wait() == 0
    assert path.read_text() == f"this {tmp_path}\n"


@pytest.mark.parametrize("program", ["/no/such/program", "/etc/passwd"])
def test_a_program_that_cannot_run_is_one_sentence(capfd: pytest.CaptureFixture[str], program: str) -> None:
    with Process("a program", [program]) as process:
        assert process.wait() == 1
    assert capfd.readouterr().err.startswith(f"{program} cannot run as user {os.getuid()}: ")
