"""A database that is destroyed and restored from a backup, recovered from what was published, and goes on."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from typing import Final, Protocol

import msgspec
import pytest

from tests.conftest import Length
from tests.plugin import Database, HeardServer
from tests.support.clients import bulk
from tests.support.clients.api_keys import make_key
from tests.support.clients.client_crowd import Crowd
from tests.support.database import ledger, physical_backups
from tests.support.database.own_cluster import OwnCluster
from tests.support.database.streaming_standby import Standby
from tests.support.drills.disaster import Witness, destroy, lease, recover, reported, serial
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published
from tests.support.processes.service import ServiceFactory

LONG_AGO = 60.0
"""Seconds: many times what a busy machine makes of the quarter of a second between two publications."""
CALL = 10_000
REGION = 20
"""Bits of a serial within its region."""

pytestmark = pytest.mark.timeout(1500)


class Site:
    """A PostgreSQL that may be destroyed, and a place for backups that are not."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.backups = folder / "backups"
        self.cluster = OwnCluster(folder / "a", durable=True)
        self._stack = stack
        stack.callback(self.cluster.server.stop)
        self.database = self.cluster.create()
        self._homes = 0

    def start(self, server: HeardServer) -> HeardServer:
        """Start another server, which is stopped in the end."""
        self._stack.callback(server.stop)
        server.start()
        return server

    def home(self) -> Path:
        """A place for a server that takes the place of the one that was destroyed."""
        self._homes += 1
        return self.folder / f"b{self._homes}"

    def on(self, server: HeardServer) -> Database:
        """The database there, with copies of the fence and of the publication as the disaster left them."""
        made = self.database.on(server)
        made = replace(made, fence=server.home / "fence", publication=server.home / "published")
        copy(self.database.fence, made.fence)
        copytree(self.database.publication, made.publication)
        return made


@pytest.fixture(scope="module")
def make_site() -> Iterator[Callable[[], Site]]:
    with ExitStack() as stack:

        def make() -> Site:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="site-")))
            folder.chmod(0o755)
            return Site(folder, stack)

        yield make


class Kept(Protocol):
    """What there is by the time of the disaster."""

    def prepare(self, site: Site) -> None: ...

    def take(self, site: Site) -> None: ...

    def later(self, site: Site) -> None: ...

    def restore(self, site: Site) -> Database: ...


class BaseBackup:
    """By pg_basebackup."""

    def prepare(self, site: Site) -> None:
        """Nothing."""

    def take(self, site: Site) -> None:
        self.backup = physical_backups.base_backup(site.cluster.server, site.backups)

    def later(self, site: Site) -> None:
        """Nothing of what comes after the backup is kept."""

    def restore(self, site: Site) -> Database:
        return site.on(site.start(physical_backups.restored(site.home(), self.backup)))


class ArchivedLog(BaseBackup):
    """By pg_basebackup, and by the log that was archived since."""

    def prepare(self, site: Site) -> None:
        # No piece but those that are asked for.
        physical_backups.archive_into(site.cluster.server, site.backups, seconds=3600)

    def later(self, site: Site) -> None:
        physical_backups.archived(site.cluster.server, site.backups)
        # A million numbers fill more pieces; one that is being written has another name until it is whole.
        self.wal = copytree(site.backups / "wal", site.backups / "kept", ignore=ignore_patterns("*.new"))

    def restore(self, site: Site) -> Database:
        return site.on(site.start(physical_backups.restored(site.home(), self.backup, wal=self.wal)))


class Dump(BaseBackup):
    """By pg_dump, into a cluster that was made anew."""

    def take(self, site: Site) -> None:
        self.folder = physical_backups.dump(site.cluster.server, site.database, site.backups / "dump")

    def restore(self, site: Site) -> Database:
        server = site.start(HeardServer(site.home()))
        physical_backups.load_dump(server, site.database, self.folder)
        return site.on(server)


class Lagging(BaseBackup):
    """By a standby that lagged, and is promoted."""

    def take(self, site: Site) -> None:
        self.standby = Standby(site.cluster)
        site.start(self.standby)
        self.standby.stop()

    def restore(self, site: Site) -> Database:
        self.standby.start()
        self.standby.promote()
        return site.on(self.standby)


