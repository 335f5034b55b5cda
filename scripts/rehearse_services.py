"""Runs the services of docker-compose.yml in an unpacked image: issues numbers, has them logged and counted, and stops.

scripts/rehearse-image.sh prepares the folder that is given: ``root`` is what a container sees, ``image.json`` the image's
configuration, ``project`` a compose file with its .env. PostgreSQL and Valkey are those of `make run`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import redis

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core.embedded import postgres, valkey  # noqa: E402  # a script's path begins at the script
from core.embedded.__main__ import TRY  # noqa: E402
from core.embedded.server import unprivileged_user  # noqa: E402

BEHIND_TLS: Final = {"Host": "tracking.example", "X-Forwarded-Proto": "https"}
WEB: Final = "http://127.0.0.1:8000"
AS_CONTAINED: Final = (
    *("setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "--no-new-privs"),
    *("--bounding-set=-all", "--inh-caps=-all", "env", "--chdir=/app"),
)


class Rehearsal:
    """What was prepared, and the processes that were started in it."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.image: dict[str, Any] = json.loads((work / "image.json").read_text())["Docker"]["config"]
        command = [ROOT / ".venv/bin/docker-compose", "config", "--format", "json"]
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
        db, bin_, home = self.services["db"], postgres.binaries(), self.work / "database"
        uid, gid = unprivileged_user()
        home.mkdir()
        os.chown(home, uid, gid)
        password = home / "password"
        password.write_text(db["environment"]["POSTGRES_PASSWORD"])
        os.chown(password, uid, gid)
        arguments = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}"]
        arguments += db["environment"]["POSTGRES_INITDB_ARGS"].split()
        with (self.work / "db.log").open("ab") as log:
            told: dict[str, Any] = {"user": uid, "group": gid, "extra_groups": [], "cwd": home, "stdout": log, "stderr": log}
            subprocess.run([bin_ / "initdb", "-D", home / "data", *arguments], check=True, **told)
            flags = [*db["command"][1:], f"--unix_socket_directories={home}"]
            server = subprocess.Popen([bin_ / "postgres", "-D", home / "data", *flags], **told)
        try:
            owner = self.services["migrate"]["environment"]["DATABASE_OWNER_URL"].replace("@db/", "@127.0.0.1/")
            in_reach = os.environ | db["environment"] | {"PATH": f"{bin_}:{os.environ['PATH']}", "PGHOST": "127.0.0.1"}
            in_reach["PGPASSWORD"] = db["environment"]["POSTGRES_PASSWORD"]
            healthy = [*db["healthcheck"]["test"][1:-1], "--dbname=postgres"]
            eventually("PostgreSQL answers", 60, lambda: subprocess.run(healthy, env=in_reach, stdout=-3).returncode == 0)
            subprocess.run(["createdb", "--username=postgres", "tracking"], env=in_reach, check=True)
            logins = self.compose["configs"]["logins"]["content"].replace("$$", "$")
            subprocess.run(["bash", "-c", logins], env=in_reach, check=True, stdout=subprocess.DEVNULL)
            yield owner
            server.send_signal(signal.SIGINT)  # the image's own stop signal
            expect(server.wait(60) == 0, "PostgreSQL did not stop in order")
        finally:
            server.kill()

    @contextmanager
    def valkey(self) -> Iterator[None]:
        """Valkey as the service `valkey` runs it."""
        program, *arguments = self.services["valkey"]["command"]
        folder = self.work / "valkey"
        folder.mkdir()
        with (self.work / "valkey.log").open("ab") as log:
            server = subprocess.Popen([valkey.program(), *arguments], cwd=folder, stdout=log, stderr=log)
        try:
            client = redis.Redis(host="127.0.0.1")
            eventually("Valkey answers", 10, client.ping)
            yield
        finally:
            server.terminate()
            server.wait(10)


