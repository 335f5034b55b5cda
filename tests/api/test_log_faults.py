"""The log's reads when the database was tampered with, or is away: no proof that does not hold, no traceback."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
import pytest
from django.test import Client

from ledger import reading
from ledger.api import numbers, reads
from ledger.checkpoints import Checkpoints
from ledger.domain import proof
from ledger.domain.note import SignerKey
from ledger.domain.tiles import ENTRIES, WIDTH, Tile
from tests.plugin import LEDGER_KEY, Cluster, Database
from tests.support.clients import stats
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, ask_proof, problem
from tests.support.database import ledger
from tests.support.log import history as histories
from tests.support.log.history import History
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import seal
from tests.support.processes.service import ServiceFactory

KEY = SignerKey.parse(LEDGER_KEY).verifier
INCONSISTENT = (500, "log-inconsistent")
NOT_SEALED = (404, "not-yet-sealed")
CUSTOMER = "de619854-b59b-425e-9db4-000000000000"
"""The one that tests.support.clients.load issues most to."""


@pytest.fixture(scope="module")
def history(database: Database, lane_port: int) -> History:
    return histories.make(database, lane_port, published_events=600, committed_events=10)


type Get = Callable[[int, str], httpx.Response]
type Read = Callable[[str], httpx.Response]


@pytest.fixture(scope="module")
def get(database: Database) -> Get:
    """Asks with a key that reads everything."""
    return asking(database)


def asking(database: Database) -> Get:
    key = make_key(database, "audit", "reports")
    return lambda port, path: ask(port, path, **bearer(key))


@pytest.fixture
def fresh(database: Database, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Reads in this process, which remembers no hash and no checkpoint of the log, like one that has just begun."""
    reads.KNOWN.clear()
    reading._published.cache_clear()
    monkeypatch.setattr(numbers, "_CHECKPOINTS", Checkpoints())
    client = Client(headers={"Host": "localhost", **bearer(make_key(database, "audit"))})

    def read(path: str) -> httpx.Response:
        answer = client.get(path)
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)

    return read


@contextlib.contextmanager
def tampered(database: Database, table: str, row: str, change: str) -> Iterator[None]:
    """Run a statement as the superuser with the guards of a table put aside, and put its row back at the end."""
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        session.execute(f"CREATE TEMPORARY TABLE kept AS SELECT * FROM {table} WHERE {row}")
        assert session.execute(change).rowcount > 0, change
        try:
            yield
        finally:
            with session.transaction():
                session.execute(f"DELETE FROM {table} WHERE {row}")
                session.execute(f"INSERT INTO {table} SELECT * FROM kept")
            session.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


class Change(NamedTuple):
    """What a superuser does to one row, and what a proof of leaf 300 is answered with then."""

    table: str
    row: str
    statement: str
    answer: tuple[int, str] = INCONSISTENT


def event(change: str, answer: tuple[int, str] = INCONSISTENT) -> Change:
    """A change of the event of leaf 300."""
    return Change("issuance_event", "number = '{number}'", f"UPDATE issuance_event SET {change}", answer)


def state(change: str) -> Change:
    return Change("tree_state", "singleton", f"UPDATE tree_state SET {change}")


def flipped(column: str, byte: int) -> str:
    return f"{column} = set_byte({column}, {byte}, get_byte({column}, {byte}) # 1)"


RUN = "(SELECT serial FROM issuance_event WHERE number = '{number}') BETWEEN first_serial AND last_serial"
TILE = "level = 0 AND position = 1"
CHANGES = {
    "another weight": event("weight_band = (weight_band + 1) % 11"),
    "another customer": event("customer_tag = sha256(customer_tag)"),
    "another time": event("requested_at = requested_at + interval '1 microsecond'"),
    "no time": event("requested_at = 'infinity'"),
    "a time before Christ": event("order_created_at = '4000-01-01 BC'"),
    "a time far ahead": event("order_created_at = '20000-01-01'"),
    "a serial of a later leaf": event("serial = (SELECT max(last_serial) + 1 FROM run)", NOT_SEALED),
    "a run moved": Change("run", RUN, "UPDATE run SET first_leaf = first_leaf + 7"),
    "a run gone": Change("run", RUN, "DELETE FROM run", NOT_SEALED),
    "another root": state("published_root = sha256(published_root)"),
    "another size": state("published_size = published_size - 1"),
    "another signature": state(flipped("published_signature", 63)),
    "no state": Change("tree_state", "singleton", "DELETE FROM tree_state"),
}
TREE_CHANGES = {
    "a tile edited": Change("tile", TILE, f"UPDATE tile SET {flipped('hashes', 32 * 45)}"),
    "a tile gone": Change("tile", TILE, "DELETE FROM tile"),
    "the edge edited": state(flipped("edge[1]", 5)),
    "the edge cut": state("edge[1] = substr(edge[1], 1, 32)"),
    "the edge gone": state("edge = '{}'"),
    "the roots of tiles edited": state(flipped("edge[2]", 5)),
}


