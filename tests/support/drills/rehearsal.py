"""Runs docker-compose.yml's services in an unpacked image: issues numbers, has them logged and counted, and stops.

scripts/rehearse-image.sh prepares the folder that is given: ``root`` is what a container sees, ``image.json`` what the
image says of itself, ``project`` a compose file with its .env. PostgreSQL and Valkey are those of `make run`.
"""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import httpx
import psycopg
import redis

from core.embedded import postgres, valkey
from core.embedded.__main__ import ROOT, TRY
from core.embedded.server import unprivileged_user
from tests.logs import Logs

ISSUE: Final = f"/next-tracking-number?{TRY}"
CUSTOMER: Final = parse_qs(TRY)["customer_id"][0]
BEHIND_TLS: Final = {"Host": "tracking.example", "X-Forwarded-Proto": "https"}
AS_CONTAINED: Final = (
    *("setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "--no-new-privs"),
    *("--bounding-set=-all", "--inh-caps=-all", "env", "--chdir=/app"),
)


class Rehearsal:
    """What was prepared, and the processes that were started in it."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.image: dict[str, Any] = json.loads((work / "image.json").read_text())["Docker"]["config"]
        command = [str(ROOT / ".venv/bin/docker-compose"), "config", "--format", "json"]
        self.compose: dict[str, Any] = json.loads(subprocess.check_output(command, cwd=work / "project"))
        self.services: dict[str, Any] = self.compose["services"]

    def start(self, service: str, command: list[str] | None = None) -> "subprocess.Popen[bytes]":
        """A process of a service, with its settings; its own command unless another is given."""
        command = command or self.services[service]["command"] or self.image["Cmd"]
        environment = dict(pair.split("=", 1) for pair in self.image["Env"]) | self.services[service]["environment"]
        with (self.work / f"{service}.log").open("ab") as log:
            inside = ["/usr/sbin/chroot", str(self.work / "root"), *AS_CONTAINED, *command]
            return subprocess.Popen(inside, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @contextmanager
    def running(self, service: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A service that ends by itself when it is told to, and in time."""
        process = self.start(service)
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            expect(process.wait(100) == 0, f"{service} ended with {process.returncode}, not 0")
        finally:
            process.kill()

    @contextmanager
    def database(self) -> Iterator[str]:
        """PostgreSQL as the service `db` runs it; gives the owner's address."""
        db, programs, home = self.services["db"], postgres.binaries(), self.work / "database"
        given: dict[str, str] = db["environment"]
        uid, gid = unprivileged_user()
        home.mkdir()
        (home / "password").write_text(given["POSTGRES_PASSWORD"])
        for place in (home, home / "password"):
            os.chown(place, uid, gid)
        make = ["initdb", "-D", str(home / "data"), "--username=postgres", "--auth=scram-sha-256"]
        make += [f"--pwfile={home / 'password'}", *given["POSTGRES_INITDB_ARGS"].split()]
        serve = [*db["command"], "-D", str(home / "data"), f"--unix_socket_directories={home}"]
        asking = os.environ | given | {"PATH": f"{programs}:{os.environ['PATH']}", "PGHOST": "127.0.0.1"}
        asking["PGPASSWORD"] = given["POSTGRES_PASSWORD"]
        with (self.work / "db.log").open("ab") as log:
            server: dict[str, Any] = {
                "user": uid,
                "group": gid,
                "extra_groups": [],
                "cwd": home,
                "stdout": log,
                "stderr": log,
            }
            subprocess.run([programs / make[0], *make[1:]], check=True, **server)
            running = subprocess.Popen([programs / serve[0], *serve[1:]], **server)
        try:
            ready = [*db["healthcheck"]["test"][1:-1], "--dbname=postgres"]  # the other is not made yet
            eventually("PostgreSQL answers", 60, lambda: quiet(ready, asking) == 0)
            expect(quiet(["createdb", "--username=postgres", "tracking"], asking) == 0, "There is no database")
            logins = self.compose["configs"]["logins"]["content"].replace("$$", "$")
            expect(quiet(["bash", "-c", logins], asking) == 0, "The logins were not made")
            yield self.services["migrate"]["environment"]["DATABASE_OWNER_URL"].replace("@db/", "@127.0.0.1/")
            running.send_signal(signal.SIGINT)  # as the image of PostgreSQL is stopped
            expect(running.wait(60) == 0, "PostgreSQL did not stop in order")
        finally:
            running.kill()

    @contextmanager
    def valkey(self) -> Iterator[None]:
        """Valkey as the service `valkey` runs it."""
        folder = self.work / "valkey"
        folder.mkdir()
        command = [valkey.program(), *self.services["valkey"]["command"][1:]]
        with (self.work / "valkey.log").open("ab") as log:
            running = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            eventually("Valkey answers", 60, redis.Redis(host="127.0.0.1").ping)
            yield
        finally:
            running.terminate()
            running.wait(10)


def quiet(command: list[str], environment: Mapping[str, str]) -> int:
    """Run it; its exit code."""
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode


def expect(condition: object, otherwise: str) -> None:
    """End the rehearsal unless it is as it should be."""
    if not condition:
        raise SystemExit(f"{otherwise}. The logs' ends:\n{logs_end()}")


def eventually(what: str, seconds: float, holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(httpx.TransportError, redis.ConnectionError):
            if holds():
                return
        time.sleep(0.1)
    expect(condition=False, otherwise=f"Not within {seconds:.0f} s: {what}")


def logs_end() -> str:
    """The last lines that each process wrote."""
    texts = {log.stem: log.read_text(errors="replace").splitlines()[-12:] for log in Path(sys.argv[1]).glob("*.log")}
    return "\n".join(f"--- {name}\n" + "\n".join(lines) for name, lines in texts.items())


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"        {line}\n")
    sys.stdout.flush()


def client() -> httpx.Client:
    """A caller who comes by a TLS proxy, with a connection for each request: one is either taken or refused."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url="http://127.0.0.1:8000", headers=BEHIND_TLS, limits=limits, timeout=30)


class Load:
    """Callers from many addresses, so that no throttle stops them, who issue until they are told to turn away."""

    def __init__(self) -> None:
        self.numbers: list[str] = []
        self.refused: list[str] = []
        self._turns_away = math.inf
        self._callers = [threading.Thread(target=self._call) for _ in range(8)]
        for caller in self._callers:
            caller.start()

    def _call(self) -> None:
        with client() as web:
            for turn in count():
                if time.monotonic() > self._turns_away:
                    return
                try:
                    answer = web.get(ISSUE, headers={"X-Forwarded-For": f"192.0.2.{turn % 250}"})
                except httpx.ConnectError:
                    return
                except httpx.TransportError as error:
                    self.refused.append(repr(error))
                else:
                    (self.numbers if answer.status_code == httpx.codes.OK else self.refused).append(answer.text)

    def turn_away(self) -> None:
        """As a proxy does, who asks each second and believes the second answer; then wait for the last answers."""
        self._turns_away = time.monotonic() + 2
        for caller in self._callers:
            caller.join()


def rehearse(work: Path) -> None:
    """The whole of it."""
    expect(os.statvfs(work / "root").f_flag & os.ST_RDONLY, "The root is not read-only")
    this = Rehearsal(work)
    said = {name: this.image[name] for name in ("User", "StopSignal", "Labels")}
    expect(said["User"] == "10001" and said["StopSignal"] == "SIGTERM", f"The image says {said}")
    expect("org.opencontainers.image.title" in said["Labels"], f"The image says {said}")
    with ExitStack() as stack:
        owner = stack.enter_context(this.database())
        stack.enter_context(this.valkey())
        expect(this.start("migrate").wait(120) == 0, "The migrations failed")
        say("PostgreSQL, with the compose file's flags and logins; migrated, and the fence made")

        for name in ("sealer", "worker", "beat"):
            stack.enter_context(this.running(name))
        process = stack.enter_context(this.running("web"))
        web = stack.enter_context(client())
        probe = this.image["Healthcheck"]["Test"][1:]
        eventually("the image's health check", 60, lambda: this.start("web", probe).wait() == 0)
        answer = web.get(ISSUE)
        expect(answer.status_code == httpx.codes.OK, f"Answered with {answer.status_code}: {answer.text}")
        say(f"issued {answer.json()['tracking_number']}")

        eventually("the log has it", 60, lambda: web.get("/checkpoint").text.split()[1:2] == ["1"])
        session = stack.enter_context(psycopg.connect(owner, autocommit=True))
        counted = "SELECT coalesce(sum(count), 0) FROM daily_total"
        eventually("the reports count it", 60, lambda: session.execute(counted).fetchone() == (1,))
        say("the sealer signed a checkpoint over it; the worker counted it, on a tick of beat's")

        load = Load()
        time.sleep(2)
        before, told = len(load.numbers), time.monotonic()
        process.send_signal(signal.SIGTERM)
        load.turn_away()
        expect(process.wait(100) == 0, f"web ended with {process.returncode}, not 0")
        seconds = time.monotonic() - told
        expect(not load.refused, f"{len(load.refused)} were not answered while it drained, as {load.refused[:1]}")
        found = session.execute("SELECT count(*) FROM issuance_event").fetchone() or (0,)
        expect(found[0] >= len(set(load.numbers)) + 1, "An answered number is not in the ledger")
        after = len(load.numbers) - before
        say(f"SIGTERM under load: {after} more were answered with 200, none otherwise; ended after {seconds:.1f} s")
        say(f"{len(load.numbers) + 1} were answered, {found[0]} are in the ledger")
    logs = Logs()
    logs.know(CUSTOMER)
    for log in work.glob("*.log"):
        logs.take(log.stem, log.read_text(errors="replace"))
    expect(not logs.offences, f"A log says what none may: {logs.offences[:1]}")
    say(f"all stopped in order; none of {logs.lines.total()} log lines holds a customer, a query or a key")


if __name__ == "__main__":
    rehearse(Path(sys.argv[1]))
