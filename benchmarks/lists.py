"""Lists of events: CPU of a page and of an exported row, and what the indexes that they go by cost an insert."""

import argparse
import asyncio
import http.client
import statistics
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from urllib.parse import urlencode

from benchmarks import cpu, flat, record
from benchmarks.database import Cluster
from benchmarks.running import Running
from benchmarks.targets import PORT, SERVICE
from core.databases import APPLICATION_ROLE
from core.session import Session
from ledger import store
from ledger.domain.entry import Event

_ROUTES = 60
_PAGES = 200
_ROUNDS, _WINDOW = 5, 64_000
_PATH = "/v1/tracking-numbers"
_DATABASE = "lists"
type _Filled = tuple[Session, Iterator[list[Event]]]
# The indexes of migration 0002, in place of those of 0004.
_BEFORE = """
    DROP INDEX issuance_event_customer, issuance_event_ranges;
    CREATE INDEX issuance_event_requested_at ON issuance_event USING brin (requested_at);
    CREATE INDEX issuance_event_customer ON issuance_event (customer_tag, requested_at)"""
# As the sealer would leave them, but for the hashes: lists don't look at those.
_SEALED = """
    INSERT INTO run SELECT sum(count(*)) OVER (ORDER BY serial >> 10) - count(*), min(serial), max(serial), count(*)
                      FROM issuance_event GROUP BY serial >> 10;
    UPDATE tree_state SET size = sealed, published_size = sealed, root = sha256('filled'),
                          published_root = sha256('filled'), published_signature = decode(repeat('00', 64), 'hex')
      FROM (SELECT sum(leaves) AS sealed FROM run) AS runs;
    VACUUM (ANALYZE) issuance_event, run, tree_state"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--events", type=int, default=1_000_000, help="events in the ledger")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print."""
    with Cluster(options.folder, {"autovacuum": "off"}) as cluster:
        rows = asyncio.run(_inserting(cluster))
        rows += _reading(cluster, options.events)
    text = "\n".join(("| figure | measured |", "|---|--:|", *(f"| {name} | {value} |" for name, value in rows)))
    print(text)
    if options.record:
        record.section("lists", text)
    return 0


