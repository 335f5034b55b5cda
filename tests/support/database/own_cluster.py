"""A PostgreSQL that only one test module uses, and may stop, copy or destroy."""

import functools
import shutil
from pathlib import Path

from tests.plugin import CLUSTER, Cluster, HeardServer


class OwnCluster(Cluster):
    """A copy of a migrated cluster: making a cluster and migrating it costs several seconds of CPU."""

    def __init__(self, folder: Path, server: HeardServer | None = None, *, durable: bool = False) -> None:
        super().__init__(folder, server or HeardServer(folder / "postgres", durable=durable))

    def start(self) -> None:
        """Start the server, of a copy where there is none yet."""
        if not self.server.data.exists():
            self.server.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copytree(_migrated(), self.server.data)
        super().start()

    def _make_template(self) -> None:
        """The template came with the copy."""


@functools.cache
def _migrated() -> Path:
    """The data of a stopped cluster that has the template."""
    made = Cluster(CLUSTER.folder / "migrated")
    made.start()
    made.server.stop()
    return made.server.data
