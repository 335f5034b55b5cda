"""Two shards, each in a PostgreSQL of its own, and a coordinator that reads both."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from ledger.domain.note import SignerKey, VerifierKey
from tests.logs import LOGS
from tests.plugin import CLUSTER, ROOT, Cluster, Database
from tests.support.processes.sealers import Sealer
from tests.support.processes.service import Service, ServiceFactory

READER: Final = "tracking_read"
"""The coordinator's login at the shards."""
COMMAND: Final = "coordinate_shards"
_COORDINATING: Final = {"COORDINATOR": "1", "LEDGER_KEY": "", "FENCE": "", "PUBLICATION": ""}
"""What a coordinator is set to; it needs none of the three that are empty."""


class Shard(NamedTuple):
    """One shard."""

    number: int
    cluster: Cluster
    database: Database
    signer: SignerKey

    @property
    def settings(self) -> dict[str, str]:
        """What a process of it is set to beside its database."""
        return {"SHARD": str(self.number), "LEDGER_KEY": self.signer.export()}

    @property
    def key(self) -> VerifierKey:
        """Its log's."""
        return self.signer.verifier

    @property
    def line(self) -> str:
        """What the coordinator is told of it."""
        return f"{self.number} {make_conninfo_url(self.database, READER)} {self.key}"

    def issuer(self, service: ServiceFactory) -> Service:
        """An instance that issues into it."""
        return service(self.database, SHARD=str(self.number), LEDGER_KEY=self.signer.export(), WEB_CONCURRENCY="1")

    def sealer(self) -> Sealer:
        """A sealer of its log."""
        return Sealer(self.database, SHARD=str(self.number), LEDGER_KEY=self.signer.export())


class Two(NamedTuple):
    """Both shards, and the coordinator's database, which nothing was done to yet."""

    shards: tuple[Shard, Shard]
    database: Database

    @property
    def file(self) -> str:
        """What ``coordinate_shards`` is given."""
        return "# a test's\n" + "\n".join(shard.line for shard in self.shards)

    def coordinate(self, file: str | None = None, **settings: str) -> tuple[int, str]:
        """Exit code of ``coordinate_shards``, and all that it says."""
        command = [sys.executable, str(ROOT / "manage.py"), COMMAND, "-"]
        ended = subprocess.run(
            command,
            check=False,
            env={**os.environ, **self.database.settings, **_COORDINATING, **settings},
            input=self.file if file is None else file,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
        )
        LOGS.take("commands", ended.stdout)
        return ended.returncode, ended.stdout

    def reader(self, service: ServiceFactory, **settings: str) -> Service:
        """An instance that reads both, and issues nothing."""
        return service(self.database, initialise=False, WEB_CONCURRENCY="1", **_COORDINATING, **settings)


def make_conninfo_url(database: Database, user: str) -> str:
    """The address of a database for another login."""
    return database.owner_url.replace("postgresql://postgres@", f"postgresql://{user}@")


@contextmanager
def two() -> Iterator[Two]:
    """Make them; the second PostgreSQL goes with the block."""
    second = Cluster(Path(tempfile.mkdtemp(prefix="shard-")))
    try:
        coordinator = CLUSTER.create()
        shards = []
        for number, cluster in enumerate((CLUSTER, second)):
            database = cluster.create()
            signer = SignerKey(f"log.test/shard-{number}", bytes([number] * 32))
            shards.append(Shard(number, cluster, database, signer))
            with psycopg.connect(database.owner_url, autocommit=True) as session:
                if session.execute("SELECT to_regrole(%s)", [READER]).fetchone() == (None,):
                    session.execute(f"CREATE ROLE {READER} LOGIN IN ROLE tracking_auditor")
        first, other = shards
        yield Two((first, other), coordinator)
        CLUSTER.drop(coordinator)
        CLUSTER.drop(first.database)
    finally:
        second.close()
