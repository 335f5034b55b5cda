"""A database that is destroyed and restored from a backup, recovered from what was published, and goes on."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec
import pytest

from core.embedded import postgres
from tests.plugin import Cluster, Database, HeardServer, migrate
from tests.support.clients import bulk
from tests.support.clients.api_keys import make_key
from tests.support.clients.client_crowd import Crowd
from tests.support.database import ledger, physical_backups
from tests.support.database.streaming_standby import Standby
from tests.support.drills.disaster import Witness, destroy, recover, reported
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published
from tests.support.processes.service import ServiceFactory

PUBLISHED, LATER, UNPUBLISHED = 1_500, 2_500, 700
LONG_AGO = 60.0
"""Seconds: many times what a busy machine makes of the quarter of a second between two publications."""
CALL, CALLS = 10_000, 105
"""A million numbers and more: past the 2^20 of a region."""


class Site:
    """A PostgreSQL that may be destroyed, and a place for backups that are not."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.backups = folder / "backups"
        self.cluster = Cluster(folder / "a", HeardServer(folder / "a/postgres"))
        self._stack = stack
        stack.callback(self.cluster.server.stop)
        self.database = self.cluster.create()

    def start(self, server: HeardServer) -> HeardServer:
        """Start another server, which is stopped in the end."""
        self._stack.callback(server.stop)
        server.start()
        return server

    @property
    def home(self) -> Path:
        """Of the server that takes the place of the one that was destroyed."""
        return self.folder / "b"


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="site-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        yield Site(Path(folder), stack)


class Kept(Protocol):
    """What there is by the time of the disaster."""

    def take(self, site: Site) -> None: ...

    def later(self, site: Site) -> None: ...

    def restore(self, site: Site) -> Database: ...


class BaseBackup:
    """By pg_basebackup."""

    def take(self, site: Site) -> None:
        self.backup = physical_backups.base_backup(site.cluster.server, site.backups)

    def later(self, site: Site) -> None:
        """Nothing of what comes after the backup is kept."""

    def restore(self, site: Site) -> Database:
        return site.database.on(site.start(physical_backups.restored(site.home, self.backup)))


class ArchivedLog(BaseBackup):
    """By pg_basebackup, and by the log that was archived since."""

    def take(self, site: Site) -> None:
        physical_backups.archive_into(
            site.cluster.server, site.backups, seconds=3600
        )  # no piece but those that are asked for
        super().take(site)

    def later(self, site: Site) -> None:
        physical_backups.archived(site.cluster.server, site.backups)

    def restore(self, site: Site) -> Database:
        server = physical_backups.restored(site.home, self.backup, wal=site.backups / "wal")
        return site.database.on(site.start(server))


class Dump:
    """By pg_dump, into a cluster that was made anew."""

    def take(self, site: Site) -> None:
        self.folder = physical_backups.dump(site.cluster.server, site.database, site.backups)

    def later(self, site: Site) -> None:
        """Nothing of what comes after the dump is kept."""

    def restore(self, site: Site) -> Database:
        server = site.start(HeardServer(site.home))
        physical_backups.load_dump(server, site.database, self.folder)
        return site.database.on(server)


class NoBackup:
    """By nothing but the published log: a database that is new, and empty."""

    def take(self, site: Site) -> None:
        """Nothing."""

    later = take

    def restore(self, site: Site) -> Database:
        server = site.start(HeardServer(site.home))
        postgres.create_database(server.url(), site.database.name)
        fresh = site.database.on(server)
        migrate(fresh)
        return fresh


