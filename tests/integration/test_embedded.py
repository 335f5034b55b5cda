"""`make run` as a person meets it: it starts, is interrupted, killed, started twice, and keeps what it was given."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import msgspec
import pytest

from core.embedded import postgres
from core.env import Env
from ledger.domain import note, proof
from ledger.domain.note import SignerKey
from tests.logs import LOGS
from tests.plugin import ROOT
from tests.support.clients.console import Browser
from tests.support.database import ledger
from tests.support.processes.ports import free_port
from tests.support.processes.proc import alive, children, eventually, family

READY_SECONDS = 120.0
STOP_SECONDS = 150.0
ANSWER_SECONDS = 60.0
SETTINGS = {field.encode_name for field in msgspec.structs.fields(Env)}


class Run:
    """One `make run`, and what it wrote."""

    def __init__(self, data_dir: Path, port: int, *arguments: str, **settings: str) -> None:
        shell = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        given = {"DATA_DIR": str(data_dir), "PORT": str(port), "WEB_CONCURRENCY": "2", **settings}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "core.embedded", *arguments],
            cwd=ROOT,
            env=shell | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait()

    def until_ready(self) -> Self:
        """Read what it writes until the line that says what to open."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("Ctrl-C"):
                return self
        raise AssertionError("".join(self.lines))

    def issue(self) -> str:
        """Do what its last lines say, and return the number."""
        url = next(line.split("'")[1] for line in self.lines if "curl" in line)
        answer = httpx.get(url, timeout=ANSWER_SECONDS)
        assert answer.status_code == 200, answer.text
        number: str = answer.json()["tracking_number"]
        return number

    def end(self) -> tuple[int, str]:
        """Wait for its end: exit code, and the rest of what it wrote."""
        rest, _ = self.process.communicate(timeout=STOP_SECONDS)
        LOGS.take("make run", rest)
        return self.process.returncode, rest

    def stop(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(how)
        return self.end()


def leaves(data_dir: Path, table: str, column: str) -> int:
    """What a table of one row says of the log's leaves."""
    with ledger.reading(postgres.owner_url(data_dir)) as session:
        ((count,),) = session.execute(f"SELECT {column} FROM {table}")
        return int(count)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="run-"))
    yield made / "data"
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """A folder in which `make run` has run before."""
    made = Path(tempfile.mkdtemp(prefix="run-"))
    with Run(made, free_port()) as run:
        run.until_ready()
        run.stop()
    yield made
    shutil.rmtree(made)


def refusal(data_dir: Path, **settings: str) -> str:
    """All that it writes when it refuses to run."""
    with Run(data_dir, free_port(), **settings) as run:
        code, output = run.end()
    assert code == 1
    return output.strip()


def test_the_first_run_says_what_to_open_and_the_second_goes_on_with_its_data(data_dir: Path) -> None:
    port = free_port()
    with Run(data_dir, port) as run:
        run.until_ready()
        everything = family(run.process.pid)
        first = run.issue()
        assert eventually(lambda: leaves(data_dir, "tree_state", "size") == 1)
        assert httpx.get(f"http://127.0.0.1:{port}/docs", timeout=ANSWER_SECONDS).status_code == 200
        [told] = re.findall(r"^The console: (\S+)\. Log in as (\w+) with (\S+), once", "".join(run.lines), re.MULTILINE)
        with Browser(port) as browser:
            assert told[0] == f"{browser.client.base_url}/console/"
            assert browser.log_in(*told[1:]).headers["location"] == "/console/"
            assert "Nothing else opens" in browser.page("password/").text("content")
        code, rest = run.stop(signal.SIGINT)
    assert any(f"Open http://127.0.0.1:{port}/docs" in line for line in run.lines)
    assert code == 0
    assert rest.endswith(f"Stopped. The data stays in {data_dir}.\n")
    assert alive(everything) == []
    secrets = [file.read_text() for file in sorted((data_dir / "secrets").iterdir())]
    began = time.monotonic()
    with Run(data_dir, port) as run:
        run.until_ready()
        assert time.monotonic() - began < READY_SECONDS  # about 4 on two idle cores
        assert [file.read_text() for file in sorted((data_dir / "secrets").iterdir())] == secrets
        # The second one comes a minute later.
        assert eventually(lambda: leaves(data_dir, "rollup_state", "leaves") == 1, 55), "the first tick comes at once"
        second = run.issue()
        assert "console" not in "".join(run.lines), "the password is told once"
        assert set(ledger.numbers(postgres.owner_url(data_dir))) == {first, second}
        assert run.stop(signal.SIGTERM)[0] == 0