def expect(condition: object, otherwise: str) -> None:
    """End the rehearsal unless it is as it should be."""
    if not condition:
        raise SystemExit(f"{otherwise}. The logs' ends:\n{logs_end()}")


def eventually(what: str, seconds: float, holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if holds():
                return
        except (httpx.TransportError, redis.ConnectionError):
            pass
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


def load(numbers: list[str], refused: list[str], *, threads: int = 8) -> list[threading.Thread]:
    """Callers who issue until nobody listens any more; what they were answered is put into the lists."""

    def call() -> None:
        while True:
            try:
                answer = httpx.get(f"{WEB}/next-tracking-number?{TRY}", headers=BEHIND_TLS, timeout=30)
            except httpx.ConnectError:
                return
            except httpx.TransportError as error:
                refused.append(repr(error))
            else:
                (numbers if answer.status_code == httpx.codes.OK else refused).append(answer.text)

    callers = [threading.Thread(target=call) for _ in range(threads)]
    for caller in callers:
        caller.start()
    return callers


def rehearse(work: Path) -> None:
    """The whole of it."""
    expect(os.statvfs(work / "root").f_flag & os.ST_RDONLY, "The root is not read-only")
    this = Rehearsal(work)
    said = {name: this.image[name] for name in ("User", "StopSignal", "Cmd", "Labels")}
    expect(said["User"] == "10001" and said["StopSignal"] == "SIGTERM", f"The image says {said}")
    expect("org.opencontainers.image.title" in said["Labels"], f"The image says {said}")
    with ExitStack() as stack:
        owner = stack.enter_context(this.database())
        stack.enter_context(this.valkey())
        expect(this.start("migrate").wait(120) == 0, "The migrations failed")
        say("PostgreSQL with the compose file's flags and logins; migrated, and the fence made")

        for name in ("sealer", "worker", "beat"):
            stack.enter_context(this.running(name))
        web = stack.enter_context(this.running("web"))
        probe = this.image["Healthcheck"]["Test"][1:]
        eventually("the image's health check", 60, lambda: this.start("web", probe).wait() == 0)
        answer = httpx.get(f"{WEB}/next-tracking-number?{TRY}", headers=BEHIND_TLS)
        expect(answer.status_code == httpx.codes.OK, f"Answered with {answer.status_code}: {answer.text}")
        number = answer.json()["tracking_number"]
        say(f"issued {number}")

        eventually("the log has it", 20, lambda: httpx.get(f"{WEB}/checkpoint", headers=BEHIND_TLS).text.split()[1:2] == ["1"])
        session = stack.enter_context(psycopg.connect(owner, autocommit=True))
        counted = "SELECT coalesce(sum(count), 0) FROM daily_total"
        eventually("the reports count it", 60, lambda: session.execute(counted).fetchone() == (1,))
        say("the sealer signed a checkpoint over it; the worker counted it, on a tick of beat's")

        numbers: list[str] = []
        refused: list[str] = []
        callers = load(numbers, refused)
        time.sleep(2)
        before, told = len(numbers), time.monotonic()
        web.send_signal(signal.SIGTERM)
        expect(web.wait(100) == 0, f"web ended with {web.returncode}, not 0")
        seconds = time.monotonic() - told
        for caller in callers:
            caller.join()
        found = session.execute("SELECT count(*) FROM issuance_event").fetchone()
        expect(not refused, f"{len(refused)} requests were not answered while it drained, the first: {refused[:1]}")
        expect(found is not None and found[0] >= len(set(numbers)) + 1, "An answered number is not in the ledger")
        say(
            f"SIGTERM under load: {len(numbers) - before} more answered with 200, none otherwise, in the {seconds:.1f} s "
            f"until it ended with 0; {len(numbers) + 1} answered, {found[0] if found else 0} in the ledger"
        )
    say("sealer, worker, beat and PostgreSQL stopped in order")


if __name__ == "__main__":
    rehearse(Path(sys.argv[1]))