KINDS: Final[dict[str, Callable[[], Kept]]] = {
    "pg_basebackup": BaseBackup,
    "pg_basebackup and archived log": ArchivedLog,
    "pg_dump": Dump,
    "no backup": NoBackup,
}


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_restore_all_that_was_published_is_there_again_and_nothing_comes_twice(
    site: Site, service: ServiceFactory, kind: str
) -> None:
    """What was answered and not published yet is lost, unless the archived log has it, and it is said which it is."""
    backup = KINDS[kind]()
    before = Witness()
    running = service(site.database, WEB_CONCURRENCY="1")
    with Sealer(site.database):
        before.asks(running.port, PUBLISHED)
        before.looks(site.database)
        backup.take(site)
        for _ in range(2):
            before.asks(running.port, LATER // 2)
            before.looks(site.database)
    before.asks(running.port, UNPUBLISHED // 2)
    backup.later(site)
    another = service(site.database, initialise=False, WEB_CONCURRENCY="1")  # which leases, so the fence moves on
    before.asks(another.port, UNPUBLISHED // 2)
    destroy(site.cluster, running, another)

    lost = recover(backup.restore(site), before, service)
    assert len(lost) == (UNPUBLISHED // 2 if kind == "pg_basebackup and archived log" else UNPUBLISHED)


def test_a_database_that_is_destroyed_under_load_loses_what_was_not_published(
    site: Site, service: ServiceFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """How much that is at worst is measured: python -m benchmarks recovery."""
    before = Witness()
    running = service(site.database, WEB_CONCURRENCY="1", DEADLINE="10")  # so long its clients wait for it in the end
    with Sealer(site.database), Crowd(running.port, site.folder, 27) as crowd:
        assert eventually(lambda: published(site.database) > 300)
        destroy(site.cluster)
        destroyed = datetime.now(UTC)
        assert crowd.stop()
    running.stop()
    before.overhears(crowd, site.database)

    lost = recover(NoBackup().restore(site), before, service)
    oldest = min((datetime.fromisoformat(line.created_at) for line in lost), default=destroyed)
    seconds = (destroyed - oldest).total_seconds()
    with capsys.disabled():
        print(f"\n{len(lost)} of {len(before.answers)} numbers are lost, those of the last {seconds:.2f} s.")  # noqa: T201
    assert seconds < LONG_AGO, "the sealer had not published for long"


def test_a_standby_that_lagged_is_given_what_it_lacks_when_it_is_promoted(site: Site, service: ServiceFactory) -> None:
    before = Witness()
    running = service(site.database, WEB_CONCURRENCY="1")
    with Standby(site.cluster) as standby:
        with Sealer(site.database):
            before.asks(running.port, PUBLISHED)
            before.looks(site.database)
            standby.stop()
            before.asks(running.port, LATER)
            before.looks(site.database)
        before.asks(running.port, UNPUBLISHED)
        destroy(site.cluster, running)
        standby.start()
        standby.promote()
        assert len(recover(standby.of(site.database), before, service)) == UNPUBLISHED


@pytest.mark.timeout(1500)
def test_none_of_a_million_numbers_that_were_never_published_comes_again(site: Site, service: ServiceFactory) -> None:
    """The sealer was down for as long as they took; they fill a whole region, so the next one is begun."""
    before = Witness()
    running = service(site.database, WEB_CONCURRENCY="1")
    key = make_key(site.database, "issue")
    with Sealer(site.database):
        before.asks(running.port, PUBLISHED)
        before.looks(site.database)
    backup = BaseBackup()
    backup.take(site)
    call = msgspec.json.encode(bulk.orders(CALL))
    for _ in range(CALLS):
        answer = bulk.post(running.port, key, call)
        assert answer.status_code == 201
        before.more.update(each.tracking_number for each in _decode(answer.content))
    assert len(before.more) == CALL * CALLS > 1 << 20
    destroy(site.cluster, running)

    restored = backup.restore(site)
    assert not recover(restored, before, service), "but for those, nothing is lost"
    assert not before.more & set(ledger.numbers(restored.owner_url))
    assert len(reported(restored)) < 10, "a range is a range, however much is in it"


class _Number(msgspec.Struct):
    tracking_number: str


_decode = msgspec.json.Decoder(list[_Number]).decode
