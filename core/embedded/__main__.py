"""`make run`: starts PostgreSQL and Valkey, migrates, serves, counts, and stops it all in order; the data stays."""

import fcntl
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Final, NoReturn, Protocol

from core.embedded import postgres, secrets, valkey
from core.embedded.postgres import PostgresError
from core.embedded.process import Process
from core.embedded.server import Server
from core.embedded.valkey import Valkey, ValkeyError
from core.env import Env, SettingsError, load

ROOT: Final = Path(__file__).resolve().parents[2]
ANSWER_SECONDS: Final = 60.0
TRY: Final = (
    "origin_country_id=MY&destination_country_id=ID&weight=1.234&created_at=2018-11-20T19:29:32%2B08:00"
    "&customer_id=de619854-b59b-425e-9db4-943979e1bd49&customer_name=RedBox%20Logistics&customer_slug=redbox-logistics"
)
CELERY: Final = ("celery", "--app=core.celery", "--quiet")
WORKER: Final = (*CELERY, "worker", "--concurrency=2", "--without-gossip", "--without-mingle", "--without-heartbeat")
BEAT: Final = (*CELERY, "beat")
TASK_STOP_SECONDS: Final = 5.0  # a task that is killed loses nothing
STAFF: Final = "admin"
DEMO_SCOPES: Final = ("issue", "audit", "reports", "operate")
DEMO_KEY: Final = ("create_api_key", "demo", *(f"--scope={scope}" for scope in DEMO_SCOPES))


class RunError(Exception):
    """`make run` cannot go on; the message says why and what to do."""


class Stop(BaseException):
    """Somebody wants us to stop; no ``except Exception`` may swallow it."""


class Service(Protocol):
    """What is watched while we run."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def running(self) -> bool: ...  # noqa: D102


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def sole_user_of(folder: Path) -> Iterator[None]:
    """Keep a second `make run` out of the folder; the kernel lets go of the lock however we end."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise RunError(f"{folder} cannot be used: {error.strerror}. Choose another: make run DATA_DIR=…") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"Another `make run` uses {folder}. Stop it, or choose other places: make run DATA_DIR=… PORT=…"
            ) from None
        yield


def check_port(host: str, port: int) -> None:
    """Say early, and in a sentence, that the service could not listen."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does
            probe.bind(address)
    except OSError as error:
        raise RunError(
            f"Port {port} of {host} cannot be had: {error.strerror}. Choose another: make run PORT={port % 65535 + 1}"
        ) from None


def manage(*arguments: str) -> None:
    """Run one of Django's commands to its end."""
    with Process(arguments[0], [sys.executable, str(ROOT / "manage.py"), *arguments], folder=ROOT) as command:
        if command.wait() != 0:
            raise RunError(f"`manage.py {' '.join(arguments)}` failed; what it wrote above says why.")


def output(*arguments: str) -> str:
    """What one of Django's commands prints."""
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    try:
        return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()  # noqa: S603  # ours
    except subprocess.CalledProcessError:
        raise RunError(f"`manage.py {' '.join(arguments)}` failed; what it wrote above says why.") from None


