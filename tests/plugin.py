"""The tests' settings, and one PostgreSQL for the whole run.

A `-p` plugin, since pytest-django reads the settings before it reads conftest.py.
"""

import gc
import logging
import os
import shutil
import sys
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import psycopg
import pytest
from psycopg import sql
from pytest_django.plugin import blocking_manager_key

from core.embedded import postgres
from core.embedded.server import Server
from core.env import Env
from ledger.domain.note import SignerKey
from tests.logs import LOGS
from tests.support.processes import secret_keys

ROOT: Final = Path(__file__).resolve().parent.parent
LEDGER_KEY: Final = SignerKey("log.test/tracking", bytes(range(32))).export()
TEMPLATE: Final = "template_tracking"
_FOLDERS: Final = ("faults", "browser", "clients", "integration", "api", "unit")
_LONGEST_FIRST: Final = {folder: place for place, folder in enumerate(_FOLDERS)}

gc.disable()


@dataclass(frozen=True)
class Database:
    """A migrated database of its own, and the fence that goes with it."""

    name: str
    url: str
    """The login that serves."""
    owner_url: str
    """The superuser."""
    fence: Path
    sealer_url: str
    """The login that seals."""
    publication: Path
    reporter_url: str
    """The login that counts."""

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a process that uses it."""
        return {
            "DATABASE_URL": self.url,
            "DATABASE_OWNER_URL": self.owner_url,
            "FENCE": str(self.fence),
            "DATABASE_SEALER_URL": self.sealer_url,
            "DATABASE_REPORTER_URL": self.reporter_url,
            "PUBLICATION": str(self.publication),
        }

    def on(self, server: Server) -> "Database":
        """Its copy on another server: the same fence, the same publication."""
        return replace(
            self,
            url=server.url(user=postgres.SERVING_LOGIN, database=self.name),
            owner_url=server.url(database=self.name),
            sealer_url=server.url(user=postgres.SEALING_LOGIN, database=self.name),
            reporter_url=server.url(user=postgres.REPORTING_LOGIN, database=self.name),
        )


class HeardServer(Server):
    """A PostgreSQL whose log is looked at (tests.logs)."""

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        super().__init__(home, durable=durable)
        LOGS.follow("PostgreSQL", self.home / "log")

    def stop(self) -> None:
        """Stop it; whoever made it may throw its folder away after that."""
        super().stop()
        LOGS.read()


class Cluster:
    """The PostgreSQL of the test run, started by the first test that needs it: unit tests don't wait."""

    def __init__(self, folder: Path, server: HeardServer | None = None) -> None:
        self.folder = folder
        self.server = server or HeardServer(folder / "postgres", durable=False)
        self._made = 0

    def database(self, name: str) -> Database:
        """Describe a database, which may not exist yet."""
        url = self.server.url(user=postgres.SERVING_LOGIN, database=name)
        return Database(
            name,
            url,
            self.server.url(database=name),
            self.folder / f"{name}.fence",
            self.server.url(user=postgres.SEALING_LOGIN, database=name),
            self.folder / f"{name}.published",
            self.server.url(user=postgres.REPORTING_LOGIN, database=name),
        )

    def start(self) -> None:
        """Start the server, with a template for databases."""
        if not self.server.running:
            self.server.start()
            self._make_template()

    def create(self) -> Database:
        """Make a database with all migrations applied: a copy of the template, some tens of milliseconds."""
        self.start()
        self._made += 1
        made = self.database(f"test_{self._made}")
        self.copy(TEMPLATE, made.name)
        return made

    def copy(self, database: str, name: str) -> None:
        """Make a copy of a database that nobody uses, file by file: a quarter of the CPU of logging each page."""
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        with psycopg.connect(self.server.url(), autocommit=True) as session:
            session.execute(create.format(sql.Identifier(name), sql.Identifier(database)))

    def drop(self, database: Database) -> None:
        """Drop it, ending whatever sessions are left in it."""
        postgres.drop_database(self.server.url(), database.name)
        database.fence.unlink(missing_ok=True)
        shutil.rmtree(database.publication, ignore_errors=True)

    def close(self) -> None:
        """Stop the server and throw everything away."""
        self.server.stop()
        shutil.rmtree(self.folder)

    def _make_template(self) -> None:
        template = self.database(TEMPLATE)
        postgres.create_database(self.server.url(), TEMPLATE)
        migrate(template)


def migrate(database: Database) -> None:
    """Apply all migrations as the owner, and let the serving login in, as `make run` does."""
    from tests.support.processes.commands import manage  # noqa: PLC0415  # it imports Django, which reads the settings

    manage(database, "migrate", "--verbosity", "0")
    postgres.grant_logins(database.owner_url)


def set_environment(nowhere: Database) -> None:
    """Make the settings those of the tests, whatever the shell has; ``nowhere`` serves what asks for no database."""
    for field in msgspec.structs.fields(Env):
        os.environ.pop(field.encode_name, None)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each start would compile all that it imports
    sys.dont_write_bytecode = False
    os.environ |= nowhere.settings | {
        "SECRET_KEY": secret_keys.key("SECRET_KEY"),
        "NUMBER_KEY": secret_keys.NUMBER_KEY,
        "CUSTOMER_TAG_KEYS": secret_keys.OLD,
        "LEDGER_KEY": LEDGER_KEY,
        "HTTPS_ONLY": "0",
        "ALLOW_UNSAFE_DATABASE": "1",
        "DRAIN_SECONDS": "0",
        "DEADLINE": "60",  # ten seconds are not enough for every commit on a machine that is busy with other work
    }
    # The tests' own client logs what it asks for, queries and all; what services log is what counts.
    logging.getLogger("httpx").setLevel(logging.WARNING)


FOLDER: Final = Path(tempfile.mkdtemp(prefix="tracking-"))
"""Of this process; whatever it or what it starts makes of files is in here, pytest's own included."""
os.environ["TMPDIR"] = tempfile.tempdir = str(FOLDER)
CLUSTER: Final = Cluster(Path(tempfile.mkdtemp(prefix="c-")))
set_environment(CLUSTER.database("no_such_database"))


_config: list[pytest.Config] = []


def pytest_configure(config: pytest.Config) -> None:
    """Know of the run."""
    _config.append(config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process works alone in the end; files stay together."""
    items.sort(key=lambda item: _LONGEST_FIRST.get(item.path.parent.name, 0))


def pytest_collection_finish() -> None:
    """Spare the collector what was imported and collected; it was off until now, which is a tenth of the start."""
    gc.freeze()
    gc.enable()


def database_access() -> AbstractContextManager[None]:
    """Let the block use Django's connections, which pytest-django keeps from a test that did not ask for them."""
    return _config[0].stash[blocking_manager_key].unblock()


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    CLUSTER.close()
    shutil.rmtree(FOLDER)
