"""A standby of a cluster, made by pg_basebackup: it follows, and may be promoted."""

import subprocess
from dataclasses import replace
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from core.embedded import postgres
from tests.plugin import Cluster, Database, HeardServer
from tests.support.database import ledger
from tests.support.processes.proc import eventually

NAME = "standby"


class Standby(HeardServer):
    """A copy of a cluster that follows it, until it is promoted; it keeps what it has if the cluster's server does."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.folder / "b", durable=cluster.server.durable)
        copy = [str(postgres.binaries() / "pg_basebackup"), "--pgdata", str(self.data), "--checkpoint=fast", "-R"]
        subprocess.run([*copy, "--dbname", f"{cluster.server.url()}&application_name={NAME}"], check=True)

    def start(self) -> None:
        """Start it, and wait until it may be read."""
        self._launch(self._take_home())
        assert eventually(self._answers), self._log_end()

    def promote(self) -> None:
        """Make it a primary."""
        with ledger.reading(self.url()) as session:
            assert session.execute("SELECT pg_promote()").fetchone() == (True,)

    def of(self, database: Database) -> Database:
        """Its copy of a database: the same fence, the same publication."""
        return database.on(self)

    def or_of(self, database: Database) -> Database:
        """The one of the two that can be written to, as libpq finds it; the superuser's address is of the cluster's."""
        copy = self.of(database)
        return replace(
            database,
            url=_either(database.url, copy.url),
            sealer_url=_either(database.sealer_url, copy.sealer_url),
            reporter_url=_either(database.reporter_url, copy.reporter_url),
        )

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url()):
                return True
        except psycopg.OperationalError:
            return False


def wait_for(database: Database, name: str) -> None:
    """Have each commit wait for a standby of this name from now on; for none, if it is empty."""
    with ledger.reading(database.owner_url) as session:
        session.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        session.execute("SELECT pg_reload_conf()")
        shown = "SELECT current_setting('synchronous_standby_names')"
    with ledger.reading(database.owner_url) as session:
        assert eventually(lambda: session.execute(shown).fetchone() == (name,))


def _either(first: str, second: str) -> str:
    one, other = conninfo_to_dict(first), conninfo_to_dict(second)
    hosts = quote(f"{one['host']},{other['host']}", safe="")
    return (
        f"postgresql://{one['user']}@/{one['dbname']}?host={hosts}&port={one['port']},{other['port']}"
        "&target_session_attrs=read-write"
    )