def test_secrets_are_for_their_owner_only(kept: Path) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (kept / "secrets").iterdir()}
    names = ("console_login", "customer_tag_keys", "demo_key", "ledger_key", "number_key", "secret_key")
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE((kept / "secrets").stat().st_mode) == 0o700


def test_what_it_issues_is_in_the_log_within_seconds_and_proven_by_its_verifier_key(kept: Path) -> None:
    with Run(kept, free_port()) as run:
        run.until_ready()
        number = run.issue()
        address = next(line.split("'")[1] for line in run.lines if "curl" in line).partition("/next")[0]
        proven = f"{address}/v1/tracking-numbers/{number}/proof"
        assert eventually(lambda: httpx.get(proven, timeout=ANSWER_SECONDS).status_code == 200)
        found = proof.read(httpx.get(proven, timeout=ANSWER_SECONDS).text)
        key = SignerKey.parse((kept / "secrets/ledger_key").read_text().strip()).verifier
        checkpoint, _ = note.read(found.checkpoint, key)
        assert checkpoint.size == found.leaf_index + 1
        assert (kept / "published/public/checkpoint").read_text() == found.checkpoint
        run.stop()


def test_its_customer_key_is_rotated_where_it_is_kept_and_shown_to_nobody(kept: Path) -> None:
    file = kept / "secrets/customer_tag_keys"
    shell = {name: value for name, value in os.environ.items() if name not in SETTINGS}

    def rotate(*options: str) -> str:
        line = [sys.executable, str(ROOT / "manage.py"), "rotate_customer_key", *options]
        done = subprocess.run(line, check=True, env=shell | {"DATA_DIR": str(kept)}, capture_output=True, text=True)
        LOGS.take("commands", done.stderr)
        assert done.stdout == ""
        assert not any(key.partition(":")[2] in done.stderr for key in file.read_text().strip().split(","))
        return done.stderr

    with Run(kept, free_port()) as run:
        run.until_ready()
        old = file.read_text().strip()
        assert "Key 2 is made" in rotate()
        run.stop()
    new, same = file.read_text().strip().split(",")
    assert (new[:2], same) == ("2:", old)
    with Run(kept, free_port()) as run:
        run.until_ready()
        rotate("--use")
        number = run.issue()
        run.stop()
    assert file.read_text().strip() == f"{old},{new}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with Run(kept, free_port()) as run:
        run.until_ready()
        numbers = [number, run.issue()]
        with ledger.reading(postgres.owner_url(kept)) as session:
            keys = "SELECT customer_key_id FROM issuance_event WHERE number = ANY(%s) ORDER BY requested_at"
            assert session.execute(keys, [numbers]).fetchall() == [(1,), (2,)]
        run.stop()


def test_kill_9_leaves_no_process_and_every_answered_number(kept: Path) -> None:
    with Run(kept, free_port()) as run:
        run.until_ready()
        everything = family(run.process.pid)
        assert len(everything) > 5
        number = run.issue()
        run.process.kill()
        assert eventually(lambda: alive(everything) == [], STOP_SECONDS)
    with Run(kept, free_port()) as run:
        run.until_ready()
        assert number in ledger.numbers(postgres.owner_url(kept))
        run.issue()
        run.stop()


PARTS = {
    "PostgreSQL": "postgres",
    "Valkey": "valkey-server",
    "The sealer": "seal_ledger",
    "The service": "gunicorn",
    "The worker": "worker",
    "Beat": "beat",
}
"""What the command of each has."""