def wait_until_it_answers(address: str, web: Service) -> None:
    """Return when HTTP is answered, whatever the answer."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while web.running and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/robots.txt", timeout=5).close()  # noqa: S310 - to ourselves  # nosec B310
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RunError("The service does not answer; what it wrote above says why.")


def watch(services: Sequence[Service]) -> NoReturn:
    """Wait until one of them ends, which none should.

    Raises:
        RunError: names the one that ended.
    """
    while True:
        for service in services:
            if not service.running:
                raise RunError(f"{service.name} ended unexpectedly, so everything was stopped. The data stays.")
        time.sleep(0.2)


@contextmanager
def migrated(env: Env) -> Iterator[Server]:
    """PostgreSQL, up to date, and its folder ours alone."""
    database = Server(postgres.home(env.data_dir))
    with sole_user_of(env.data_dir):
        secrets.make(env.data_dir)
        say(f"Starting PostgreSQL in {database.home}")
        with database:
            say("Migrating the database")
            postgres.create_database(database.url(), postgres.DATABASE)
            manage("migrate", "--verbosity", "0")
            postgres.grant_logins(postgres.owner_url(env.data_dir))
            yield database


def recover(env: Env) -> None:
    """Put back what a database that was set back, or lost, lacks of the published log; raises as ``serve`` does."""
    with migrated(env):
        manage("recover_ledger", "--yes")
        secrets.forget_logins(env.data_dir)


def serve(env: Env) -> NoReturn:
    """Start everything and watch it.

    Raises:
        RunError, PostgresError, ValkeyError, SettingsError: something is wrong.
        Stop: somebody wants us to stop; by then all is stopped.
    """
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(env.host, env.host)  # noqa: S104 - read, not bound
    address = f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{env.port}"
    with ExitStack() as services:
        check_port(env.host, env.port)
        watched: list[Service] = [services.enter_context(migrated(env))]
        if env.redis_url is None:
            watched.append(services.enter_context(Valkey(valkey.home(env.data_dir))))
        try:
            manage("init_allocator")
        except RunError as error:
            raise RunError(f"{error} `make recover` runs `manage.py recover_ledger --yes` here.") from None
        if env.ledger_key is None and secrets.lacks_ledger_key(env.data_dir):
            secrets.keep_ledger_key(env.data_dir, output("ledger_key", "--make", f"localhost/{token_hex(4)}"))
        key = secrets.demo_key(env.data_dir, lambda: output(*DEMO_KEY))
        password = secrets.console_login(env.data_dir, lambda: output("create_staff_user", STAFF, "--again"))
        say("Starting the service")
        seal = [sys.executable, str(ROOT / "manage.py"), "seal_ledger"]
        watched.append(services.enter_context(Process("The sealer", seal, folder=ROOT)))
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "core.asgi:application"]
        web = services.enter_context(Process("The service", gunicorn, folder=ROOT))
        wait_until_it_answers(address, web)
        watched.append(web)
        # Last: nothing waits for these, and each takes a second of CPU to start.
        for name, command in (("The worker", WORKER), ("Beat", BEAT)):
            process = Process(name, [sys.executable, "-m", *command], folder=ROOT, stop_seconds=TASK_STOP_SECONDS)
            watched.append(services.enter_context(process))
        services.callback(say, "Stopping")
        say(f"\nReady. Open {address}/docs or try\n")
        say(f"    curl '{address}/next-tracking-number?{TRY}'\n")
        say("and, with the demo key, which does what auditors and reports do\n")
        say(f"    curl -H 'Authorization: Bearer {key}' '{address}/v1/tracking-numbers?order=-serial&limit=3'\n")
        if password is not None:
            say(f"The console: {address}/console/. Log in as {STAFF} with {password}, once, and choose another.\n")
        say("Ctrl-C stops it.")
        watch(watched)


def main() -> int:
    """The exit code: 0 after Ctrl-C or SIGTERM, 1 with a sentence when something is wrong."""

    def stop(*_: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)  # once is enough, and stopping must not be interrupted
        raise Stop

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:  # nohup means it
            signal.signal(each, stop)
    try:
        env = load()
        if not env.embedded:
            problem = "DATABASE_URL is set, and `make run` starts a PostgreSQL of its own: unset it, or see README.md."
        elif sys.argv[1:] == ["recover"]:
            recover(env)
            return 0
        else:
            serve(env)
    except Stop:
        say(f"Stopped. The data stays in {env.data_dir}.")
        return 0
    except PermissionError as error:
        problem = f"{error.filename}: {error.strerror}. It may be another user's; choose another: make run DATA_DIR=…"
    except (RunError, PostgresError, ValkeyError, SettingsError) as error:
        problem = str(error)
    sys.stderr.write(f"{problem}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
