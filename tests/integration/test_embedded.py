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
from typing import NamedTuple, Self

import httpx
import pytest

from core.embedded import postgres
from ledger.domain import note, proof
from ledger.domain.note import SignerKey
from tests.logs import LOGS
from tests.plugin import ROOT
from tests.support.clients.console import Browser
from tests.support.database import ledger
from tests.support.processes import commands
from tests.support.processes.commands import UNSET
from tests.support.processes.ports import free_port
from tests.support.processes.proc import alive, children, eventually, family

READY_SECONDS = 120.0
STOP_SECONDS = 150.0
ANSWER_SECONDS = 60.0


class Run:
    """One `make run`, and what it wrote."""

    def __init__(self, data_dir: Path, port: int, *arguments: str, **settings: str) -> None:
        shell = {name: value for name, value in os.environ.items() if name not in UNSET}
        given = {"DATA_DIR": str(data_dir), "PORT": str(port), "WEB_CONCURRENCY": "1", **settings}
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


PARTS = {
    "PostgreSQL": "postgres",
    "Valkey": "valkey-server",
    "The sealer": "seal_ledger",
    "The service": "gunicorn",
    "The worker": "worker",
    "Beat": "beat",
}
"""What the command of each has; each ends one of the runs below."""


def stops_when_it_dies(run: Run, victim: str) -> None:
    """Kill a part of a run, which says so and stops the rest."""
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


@pytest.fixture
def data_dir() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="run-"))
    yield made / "data"
    shutil.rmtree(made)


class First(NamedTuple):
    """The first run in a folder, and what became of it."""

    folder: Path
    port: int
    lines: list[str]
    number: str
    docs: int
    logged_in: httpx.Response
    password_page: str
    code: int
    rest: str
    left: list[int]


@pytest.fixture(scope="module")
def first() -> Iterator[First]:
    """`make run` where nothing is yet: it issues a number, somebody logs in, and it is interrupted."""
    made, port = Path(tempfile.mkdtemp(prefix="run-")), free_port()
    with Run(made, port, WEB_CONCURRENCY="2") as run:
        run.until_ready()
        everything = family(run.process.pid)
        number = run.issue()
        assert eventually(lambda: leaves(made, "tree_state", "size") == 1)
        docs = httpx.get(f"http://127.0.0.1:{port}/docs", timeout=ANSWER_SECONDS).status_code
        with Browser(port) as browser:
            logged_in = browser.log_in(*console(run.lines)[1:])
            page = browser.page("password/").text("content")
        code, rest = run.stop(signal.SIGINT)
    yield First(made, port, run.lines, number, docs, logged_in, page, code, rest, alive(everything))
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def kept(first: First) -> Path:
    """A folder in which `make run` has run before."""
    return first.folder


def console(lines: list[str]) -> tuple[str, str, str]:
    """The console's address, a login and its password, as they are told once."""
    [told] = re.findall(r"^The console: (\S+)\. Log in as (\w+) with (\S+), once", "".join(lines), re.MULTILINE)
    address, name, password = told
    return address, name, password


def refusal(data_dir: Path, **settings: str) -> str:
    """All that it writes when it refuses to run."""
    with Run(data_dir, free_port(), **settings) as run:
        code, output = run.end()
    assert code == 1
    return output.strip()


def test_the_first_run_says_what_to_open_and_leaves_its_data(first: First) -> None:
    address = f"http://127.0.0.1:{first.port}"
    assert first.docs == 200
    assert any(f"Open {address}/docs" in line for line in first.lines)
    assert console(first.lines)[0] == f"{address}/console/"
    assert first.logged_in.headers["location"] == "/console/"
    assert "Nothing else opens" in first.password_page
    assert first.code == 0
    assert first.rest.endswith(f"Stopped. The data stays in {first.folder}.\n")
    assert first.left == []


def test_the_second_run_goes_on_with_the_first_ones_data_and_lets_no_third_in(first: First) -> None:
    kept = first.folder
    secrets = [file.read_text() for file in sorted((kept / "secrets").iterdir())]
    began = time.monotonic()
    with Run(kept, first.port) as run:
        run.until_ready()
        assert time.monotonic() - began < READY_SECONDS  # about 4 on two idle cores
        assert [file.read_text() for file in sorted((kept / "secrets").iterdir())] == secrets
        # The second one comes a minute later.
        assert eventually(lambda: leaves(kept, "rollup_state", "leaves") == 1, 55), "the first tick comes at once"
        assert refusal(kept) == (
            f"Another `make run` uses {kept}. Stop it, or choose other places: make run DATA_DIR=… PORT=…"
        )
        number = run.issue()
        assert "console" not in "".join(run.lines), "the password is told once"
        assert set(ledger.numbers(postgres.owner_url(kept))) == {first.number, number}
        is_proven(run, kept, number)
        assert run.stop(signal.SIGTERM)[0] == 0


def is_proven(run: Run, kept: Path, number: str) -> None:
    """A number is in the log within seconds, and proven by the log's verifier key."""
    address = next(line.split("'")[1] for line in run.lines if "curl" in line).partition("/next")[0]
    proven = f"{address}/v1/tracking-numbers/{number}/proof"
    assert eventually(lambda: httpx.get(proven, timeout=ANSWER_SECONDS).status_code == 200)
    found = proof.read(httpx.get(proven, timeout=ANSWER_SECONDS).text)
    key = SignerKey.parse((kept / "secrets/ledger_key").read_text().strip()).verifier
    checkpoint, _ = note.read(found.checkpoint, key)
    assert checkpoint.size == found.leaf_index + 1
    assert (kept / "published/public/checkpoint").read_text() == found.checkpoint


def test_secrets_are_for_their_owner_only(kept: Path) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (kept / "secrets").iterdir()}
    names = ("console_login", "customer_tag_keys", "demo_key", "ledger_key", "number_key", "secret_key")
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE((kept / "secrets").stat().st_mode) == 0o700


def test_its_customer_key_is_rotated_where_it_is_kept_and_shown_to_nobody(kept: Path) -> None:
    file = kept / "secrets/customer_tag_keys"

    def rotate(*options: str) -> str:
        done = commands.run("rotate_customer_key", *options, environment=UNSET | {"DATA_DIR": str(kept)})
        assert (done.returncode, done.stdout) == (0, "")
        assert not any(key.partition(":")[2] in done.stderr for key in file.read_text().strip().split(","))
        return done.stderr

    with Run(kept, free_port()) as run:
        run.until_ready()
        old = file.read_text().strip()
        assert "Key 2 is made" in rotate()
        stops_when_it_dies(run, "PostgreSQL")
    new, same = file.read_text().strip().split(",")
    assert (new[:2], same) == ("2:", old)
    with Run(kept, free_port()) as run:
        run.until_ready()
        rotate("--use")
        number = run.issue()
        stops_when_it_dies(run, "Valkey")
    assert file.read_text().strip() == f"{old},{new}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with Run(kept, free_port()) as run:
        run.until_ready()
        numbers = [number, run.issue()]
        with ledger.reading(postgres.owner_url(kept)) as session:
            keys = "SELECT customer_key_id FROM issuance_event WHERE number = ANY(%s) ORDER BY requested_at"
            assert session.execute(keys, [numbers]).fetchall() == [(1,), (2,)]
        stops_when_it_dies(run, "The sealer")


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
        stops_when_it_dies(run, "The service")


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
        stops_when_it_dies(run, "The worker")
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
        stops_when_it_dies(run, "Beat")
