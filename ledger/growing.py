"""The log's right end in the database: what the next leaves add to its tables, in the caller's transaction."""

from collections.abc import Iterable, Sequence

from ledger import log
from ledger.domain.growth import Growth
from ledger.domain.sealing import Cursor, Run
from ledger.domain.tiles import Place
from ledger.log import Connection, LogError, State

_ADD_TILES = """
    INSERT INTO tile (level, position, hashes) SELECT * FROM unnest(%s::smallint[], %s::bigint[], %b::bytea[])"""
_MOVE_CURSOR = """
    INSERT INTO block_cursor (block, last_serial, closed) VALUES (%s, %s, %s)
        ON CONFLICT (block) DO UPDATE SET last_serial = excluded.last_serial, closed = excluded.closed"""


class Growing:
    """The tree that the tables hold, to be grown by whoever has the sealers' lock."""

    def __init__(self, connection: Connection, state: State) -> None:
        """Take it up as ``state`` has it; raises LogError where the tables contradict each other."""
        try:
            self._growth = Growth(state.size, state.edge)
        except ValueError as error:
            raise LogError(f"The edge in tree_state is not that of {state.size} leaves.") from error
        if self._growth.root != state.root:
            raise LogError("The root in tree_state is not that of its edge.")
        self._connection = connection
        found = log.read_runs(connection, state.size - 1, state.size) if state.size else []
        self._last_run = found[-1] if found else None

    @property
    def size(self) -> int:
        """Leaves, those appended in an open transaction included."""
        return self._growth.size

    @property
    def root(self) -> bytes:
        """MTH(D[size])."""
        return self._growth.root

    @property
    def edge(self) -> list[bytes]:
        """For each level from 0 on, the hashes of its partial tile."""
        return self._growth.edge

    def copy(self) -> Growth:
        """The same tree, to be grown without the tables."""
        return self._growth.copy()

    def append(
        self, leaves: Iterable[bytes], runs: list[Run], cursors: Sequence[Cursor], closed_below: int
    ) -> list[tuple[Place, bytes]]:
        """Write what the next leaves add; returns the tiles that have become full.

        Args:
            leaves: their hashes.
            runs: which serials they are.
            cursors: of the blocks that moved.
            closed_below: every block of the shard below it is leased and closed.
        """
        full = self._growth.extend(leaves)
        with self._connection.cursor() as cursor:
            if full:
                levels, positions = [place.level for place, _ in full], [place.position for place, _ in full]
                cursor.execute(_ADD_TILES, [levels, positions, [hashes for _, hashes in full]])
            self._write_runs(cursor, runs)
            cursor.executemany(_MOVE_CURSOR, cursors)
            cursor.execute(
                "UPDATE tree_state SET size = %s, root = %b, edge = %b::bytea[], closed_below = %s",
                [self._growth.size, self._growth.root, self._growth.edge, closed_below],
            )
        return full

    def _write_runs(self, cursor: "log.Cursor", runs: list[Run]) -> None:
        if runs and self._last_run is not None and self._last_run.goes_on_as(runs[0]):
            last, more = self._last_run, runs[0]
            longer = Run(last.first_leaf, last.first_serial, more.last_serial, last.leaves + more.leaves)
            cursor.execute(
                "UPDATE run SET last_serial = %s, leaves = %s WHERE first_serial = %s",
                [longer.last_serial, longer.leaves, longer.first_serial],
            )
            self._last_run, runs = longer, runs[1:]
        if runs:
            cursor.executemany(
                "INSERT INTO run (first_leaf, first_serial, last_serial, leaves) VALUES (%s, %s, %s, %s)", runs
            )
            self._last_run = runs[-1]
