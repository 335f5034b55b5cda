"""What the log's tables say, for whoever serves, grows or checks it: read by SQL on a psycopg connection."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import psycopg
from psycopg import pq

from ledger import rows
from ledger.domain import tiles
from ledger.domain.entry import Event
from ledger.domain.merkle import HASH_BYTES, Range, fold, nodes
from ledger.domain.note import Checkpoint
from ledger.domain.sealing import Run
from ledger.domain.serial import BLOCK_SIZE
from ledger.domain.tiles import Place, Tile

type Connection = psycopg.Connection[Any]
type Cursor = psycopg.Cursor[Any]
type Diagnostic = psycopg.errors.Diagnostic

_STATE = """
    SELECT size, root, edge, closed_below, published_size, published_root, published_signature, log_begin
      FROM tree_state"""
_TILES = """
    WITH wanted (level, position) AS (VALUES {})
    SELECT w.level, w.position,
           coalesce(t.hashes,
                    CASE WHEN s.size >> (8 * (w.level + 1)) = w.position THEN s.edge[w.level + 1] END) AS hashes
      FROM wanted w CROSS JOIN tree_state s LEFT JOIN tile t ON (t.level, t.position) = (w.level, w.position)"""
# LIMIT: a range lies in one block, and with it the planner always goes by the index, however large the table is.
_EVENTS = f"""
    COPY (SELECT {rows.COLUMNS}
            FROM (VALUES {{}}) AS wanted (place, first, last)
           CROSS JOIN LATERAL (SELECT {rows.COLUMNS} FROM issuance_event
                                WHERE serial BETWEEN wanted.first AND wanted.last
                                ORDER BY serial LIMIT {BLOCK_SIZE}) AS found
           ORDER BY place, serial) TO STDOUT (FORMAT BINARY)"""  # noqa: S608  # constants
_HEADER_BYTES = 19
_TRAILER = b"\xff\xff"


class LogError(Exception):
    """The log's tables don't fit together: somebody got around the database's guards. Run `manage.py verify_ledger`."""


class NotDurableError(Exception):
    """A commit went through with a warning: it may not have reached the standby, so nothing may be built on it."""


class State(NamedTuple):
    """The tree as it is committed, and what of it is published."""

    size: int
    root: bytes
    edge: list[bytes]
    closed_below: int
    published_size: int
    published_root: bytes
    published_signature: bytes | None
    log_begin: int
    """Checkpoints of at most so many leaves are those of the logs before this one."""

    def published(self, origin: str) -> Checkpoint:
        """The published tree, as the log of that origin signs it."""
        return Checkpoint(origin, self.published_size, self.published_root)


def planned_once(connection: Connection, statement: bytes, given: Sequence[Any]) -> tuple[Any, ...]:
    """The row of a statement over ``tree_state``, as ``planned`` has it; raises LogError where there is none."""
    row = planned(connection, statement, given)
    if row is None:
        raise LogError("The table tree_state has no row.")
    return row


def planned(connection: Connection, statement: bytes, given: Sequence[Any]) -> tuple[Any, ...] | None:
    """The row of a statement, planned once a session: for some that takes longer than to execute.

    Django's own cursors prepare nothing. Where the session's prepare_threshold is None, neither does this.
    """
    cursor: psycopg.Cursor[tuple[Any, ...]] = psycopg.Cursor(connection)
    return cursor.execute(statement, given, prepare=True, binary=True).fetchone()


def read_state(connection: Connection) -> State:
    """The one row of ``tree_state``; LogError where it is gone."""
    row = connection.execute(_STATE).fetchone()
    if row is None:
        raise LogError("The table tree_state has no row.")
    return State(*row)


def tiles_query(wanted: Iterable[Tile]) -> str:
    """The SQL that reads tiles as (level, position, hashes): full, or the growing edge, or null if there is none."""
    return _TILES.format(",".join(f"({tile.level}::smallint, {tile.position}::bigint)" for tile in wanted))


def found_tiles(wanted: Iterable[Tile], found: Iterable[tuple[int, int, bytes | None]]) -> dict[Place, bytes]:
    """The tiles, each cut to the width that is wanted.

    Raises:
        LogError: one is missing or too short.
    """
    held = {Place(level, position): hashes or b"" for level, position, hashes in found}
    result = {}
    for tile in wanted:
        hashes = held[tile.place][: tile.width * HASH_BYTES]
        if len(hashes) != tile.width * HASH_BYTES:
            raise LogError(f"The tile {tile.path} is missing, or shorter than the tree says.")
        result[tile.place] = hashes
    return result


def read_tiles(connection: Connection, wanted: Sequence[Tile]) -> dict[Place, bytes]:
    """Tiles by their places, in one statement; raises as ``found_tiles`` does."""
    if not wanted:
        return {}
    return found_tiles(wanted, connection.execute(tiles_query(wanted).encode()).fetchall())


