"""Recomputes the whole log from the event rows, and says what does not fit: row, tile, signature or table.

All of it is read in one snapshot, so a sealer may work meanwhile; memory does not grow with the log.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import batched
from typing import NamedTuple

from ledger import guard, log, rows, verify_tables
from ledger.domain import entry, merkle, tiles
from ledger.domain.merkle import HASH_BYTES
from ledger.domain.note import Checkpoint, VerifierKey
from ledger.domain.sealing import Run
from ledger.domain.tiles import WIDTH, Place, Tile
from ledger.log import Connection, State
from ledger.publication import Folder, PublicationError
from ledger.rows import RowError
from ledger.verify_leaves import UNKNOWN, Alignment, Row, align, serial_of
from ledger.verify_trees import Signed, Trees

MOST_FAULTS = 20
_RUNS_AT_ONCE = 2_000
_LEAVES_AT_ONCE = 16_384
_RANGES_AT_ONCE = 64
_MOST_IN_DOUBT = 65_536

type NumberOf = Callable[[int, str, str], str]
"""The number of a serial, an origin and a destination."""
type Outside = tuple[str, Checkpoint, bytes] | None


class Verdict(NamedTuple):
    """What was checked, and the sentences that say what does not fit; ``unsealed`` is None if it was not counted."""

    leaves: int
    tiles: int
    checkpoints: int
    unsealed: int | None
    faults: list[str]


class TooManyFaultsError(Exception):
    """Enough is known; going on would only repeat it."""


def verify(
    connection: Connection,
    key: VerifierKey,
    number_of: NumberOf,
    place: Folder,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Verdict:
    """Check everything that the log says, in a transaction that sees one moment and only reads.

    Args:
        connection: in no transaction; may read the ledger's tables.
        key: what the checkpoints are verified with.
        number_of: gives the numbers that serials and routes should have.
        place: where the log is published.
        progress: told how many leaves of how many are done.

    Raises:
        psycopg.Error: the database failed; nothing is said.
        ledger.log.LogError: the table ``tree_state`` is empty.
    """
    # The outside moves before the database records it: what is read before the snapshot is never ahead of its leaves.
    outside = _outside(place, key)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        check = _Verification(connection, key, number_of, progress)
        return check.run(place, outside)


def _outside(place: Folder, key: VerifierKey) -> "Outside | PublicationError":
    try:
        return guard.published(place, key)
    except PublicationError as error:
        return error


class _Verification:
    """One pass over the log."""

    def __init__(
        self, connection: Connection, key: VerifierKey, number_of: NumberOf, progress: Callable[[int, int], None]
    ) -> None:
        self._connection = connection
        self._key = key
        self._number_of = number_of
        self._progress = progress
        self._state: State = log.read_state(connection)
        self._trees = Trees(key, self._full)
        self._leaf_tiles: dict[Place, bytes] = {}
        self._signatures: list[Signed] = []
        self._checkpoints = 0
        self._faults: list[str] = []

    def run(self, place: Folder, outside: "Outside | PublicationError") -> Verdict:
        unsealed = None
        try:
            self._take_signatures(place, outside)
            in_runs, whole = self._check_leaves()
            if whole:
                self._faulty(self._trees.end(self._state.root))
                self._faulty(verify_tables.state(self._connection, self._state, self._trees.growth))
            unsealed = self._count_unsealed()
            closed_below = self._state.closed_below
            self._faulty(verify_tables.strays(self._connection, closed_below, in_runs, unsealed))
            self._faulty(verify_tables.bookkeeping(self._connection, closed_below))
        except TooManyFaultsError:
            self._faults.append(f"Stopped after {MOST_FAULTS} faults; there may be more.")
        return Verdict(self._trees.growth.size, self._trees.tiles, self._checkpoints, unsealed, self._faults)

    def _fault(self, sentence: str) -> None:
        self._faults.append(sentence)
        if len(self._faults) >= MOST_FAULTS:
            raise TooManyFaultsError

    def _faulty(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self._fault(sentence)

    def _take_signatures(self, place: Folder, outside: "Outside | PublicationError") -> None:
        """Note what ``tree_state`` and the outside say was signed: to be compared when their sizes are reached."""
        size = self._state.published_size
        if self._state.published_signature is not None:
            what = f"The published tree of {size} leaves in tree_state"
            self._signatures.append(Signed(what, size, self._state.published_signature, self._state.published_root))
        now = _outside(place, self._key) if size else None
        for found in (outside, now):
            if isinstance(found, PublicationError):
                self._fault(str(found))
                return
        if size and (not isinstance(now, tuple) or now[1].size < size):
            held = f"a checkpoint of {now[1].size} leaves" if isinstance(now, tuple) else "no checkpoint"
            self._fault(f"{place} has {held}, but the database has published {size}: put it back from a copy.")
        if isinstance(outside, tuple):
            _, checkpoint, signature = outside
            try:
                guard.check_size(checkpoint, self._state.size)
            except guard.RestoredError as error:
                self._fault(str(error))
            what = f"The checkpoint of {checkpoint.size} leaves in {place}"
            self._signatures.append(Signed(what, checkpoint.size, signature, checkpoint.root))

    def _check_leaves(self) -> tuple[int, bool]:
        """Go through the runs in leaf order; how many rows they hold, and whether they follow on each other."""
        in_runs, after, end = 0, -1, 0
        while True:
            found = self._connection.execute(
                "SELECT first_leaf, first_serial, last_serial, leaves FROM run WHERE first_leaf > %s"
                " ORDER BY first_leaf LIMIT %s",
                [after, _RUNS_AT_ONCE],
            ).fetchall()
            chunk: list[Run] = []
            begin = end
            for run in (Run(*row) for row in found):
                if run.first_leaf != end:
                    self._fault(
                        f"Leaf {end} should begin the next run after serial {chunk[-1].last_serial if chunk else '-'}, "
                        f"but the run from serial {run.first_serial} begins with leaf {run.first_leaf}: the table run "
                        "was altered, and what follows can't be checked."
                    )
                    return in_runs, False
                chunk.append(run)
                end += run.leaves
                if end - begin >= _LEAVES_AT_ONCE:
                    break
            if not chunk:
                return in_runs, True
            in_runs += self._check_runs(chunk, begin, end)
            after = chunk[-1].first_leaf

    def _check_runs(self, runs: Sequence[Run], begin: int, end: int) -> int:
        """Check the leaves from ``begin`` to ``end - 1``; returns how many rows the runs hold."""
        held = self._held(begin, end)
        leaves: list[bytes] = []
        in_runs = 0
        for run, rows_read, found in self._read(runs):
            in_runs += rows_read
            start = len(leaves) * HASH_BYTES
            stored = held[start : start + run.leaves * HASH_BYTES]
            hashes = [leaf for _, leaf in found]
            if b"".join(hashes) != stored:
                hashes = self._settle(run, align(run, found, tiles.split(stored)))
            leaves += hashes
        at = begin
        for signed in self._signed(begin, end):
            self._faulty(self._trees.extend(leaves[at - begin : signed.size - begin]))
            self._faulty(self._trees.signed(signed))
            at = signed.size
        self._faulty(self._trees.extend(leaves[at - begin :]))
        self._progress(end, self._state.size)
        return in_runs

    def _read(self, runs: Sequence[Run]) -> Iterator[tuple[Run, int, list[Row]]]:
        """Each run, how many rows it has, and those that are events."""
        at, count = 0, 0
        found: list[Row] = []
        for serial, row in self._rows([(run.first_serial, run.last_serial) for run in runs]):
            while serial is not None and not runs[at].first_serial <= serial <= runs[at].last_serial:
                yield runs[at], count, found
                at, count, found = at + 1, 0, []
            count += 1
            if row is not None:
                found.append(row)
        for run in runs[at:]:
            yield run, count, found
            count, found = 0, []

    def _rows(self, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int | None, Row | None]]:
        """Each row's serial, its event and leaf hash; a row that is no event of ours is a fault."""
        number_of, encode, leaf_hash, parse = self._number_of, entry.encode, merkle.leaf_hash, rows.event
        for row in log.read_rows(self._connection, ranges):
            try:
                event = parse(row)
            except RowError:
                serial = serial_of(row)
                self._fault(f"The row of serial {serial} is no event: it has not the fields of one.")
                yield serial, None
                continue
            try:
                leaf = leaf_hash(encode(event))
                right = number_of(event.serial, event.origin, event.destination)
            except (ValueError, OverflowError) as error:
                self._fault(f"Number {event.number} (serial {event.serial}) is no event that was ever issued: {error}.")
                yield event.serial, None
                continue
            if event.number != right:
                self._fault(f"Number {event.number} stands at serial {event.serial}; expected is {right}.")
            yield event.serial, (event, leaf)

    def _settle(self, run: Run, found: Alignment) -> list[bytes]:
        """Say what is odd about a run, or note what a signature is to decide; returns its leaves."""
        for leaf, serials in found.lost:
            if len(serials) == 1:
                number = self._number_of(serials[0], "XX", "XX")[:11]
                self._fault(f"Leaf {leaf} has no event: serial {serials[0]}, whose number began {number}, was deleted.")
            else:
                few = f"one of the serials {serials[0]} to {serials[-1]}" if serials else "a row"
                self._fault(f"Leaf {leaf} has no event: {few} was deleted or altered.")
        for event in found.extra:
            self._fault(
                f"Number {event.number} (serial {event.serial}) is no leaf of its run, which has {run.leaves}: it was "
                "inserted or altered."
            )
        self._trees.doubt(found.suspects)
        if self._trees.in_doubt > _MOST_IN_DOUBT:
            self._fault(f"More than {_MOST_IN_DOUBT} leaves, up to {run.first_leaf}, differ from their tiles.")
            raise TooManyFaultsError
        return found.hashes

    def _held(self, begin: int, end: int) -> bytes:
        """The leaf hashes from ``begin`` to ``end - 1`` as the tiles have them; UNKNOWN where they have none."""
        wanted = [Tile(0, position) for position in range(begin // WIDTH, -(-end // WIDTH))]
        self._leaf_tiles = self._stored(wanted)
        unknown = UNKNOWN * WIDTH
        whole = b"".join(
            (hashes := self._leaf_tiles.get(tile.place, b"")[: len(unknown)]) + unknown[len(hashes) :]
            for tile in wanted
        )
        start = begin % WIDTH * HASH_BYTES
        return whole[start : start + (end - begin) * HASH_BYTES]

    def _full(self, places: list[Place]) -> dict[Place, bytes]:
        above = self._stored([Tile(*place) for place in places if place.level])
        return above | {place: self._leaf_tiles[place] for place in places if place in self._leaf_tiles}

    def _stored(self, wanted: Sequence[Tile]) -> dict[Place, bytes]:
        if not wanted:
            return {}
        with self._connection.cursor(binary=True) as cursor:
            found = cursor.execute(log.tiles_query(wanted).encode()).fetchall()
        return {Place(level, position): hashes for level, position, hashes in found if hashes is not None}

    def _signed(self, begin: int, end: int) -> list[Signed]:
        """What was signed from size ``begin + 1`` to ``end``, in order of size."""
        found = self._connection.execute(
            "SELECT size, signature FROM checkpoint WHERE size > %s AND size <= %s ORDER BY size", [begin, end]
        ).fetchall()
        self._checkpoints += len(found)
        signed = [Signed(f"The checkpoint of {size} leaves", size, signature) for size, signature in found]
        signed += [each for each in self._signatures if begin < each.size <= end]
        return sorted(signed, key=lambda each: each.size)

    def _count_unsealed(self) -> int:
        """Count the events above the cursors of open blocks, which are checked by themselves."""
        ranges = verify_tables.open_ranges(self._connection, self._state.closed_below)
        return sum(1 for some in batched(ranges, _RANGES_AT_ONCE) for _ in self._rows(some))