def path(history: History, index: int) -> str:
    """Of the proof of a leaf."""
    return f"/v1/tracking-numbers/{history.numbers[index]}/proof"


def check(read: Read, database: Database, history: History, change: Change) -> None:
    """Ask for proofs while something is changed, and after it was put back."""
    number = history.numbers[300]
    row = change.row.replace("{number}", number)
    with tampered(database, change.table, row, f"{change.statement} WHERE {row}"):
        for index in (300, *range(0, history.published, 53), 299, 301, history.published - 1):
            response = read(path(history, index))
            if index != 300 and response.status_code == 200:
                assert proof.verify(response.text, KEY, history.leaves[index])[0] == index
            else:
                assert problem(response) in ({change.answer} if index == 300 else {INCONSISTENT, NOT_SEALED}), index
    for index in (0, 300, history.published - 1):
        again = read(path(history, index))
        assert proof.verify(again.text, KEY, history.leaves[index])[0] == index, "put back, it is proven again"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_tampered_with_is_not_proven(
    lane_port: int, database: Database, history: History, change: Change
) -> None:
    check(partial(ask, lane_port), database, history, change)


@pytest.mark.django_db
@pytest.mark.parametrize("change", TREE_CHANGES.values(), ids=TREE_CHANGES)
def test_nothing_is_proven_by_hashes_that_were_tampered_with(
    database: Database, history: History, fresh: Read, change: Change
) -> None:
    check(fresh, database, history, change)


CHECKPOINT = "size = (SELECT min(size) FROM checkpoint WHERE size > 300)"
LEAF_CHANGES = {
    "the signature of its checkpoint": Change(
        "checkpoint", CHECKPOINT, f"UPDATE checkpoint SET {flipped('signature', 63)}"
    ),
    "all checkpoints from there on": Change("checkpoint", "size > 300", "DELETE FROM checkpoint"),
    "its hash in the tile": Change("tile", TILE, f"UPDATE tile SET {flipped('hashes', 32 * 44)}"),
    "its tile": Change("tile", TILE, "DELETE FROM tile"),
    "a run moved": CHANGES["a run moved"],
} | {name: change for name, change in CHANGES.items() if change.table == "issuance_event"}


@pytest.mark.django_db
@pytest.mark.parametrize("name", LEAF_CHANGES)
def test_what_was_tampered_with_is_not_looked_up(database: Database, history: History, fresh: Read, name: str) -> None:
    change, number = LEAF_CHANGES[name], history.numbers[300]
    row = change.row.replace("{number}", number)
    with tampered(database, change.table, row, f"{change.statement} WHERE {row}"):
        answer = fresh(f"/v1/tracking-numbers/{number}")
        if change.answer == NOT_SEALED:
            assert (answer.json()["leaf_index"], answer.json()["sealed_in"]) == (None, None)
        else:
            assert problem(answer) == INCONSISTENT
    again = fresh(f"/v1/tracking-numbers/{number}").json()
    assert (again["leaf_index"], again["leaf_hash"]) == (300, history.leaves[300].hex())


