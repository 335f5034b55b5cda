"""A copy of a cluster that follows it: by pg_basebackup and streaming replication."""

import signal
import subprocess
from dataclasses import replace
from typing import Final

import psycopg

from core.embedded import postgres
from core.embedded.server import FAST_AND_LOSE, SETTINGS, Server
from tests.plugin import Cluster, Database
from tests.support import ledger
from tests.support.processes import eventually

NAME: Final = "standby"


class Standby(Server):
    """It follows its cluster until it is promoted."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.folder / "b", durable=False)
        copy = [str(postgres.binaries() / "pg_basebackup"), "--pgdata", str(self.data), "--checkpoint=fast", "-R"]
        subprocess.run([*copy, "--dbname", f"{cluster.server.url()}&application_name={NAME}"], check=True)

    def start(self) -> None:
        settings = SETTINGS | FAST_AND_LOSE | {"unix_socket_directories": str(self.home)}
        arguments = ["-D", str(self.data), *(f"--{name}={value}" for name, value in settings.items())]
        self._process = self._spawn("postgres", arguments, self._take_home(), signal.SIGINT)
        assert eventually(self._answers), self._log_end()

    def promote(self) -> None:
        with ledger.reading(self.url()) as session:
            assert session.execute("SELECT pg_promote()").fetchone() == (True,)

    def of(self, database: Database) -> Database:
        """Its copy of a database: the same fence, the same publication."""
        return replace(
            database,
            url=self.url(user=postgres.SERVING_LOGIN, database=database.name),
            owner_url=self.url(database=database.name),
            sealer_url=self.url(user=postgres.SEALING_LOGIN, database=database.name),
        )

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url()):
                return True
        except psycopg.OperationalError:
            return False