@pytest.mark.parametrize("victim", PARTS)
def test_when_a_part_dies_it_says_so_and_stops_the_rest(kept: Path, victim: str) -> None:
    with Run(kept, free_port()) as run:
        run.until_ready()
        assert eventually(lambda: bool(named(run, victim))), "a process has no command until its program is loaded"
        everything = family(run.process.pid)
        (pid,) = named(run, victim)
        os.kill(pid, signal.SIGKILL)
        code, rest = run.end()
    assert code == 1
    assert f"{victim} ended unexpectedly" in rest
    assert eventually(lambda: alive(everything) == [])


def named(run: Run, part: str) -> list[int]:
    """The processes of a run whose command is that of a part."""
    return [pid for pid in children(run.process.pid) if PARTS[part] in words(pid)]


def words(pid: int) -> set[str]:
    """Those of a process's command, of paths the last part."""
    return {word.rpartition("/")[2] for word in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split()}


def test_a_second_run_in_the_same_folder_is_told_of_the_first(kept: Path) -> None:
    with Run(kept, free_port()) as run:
        run.until_ready()
        assert refusal(kept) == (
            f"Another `make run` uses {kept}. Stop it, or choose other places: make run DATA_DIR=… PORT=…"
        )
        run.issue()
        run.stop()


def test_a_taken_port_is_a_sentence_and_nothing_is_started(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refusal(data_dir, PORT=str(port)) == (
            f"Port {port} of 127.0.0.1 cannot be had: Address already in use. Choose another: make run PORT={port + 1}"
        )
    assert not (data_dir / "postgres").exists()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"PORT": "http"}, "Setting PORT: "),
        ({"HOST": "192.0.2.1"}, "of 192.0.2.1 cannot be had: "),
        ({"DATABASE_URL": "postgresql://elsewhere/db"}, "DATABASE_URL is set, and `make run` starts a PostgreSQL"),
        ({"DATA_DIR": "/proc/nowhere"}, "/proc/nowhere"),
        ({"DATA_DIR": "/tmp/" + 100 * "x"}, "too long for a unix socket"),  # noqa: S108 - nothing is made there
    ],
)
def test_a_wrong_setting_is_one_sentence(data_dir: Path, setting: dict[str, str], sentence: str) -> None:
    said = refusal(data_dir, **setting)
    assert sentence in said
    assert "\n" not in said


def test_a_damaged_secret_is_one_sentence_and_nothing_is_started(kept: Path) -> None:
    file = kept / "secrets/number_key"
    content = file.read_text()
    file.write_text(content[:20])
    try:
        assert refusal(kept) == f"{file} is empty or damaged. Put it back from a copy."
    finally:
        file.write_text(content)


def test_a_lost_database_is_put_back_from_what_was_published(data_dir: Path) -> None:
    port = free_port()
    with Run(data_dir, port) as run:
        number = run.until_ready().issue()
        assert eventually(lambda: leaves(data_dir, "tree_state", "published_size") == 1)
        run.stop()
    shutil.rmtree(data_dir / "postgres")
    assert "`make recover` runs `manage.py recover_ledger --yes` here." in refusal(data_dir)
    with Run(data_dir, port, "recover") as recovery:
        code, said = recovery.end()
    assert (code, "Put back leaves 0 to 0 of the published log" in said) == (0, True), said
    with Run(data_dir, port) as run:
        assert run.until_ready().issue() != number
        key = re.search(r"Bearer (\S+)'", "".join(run.lines))
        assert key is not None
        answer = httpx.get(
            f"http://127.0.0.1:{port}/v1/tracking-numbers",
            headers={"Authorization": f"Bearer {key[1]}"},
            timeout=ANSWER_SECONDS,
        )
        assert answer.status_code == 200, "a new demo key is told"
        assert "The console: " in "".join(run.lines)
        with ledger.reading(postgres.owner_url(data_dir)) as session:
            assert session.execute("SELECT number FROM issuance_event ORDER BY serial LIMIT 1").fetchone() == (number,)
        run.stop()
