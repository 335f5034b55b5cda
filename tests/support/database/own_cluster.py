"""A PostgreSQL that only one test module uses, and may stop, copy or destroy."""

import functools
import shutil
from pathlib import Path

from tests.plugin import CLUSTER, Cluster, Database, HeardServer


class OwnCluster(Cluster):
    """A copy of a migrated cluster: making a cluster and migrating it costs several seconds of CPU."""

    def __init__(self, folder: Path, server: HeardServer | None = None, *, durable: bool = False) -> None:
        super().__init__(folder, server or HeardServer(folder / "postgres", durable=durable))

    def create(self) -> Database:
        """Make a migrated database; the first one starts the server."""
        if not self.server.data.exists():
            self.server.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copytree(_migrated(), self.server.data)
        return super().create()

    def _make_template(self) -> None:
        """The template came with the copy."""


@functools.cache
def _migrated() -> Path:
    """The data of a stopped cluster that has the template."""
    made = Cluster(CLUSTER.folder / "migrated")
    made.create()
    made.server.stop()
    return made.server.data