async def _inserting(cluster: Cluster) -> list[tuple[str, str]]:
    """WAL and CPU of an insert with the indexes of before and of now, in turn."""
    kinds = {"before": _BEFORE, "now": "SELECT"}
    filled: dict[str, _Filled] = {}
    for name, statements in kinds.items():
        cluster.create(name)
        with cluster.session(name) as superuser:
            superuser.execute(statements.encode())
        filled[name] = await Session.connect(cluster.serving_url(name), APPLICATION_ROLE), flat.events(_ROUTES)
        await flat.fill(*filled[name], 0, 2 * _WINDOW)
    with cluster.session("postgres") as superuser:
        superuser.execute("CHECKPOINT")
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for turn in range(_ROUNDS + 1):
        for name, (session, batches) in filled.items():
            figure = await _window(session, list(islice(batches, _WINDOW // flat.BATCH)))
            figures[name] += [figure] if turn else []  # the first writes whole pages, since a checkpoint was before it
    for session, _ in filled.values():
        session.close()
    found = []
    for name, each in figures.items():
        wal, used = zip(*each, strict=True)
        cost = f"{statistics.median(wal):.0f} bytes of WAL, {statistics.median(used):.1f} us ({min(used):.1f} at best)"
        found.append((f"an event inserted, indexes {name}", cost))
    return [*found, ("an event summarized later", _summarizing(cluster))]


async def _window(session: Session, batches: list[list[Event]]) -> tuple[float, float]:
    """Bytes of WAL and CPU microseconds of an event."""

    async def read() -> tuple[float, float]:
        ((backend, wal),) = await session.execute(
            b"SELECT pg_backend_pid(), pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
        )
        return float(wal or 0), cpu.used(int(backend or 0))

    before = await read()
    for batch in batches:
        await store.append(session, batch)
    return _each(before, await read(), sum(map(len, batches)))


def _summarizing(cluster: Cluster) -> str:
    """What PostgreSQL's workers do later for the block ranges."""
    with cluster.session("now") as superuser:

        def read() -> tuple[float, float]:
            ((wal,),) = superuser.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchall()
            return float(str(wal)), cpu.used(superuser.info.backend_pid)

        ((count,),) = superuser.execute("SELECT count(*) FROM issuance_event").fetchall()  # sets the rows' hint bits
        before = read()
        superuser.execute("SELECT brin_summarize_new_values('issuance_event_ranges')")
        wal, used = _each(before, read(), int(str(count)))
    return f"{wal:.1f} bytes of WAL, {used:.1f} us"


def _each(before: tuple[float, float], after: tuple[float, float], count: int) -> tuple[float, float]:
    return (after[0] - before[0]) / count, (after[1] - before[1]) / count


def _reading(cluster: Cluster, events: int) -> list[tuple[str, str]]:
    """CPU of pages and of exports, server and PostgreSQL together."""
    cluster.create(_DATABASE)
    asyncio.run(_fill(cluster, events))
    with cluster.session(_DATABASE) as superuser:
        for statement in _SEALED.split(";"):
            superuser.execute(statement.encode())
        ((moment, request_id),) = superuser.execute(
            "SELECT requested_at, request_id FROM issuance_event WHERE serial = %s", [events // 2]
        ).fetchall()
    cluster.manage(_DATABASE, "init_allocator")
    key = cluster.manage(_DATABASE, "create_api_key", "a benchmark's", "--scope", "audit").strip()
    environment = cluster.environment(_DATABASE) | {"WEB_CONCURRENCY": "1", "PORT": str(PORT)}
    kinds: dict[str, dict[str, object]] = {
        "a page of 100": {},
        "a page of 1,000": {"limit": 1000},
        "a page of 100, newest first": {"order": "-serial"},
        "a page of 100 of a period amid the others": {"issued_after": moment, "issued_before": _later(moment)},
        "a page of 100 of a route": {"route": "MY-ID"},
        "a page of 100 of a route and a weight band": {"route": "MY-ID", "weight_band": 3},
        "a page with one request id": {"request_id": request_id},
        "a page of a principal who has nothing": {"principal": 4711},
    }
    with Running(SERVICE, environment, cluster.folder / "service.log") as running:
        asker = _Asker(cluster, running, key)
        found = [(name, f"{asker.used(_PAGES, **query) / _PAGES / 1000:.1f} ms") for name, query in kinds.items()]
        found += [
            (f"an event exported as {form}", f"{asker.used(1, format=form) / events:.1f} us")
            for form in ("csv", "jsonl")
        ]
    return found


def _later(moment: object) -> object:
    return moment + timedelta(minutes=1) if isinstance(moment, datetime) else moment


async def _fill(cluster: Cluster, events: int) -> None:
    session = await Session.connect(cluster.serving_url(_DATABASE), APPLICATION_ROLE)
    await flat.fill(session, flat.events(_ROUTES), 0, events)
    session.close()


class _Asker:
    """A client on one connection."""

    def __init__(self, cluster: Cluster, running: Running, key: str) -> None:
        self._processes = (running.pid, cluster.server.pid)
        self._headers = {"Authorization": f"Bearer {key}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=600)

    def used(self, times: int, **query: object) -> float:
        """CPU microseconds of the server and of PostgreSQL for some requests, the first left out."""
        texts = {
            name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
            for name, value in query.items()
        }
        self._ask(texts if times > 1 else {"limit": "1"})
        before = sum(map(cpu.used, self._processes))
        for _ in range(times):
            self._ask(texts)
        return sum(map(cpu.used, self._processes)) - before

    def _ask(self, texts: dict[str, str]) -> None:
        self._connection.request("GET", f"{_PATH}?{urlencode(texts)}", headers=self._headers)
        response = self._connection.getresponse()
        while response.read(1 << 20):
            pass
        if response.status != http.client.OK:
            raise RuntimeError(f"{_PATH} answers {response.status}.")