def test_a_row_removed_from_a_run_with_gaps_moves_no_leaf(
    lane_port: int, database: Database, history: History, get: Get
) -> None:
    first, leaves = run_with_gaps(database, history.published)
    row = f"number = '{history.numbers[first + 1]}'"
    with tampered(database, "issuance_event", row, f"DELETE FROM issuance_event WHERE {row}"):
        assert problem(ask_proof(lane_port, history.numbers[first + leaves - 1])) == INCONSISTENT
        bundle = Tile(ENTRIES, first // WIDTH, first % WIDTH + 1)
        assert problem(get(lane_port, f"/tile/{bundle.path}")) == INCONSISTENT


def run_with_gaps(database: Database, size: int) -> tuple[int, int]:
    """The first leaf and the number of leaves of a run, three at least, that skips a serial, below ``size``."""
    with psycopg.connect(database.owner_url) as session:
        found = session.execute(
            "SELECT first_leaf, leaves FROM run WHERE leaves BETWEEN 3 AND last_serial - first_serial"
            " AND first_leaf + leaves <= %s LIMIT 1",
            [size],
        ).fetchone()
    assert found is not None, "the refused rows of the history left no gap"
    return int(found[0]), int(found[1])


@pytest.mark.parametrize(
    "change",
    ["requested_at = 'infinity'", "order_created_at = '4000-01-01 BC'", "order_created_at = '20000-01-01'"],
)
def test_a_bundle_with_a_row_that_is_no_event_is_not_served(
    lane_port: int, database: Database, history: History, change: str, get: Get
) -> None:
    row = f"number = '{history.numbers[3]}'"
    with tampered(database, "issuance_event", row, f"UPDATE issuance_event SET {change} WHERE {row}"):
        assert problem(get(lane_port, "/tile/entries/000")) == INCONSISTENT


@pytest.mark.parametrize("change", [CHANGES["no time"], event("requested_at = '20000-01-01'"), CHANGES["no state"]])
def test_nothing_is_counted_by_days_that_are_none_or_without_a_tree(
    lane_port: int, database: Database, change: Change, get: Get
) -> None:
    with ledger.reading(database.owner_url) as session:
        found = session.execute("SELECT number FROM issuance_event WHERE customer_tag = %s", [stats.tag(CUSTOMER)])
        row = change.row.format(number=found.fetchall()[0][0])
    assert get(lane_port, stats.path(CUSTOMER)).json()["total"] > 0
    with tampered(database, change.table, row, f"{change.statement} WHERE {row}"):
        assert problem(get(lane_port, stats.path(CUSTOMER))) == INCONSISTENT
    assert get(lane_port, stats.path(CUSTOMER)).json()["total"] > 0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that may be stopped."""
    with tempfile.TemporaryDirectory(prefix="away-") as folder:
        made = Cluster(Path(folder) / "c")
        yield made
        made.server.stop()


def test_while_the_database_is_away_reads_get_503_and_answers_again_by_themselves(
    cluster: Cluster, service: ServiceFactory
) -> None:
    own = cluster.create()
    running = service(own, WEB_CONCURRENCY="1", LOG_LEVEL="ERROR")
    get = asking(own)
    leaves = histories.issue(running.port, 20)
    seal(own, 20)
    number = next(iter(leaves))
    paths = ["/checkpoint", "/tile/0/000.p/20", "/tile/entries/000.p/20"]
    paths += [f"/v1/tracking-numbers/{number}{path}" for path in ("", "/proof", "/barcode.svg", "/barcode.png")]
    paths += [stats.path(CUSTOMER)]
    before = [get(running.port, path).content for path in paths]
    cluster.server.stop()
    for _ in range(3):
        for path in paths:
            refused = get(running.port, path)
            assert problem(refused) == (503, "database-unavailable")
            assert refused.headers["retry-after"] == "1"
    valid = get(running.port, f"/v1/validate/{number}")
    assert (valid.status_code, valid.json()["possible"]) == (200, True), "that needs no database"
    cluster.server.start()
    assert eventually(lambda: [get(running.port, path).content for path in paths] == before)
    assert proof.verify(ask_proof(running.port, number).text, KEY, leaves[number])
    running.stop()


def test_a_session_that_was_ended_costs_no_reader_an_error(
    database: Database, history: History, lane_port: int
) -> None:
    number = history.numbers[0]
    for _ in range(3):
        assert ask_proof(lane_port, number).status_code == 200
        with psycopg.connect(database.owner_url, autocommit=True) as session:
            session.execute("""SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
                                WHERE datname = current_database() AND pid <> pg_backend_pid()""")
