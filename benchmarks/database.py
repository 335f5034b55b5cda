"""One PostgreSQL for all targets, and for each a database of its own, made from the project's migrations."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

from core.databases import APPLICATION_ROLE
from core.embedded import postgres
from core.embedded.server import Server
from ledger.domain.note import SignerKey

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = "bench_template"
CONNECTIONS = 700
"""max_connections: pgbench holds 512."""


class Cluster:
    """A durable PostgreSQL in a folder that is removed at the end; the same settings for every target."""

    def __init__(self, parent: Path | None, settings: Mapping[str, str] | None = None) -> None:
        """Choose where it lives: below ``parent``, which should be on the kind of disk that production has.

        Args:
            parent: a folder, made if it isn't there.
            settings: PostgreSQL settings beyond those of `make run`.
        """
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent))
        self.folder.chmod(0o711)  # PostgreSQL may run as another user than we do
        self.server = Server(self.folder / "postgres")
        self._settings = {"max_connections": str(CONNECTIONS), **(settings or {})}
        self._secrets = {
            "SECRET_KEY": secrets.token_hex(32),
            "NUMBER_KEY": secrets.token_hex(32),
            "CUSTOMER_TAG_KEYS": f"1:{secrets.token_hex(32)}",
            "LEDGER_KEY": SignerKey.make("bench.test/log").export(),
        }

    def __enter__(self) -> Self:
        try:
            self.server.start()
            with self.session("postgres") as session:
                for name, value in self._settings.items():
                    session.execute(
                        sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
                    )
            self.server.stop()
            self.server.start()
            self._make_template()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def session(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """A superuser's session, in autocommit."""
        return psycopg.connect(self.server.url(database=database), autocommit=True)

    def serving_url(self, database: str) -> str:
        """The address of ``database`` for the login that every target uses."""
        return self.server.url(user=postgres.SERVING_LOGIN, database=database)

    def sealing_url(self, database: str) -> str:
        """The address of ``database`` for the sealer."""
        return self.server.url(user=postgres.SEALING_LOGIN, database=database)

    def reporting_url(self, database: str) -> str:
        """The address of ``database`` for whoever counts."""
        return self.server.url(user=postgres.REPORTING_LOGIN, database=database)

    def publication(self, database: str) -> Path:
        """Where the log of ``database`` is published."""
        return self.folder / f"published-{database}"

    def environment(self, database: str) -> dict[str, str]:
        """The service's settings for ``database``."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **kept,
            **self._secrets,
            "DATABASE_URL": self.serving_url(database),
            "DATABASE_OWNER_URL": self.server.url(database=database),
            "DATABASE_SEALER_URL": self.sealing_url(database),
            "FENCE": str(self.folder / f"fence-{database}"),
            "PUBLICATION": str(self.publication(database)),
            "HTTPS_ONLY": "0",
            "LOG_LEVEL": "WARNING",
            "DRAIN_SECONDS": "0",
        }

    def manage(self, database: str, *arguments: str) -> str:
        """Run one of Django's commands on ``database``; what it prints."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(
            command, env=self.environment(database), cwd=ROOT, check=False, timeout=120, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"manage.py {' '.join(arguments)} failed: {done.stderr or done.stdout}")
        return done.stdout

    def _make_template(self) -> None:
        postgres.create_database(self.server.url(), TEMPLATE)
        self.manage(TEMPLATE, "migrate", "--verbosity", "0")
        postgres.grant_logins(self.server.url(database=TEMPLATE))
        with self.session("postgres") as session:
            # Every target inserts under the role that the service takes on.
            login, role = sql.Identifier(postgres.SERVING_LOGIN), sql.Literal(APPLICATION_ROLE)
            session.execute(sql.SQL("ALTER ROLE {} SET role = {}").format(login, role))

    def create(self, database: str) -> None:
        """An empty database with the project's tables, in place of one of that name; then a checkpoint."""
        self.drop(database)
        postgres.create_database(self.server.url(), database, template=TEMPLATE)
        with self.session("postgres") as session:
            session.execute("CHECKPOINT")

    def drop(self, database: str) -> None:
        """Remove the database, if it is there."""
        (self.folder / f"fence-{database}").unlink(missing_ok=True)
        shutil.rmtree(self.publication(database), ignore_errors=True)
        with self.session("postgres") as session:
            session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def rows(self, database: str) -> int:
        """How many events ``database`` holds."""
        with self.session(database) as session:
            (count,) = session.execute("SELECT count(*) FROM issuance_event").fetchone() or (0,)
        return int(str(count))