class NoBackup(BaseBackup):
    """By nothing but the published log: a database that is new, and empty."""

    def take(self, site: Site) -> None:
        """Nothing."""

    def restore(self, site: Site) -> Database:
        fresh = OwnCluster(site.home(), durable=True)
        assert fresh.create().name == site.database.name
        return site.on(site.start(fresh.server))


KINDS: Final[dict[str, Callable[[], Kept]]] = {
    "pg_basebackup": BaseBackup,
    "pg_basebackup and archived log": ArchivedLog,
    "pg_dump": Dump,
    "a standby that lagged": Lagging,
    "no backup": NoBackup,
}


class Disaster:
    """A database that was backed up in all ways and destroyed, after a million numbers that were never published.

    The sealer was down for as long as they took; they fill a whole region, so the next one is begun.
    """

    def __init__(self, site: Site, service: ServiceFactory, length: Length) -> None:
        self.site, self.before = site, Witness()
        self.kept = {name: kind() for name, kind in KINDS.items()}
        published, later, self.unpublished = length((300, 520, 140), (1_500, 2_500, 700))
        before, database = self.before, site.database
        for each in self.kept.values():
            each.prepare(site)
        running = service(database, WEB_CONCURRENCY="1")
        before.asks(running.port, published)
        before.looks(database)
        for each in self.kept.values():
            each.take(site)
        for _ in range(2):
            before.asks(running.port, later // 2)
            before.looks(database)
        before.asks(running.port, self.unpublished // 2)
        for each in self.kept.values():
            each.later(site)
        another = service(database, initialise=False, WEB_CONCURRENCY="1")  # which leases, so the fence moves on
        before.asks(another.port, self.unpublished // 2)
        lease(database, length(1_010, 0))  # so that fewer numbers reach the next region
        key, call, calls = make_key(database, "issue"), msgspec.json.encode(bulk.orders(CALL)), length(2, 105)
        for _ in range(calls):
            answer = bulk.post(running.port, key, call)
            assert answer.status_code == 201
            before.more.update(each.tracking_number for each in _decode(answer.content))
        assert len(before.more) == CALL * calls
        assert len({serial(number) >> REGION for number in before.more}) == 2
        destroy(site.cluster, running, another)


@pytest.fixture(scope="module")
def disaster(make_site: Callable[[], Site], service: ServiceFactory, length: Length) -> Disaster:
    return Disaster(make_site(), service, length)


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_restore_all_that_was_published_is_there_again_and_nothing_comes_twice(
    disaster: Disaster, service: ServiceFactory, length: Length, kind: str
) -> None:
    """What was answered and not published yet is lost, unless the archived log has it, and it is said which it is."""
    unpublished, before = disaster.unpublished, disaster.before
    restored = disaster.kept[kind].restore(disaster.site)
    lost = recover(restored, before, service, after=length(1_200, 3_000))
    assert len(lost) == (unpublished // 2 if kind == "pg_basebackup and archived log" else unpublished)
    assert not before.more & set(ledger.numbers(restored.owner_url))
    assert len(reported(restored)) < 10, "a range is a range, however much is in it"


def test_a_database_that_is_destroyed_under_load_loses_what_was_not_published(
    make_site: Callable[[], Site], service: ServiceFactory, length: Length, capsys: pytest.CaptureFixture[str]
) -> None:
    """How much that is at worst is measured: python -m benchmarks recovery."""
    site, before = make_site(), Witness()
    running = service(site.database, WEB_CONCURRENCY="1", DEADLINE="10")  # so long its clients wait for it in the end
    with Sealer(site.database), Crowd(running.port, site.folder, 27) as crowd:
        assert eventually(lambda: published(site.database) > length(100, 300))
        destroy(site.cluster)
        destroyed = datetime.now(UTC)
        assert crowd.stop()
    running.stop()
    before.overhears(crowd, site.database)

    lost = recover(NoBackup().restore(site), before, service, after=length(1_200, 3_000))
    oldest = min((datetime.fromisoformat(line.created_at) for line in lost), default=destroyed)
    seconds = (destroyed - oldest).total_seconds()
    with capsys.disabled():
        print(f"\n{len(lost)} of {len(before.answers)} numbers are lost, those of the last {seconds:.2f} s.")  # noqa: T201
    assert seconds < LONG_AGO, "the sealer had not published for long"


class _Number(msgspec.Struct):
    tracking_number: str


_decode = msgspec.json.Decoder(list[_Number]).decode