class Interiors:
    """The insides of tiles that were needed lately, each as wide as it was then; for any number of threads."""

    def __init__(self, most: int = 512) -> None:
        """Hold as many tiles as ``most``, at 16 KB each."""
        self._most = most
        self._held: OrderedDict[Tile, list[bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, wanted: Iterable[Tile]) -> dict[Place, list[bytes]]:
        """Those of the tiles that are held."""
        with self._lock:
            found = [tile for tile in wanted if tile in self._held]
            for tile in found:
                self._held.move_to_end(tile)
            return {tile.place: self._held[tile] for tile in found}

    def put(self, tile: Tile, rows: list[bytes]) -> None:
        """Hold one more, and let go of that which was not needed for longest."""
        with self._lock:
            self._held[tile] = rows
            while len(self._held) > self._most:
                self._held.popitem(last=False)

    def clear(self) -> None:
        """Let go of all: the log is another one."""
        with self._lock:
            self._held.clear()


def read_hashes(
    read: Callable[[Sequence[Tile]], dict[Place, bytes]],
    ranges: Sequence[Range],
    size: int,
    given: Mapping[Place, bytes],
    known: Interiors,
) -> list[bytes]:
    """The hashes of ranges of leaves of the tree of ``size`` leaves.

    Args:
        read: tiles, as ``read_tiles`` does; asked once at most.
        ranges: of leaves.
        size: of the tree.
        given: tiles that were read already, and are not worth being held.
        known: tiles of the same log.

    Raises:
        LogError: a tile is missing or too short.
    """
    parts = [nodes(leaves) for leaves in ranges]
    needed = tiles.holding((node for part in parts for node in part), size)
    try:
        held = {place: tiles.interior(tile) for place, tile in given.items()}
        held |= known.get(tile for tile in needed if tile.place not in held)
        missing = [tile for tile in needed if tile.place not in held]
        found = read(missing)
        for tile in missing:
            held[tile.place] = rows = tiles.interior(found[tile.place])
            known.put(tile, rows)
        return [fold([tiles.node_in(held, node) for node in part]) for part in parts]
    except ValueError as error:
        raise LogError(str(error)) from error


def read_root(connection: Connection, size: int) -> bytes:
    """The root that the tree had when it had ``size`` leaves, as the tiles give it."""
    leaves = [Range(0, size)]
    return tiles.hashes(leaves, read_tiles(connection, tiles.needed(leaves, size)))[0]


def read_runs(connection: Connection, begin: int, end: int) -> list[Run]:
    """The runs that hold the leaves from ``begin`` to ``end - 1``, in leaf order; the outermost may hold more."""
    found = connection.execute(
        "SELECT first_leaf, first_serial, last_serial, leaves FROM run"
        " WHERE first_leaf > %s AND first_leaf < %s ORDER BY first_leaf",
        [begin - BLOCK_SIZE, end],
    )
    return [run for run in (Run(*row) for row in found) if run.first_leaf + run.leaves > begin]


def read_leaves(connection: Connection, begin: int, end: int) -> list[Event]:
    """The events that are the leaves from ``begin`` to ``end - 1``, in leaf order.

    Raises:
        LogError: the runs or the events don't add up to them.
    """
    runs = read_runs(connection, begin, end)
    events = list(read_events(connection, [(run.first_serial, run.last_serial) for run in runs]))
    if not runs or sum(run.leaves for run in runs) != len(events) or runs[0].first_leaf > begin:
        raise LogError(f"The events of leaves {begin} to {end - 1} are not those that were sealed.")
    leaves = events[begin - runs[0].first_leaf :][: end - begin]
    if len(leaves) != end - begin:
        raise LogError(f"Leaves {begin} to {end - 1} are not all there.")
    return leaves


def read_events(connection: Connection, ranges: Sequence[tuple[int, int]]) -> Iterator[Event]:
    """The events of ranges of serials; raises RowError where a row is not an event, and as ``read_rows`` does."""
    return map(rows.event, read_rows(connection, ranges))


def read_rows(connection: Connection, ranges: Sequence[tuple[int, int]]) -> Generator[bytes]:
    """The rows of ranges of serials (first, last), each within one block: range by range, in serial order.

    One COPY on libpq itself, streamed: no memory is held for what has been read. See ledger.rows for the form. The
    session is good for nothing else until all is read, or the iterator is closed.

    Raises:
        psycopg.OperationalError: the database failed.
    """
    if not ranges:
        return
    pg = connection.pgconn
    values = ",".join(f"({place}, {first}::bigint, {last}::bigint)" for place, (first, last) in enumerate(ranges))
    result = pg.exec_(_EVENTS.format(values).encode())
    if result.status != pq.ExecStatus.COPY_OUT:
        raise psycopg.OperationalError(result.get_error_message())
    skip = _HEADER_BYTES
    try:
        while True:
            count, data = pg.get_copy_data(0)
            if count < 0:
                break
            row = data.tobytes()
            if skip:
                row, skip = row[skip:], 0
            if row != _TRAILER:
                yield row
    except GeneratorExit:
        _pass_over(pg)
        raise
    while (outcome := pg.get_result()) is not None:
        if outcome.status != pq.ExecStatus.COMMAND_OK:
            raise psycopg.OperationalError(outcome.get_error_message())


def _pass_over(pg: pq.abc.PGconn) -> None:
    """Read the rest of a COPY and its outcome for nothing."""
    with suppress(psycopg.Error):
        while pg.get_copy_data(0)[0] >= 0:
            pass
    while pg.get_result() is not None:
        pass
