"""A pass over leaves in their order: rows beside tiles, and the tree that they give beside its signatures."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing

from ledger import log, rows
from ledger.domain import entry, merkle, tiles
from ledger.domain.cosignature import Cosignature, WitnessKey
from ledger.domain.growth import Growth
from ledger.domain.merkle import HASH_BYTES
from ledger.domain.note import Checkpoint, NoteError
from ledger.domain.sealing import Run
from ledger.domain.serial import BLOCK_SIZE
from ledger.domain.tiles import WIDTH, Place, Tile
from ledger.log import Connection
from ledger.rows import RowError
from ledger.succession import Keys
from ledger.verify_leaves import UNKNOWN, Alignment, Row, align, serial_of
from ledger.verify_trees import Signed, Trees

MOST_FAULTS = 20
_RUNS_AT_ONCE = 2_000
_LEAVES_AT_ONCE = 16_384
_MOST_IN_DOUBT = 65_536
# The outermost may hold leaves beyond the range; a run has no more than a block's.
_RUNS = """
    SELECT first_leaf, first_serial, last_serial, leaves FROM run
     WHERE first_leaf > %s AND first_leaf + leaves > %s AND (%s::bigint IS NULL OR first_leaf < %s::bigint)
     ORDER BY first_leaf LIMIT %s"""
_COSIGNED = """
    SELECT size, root, signature, witness, cosigned_at, cosignature FROM cosignature
     WHERE size > %s AND size <= %s ORDER BY size, witness"""

type NumberOf = Callable[[int, str, str], str]
"""The number of a serial, an origin and a destination."""


class TooManyFaultsError(Exception):
    """Enough is known; going on would only repeat it."""


class Pass:
    """One pass, in a transaction that sees one moment; memory does not grow with the leaves."""

    def __init__(self, connection: Connection, keys: Keys, number_of: NumberOf, growth: Growth) -> None:
        """Begin behind the leaves of ``growth``, which is taken to be right."""
        self.faults: list[str] = []
        self.checkpoints = 0
        """How many have been read."""
        self.cosignatures = 0
        """The same of witnesses' cosignatures."""
        self.signatures: list[Signed] = []
        """What the table ``checkpoint`` does not have: to be compared when their sizes are reached."""
        self.trees = Trees(keys, self._full, growth)
        self._connection = connection
        self._keys = keys
        self._number_of = number_of
        self._leaf_tiles: dict[Place, bytes] = {}

    def fault(self, sentence: str) -> None:
        """Note a fault; raises TooManyFaultsError if that makes many."""
        self.faults.append(sentence)
        if len(self.faults) >= MOST_FAULTS:
            raise TooManyFaultsError

    def faulty(self, sentences: Iterable[str]) -> None:
        """Note some."""
        for sentence in sentences:
            self.fault(sentence)

    def check_leaves(self, stop: int | None, progress: Callable[[int], None]) -> tuple[int, bool]:
        """Go through the runs in leaf order.

        Args:
            stop: the leaf to end before, None for none: one with which a run begins, or that one which simply went on
                has, as any size that was ever published is.
            progress: told how many leaves there are by now.

        Returns:
            How many rows the runs hold, and whether they follow on each other.
        """
        first = end = self.trees.growth.size
        in_runs, after = 0, first - BLOCK_SIZE
        while stop is None or end < stop:
            found = self._connection.execute(_RUNS, [after, first, stop, stop, _RUNS_AT_ONCE]).fetchall()
            chunk: list[Run] = []
            begin = end
            for row in found:
                run = _cut(Run(*row), first, stop)
                if run.first_leaf != end:
                    self.fault(
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
                break
            in_runs += self._check_runs(chunk, begin, end)
            progress(end)
            after = chunk[-1].first_leaf
        if stop is not None and end != stop:
            self.fault(f"The runs end with leaf {end - 1}; expected is {stop - 1}: the table run was altered.")
            return in_runs, False
        return in_runs, True

    def rows(self, ranges: Sequence[tuple[int, int]]) -> Generator[tuple[int | None, Row | None]]:
        """Each row's serial, its event and leaf hash; a row that is no event of ours is a fault."""
        with closing(log.read_rows(self._connection, ranges)) as found:
            yield from self._parsed(found)

    def _parsed(self, found: Iterable[bytes]) -> Iterator[tuple[int | None, Row | None]]:
        number_of, encode, leaf_hash, parse = self._number_of, entry.encode, merkle.leaf_hash, rows.event
        for row in found:
            try:
                event = parse(row)
            except RowError:
                serial = serial_of(row)
                self.fault(f"The row of serial {serial} is no event: it has not the fields of one.")
                yield serial, None
                continue
            try:
                leaf = leaf_hash(encode(event))
                right = number_of(event.serial, event.origin, event.destination)
            except (ValueError, OverflowError) as error:
                self.fault(f"Number {event.number} (serial {event.serial}) is no event that was ever issued: {error}.")
                yield event.serial, None
                continue
            if event.number != right:
                self.fault(f"Number {event.number} stands at serial {event.serial}; expected is {right}.")
            yield event.serial, (event, leaf)

    def _check_runs(self, runs: Sequence[Run], begin: int, end: int) -> int:
        """Check the leaves from ``begin`` to ``end - 1``; returns how many rows the runs hold."""
        held = self._held(begin, end)
        leaves: list[bytes] = []
        in_runs = 0
        with closing(self.rows([(run.first_serial, run.last_serial) for run in runs])) as read:
            for run, rows_read, found in _by_run(runs, read):
                in_runs += rows_read
                start = len(leaves) * HASH_BYTES
                stored = held[start : start + run.leaves * HASH_BYTES]
                hashes = [leaf for _, leaf in found]
                if b"".join(hashes) != stored:
                    hashes = self._settle(run, align(run, found, tiles.split(stored)))
                leaves += hashes
        at = begin
        for signed in self._signed(begin, end):
            self.faulty(self.trees.extend(leaves[at - begin : signed.size - begin]))
            self.faulty(self.trees.signed(signed))
            at = signed.size
        self.faulty(self.trees.extend(leaves[at - begin :]))
        return in_runs

    def _settle(self, run: Run, found: Alignment) -> list[bytes]:
        """Say what is odd about a run, or note what a signature is to decide; returns its leaves."""
        for leaf, serials in found.lost:
            if len(serials) == 1:
                number = self._number_of(serials[0], "XX", "XX")[:11]
                self.fault(f"Leaf {leaf} has no event: serial {serials[0]}, whose number began {number}, was deleted.")
            else:
                few = f"one of the serials {serials[0]} to {serials[-1]}" if serials else "a row"
                self.fault(f"Leaf {leaf} has no event: {few} was deleted or altered.")
        for event in found.extra:
            self.fault(
                f"Number {event.number} (serial {event.serial}) is no leaf of its run, which has {run.leaves}: it was "
                "inserted or altered."
            )
        self.trees.doubt(found.suspects)
        if self.trees.in_doubt > _MOST_IN_DOUBT:
            self.fault(f"More than {_MOST_IN_DOUBT} leaves, up to {run.first_leaf}, differ from their tiles.")
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
        self.checkpoints += len(found)
        signed = [Signed(f"The checkpoint of {size} leaves", size, signature) for size, signature in found]
        signed += [each for each in self.signatures if begin < each.size <= end]
        signed += self._cosigned(begin, end)
        return sorted(signed, key=lambda each: each.size)

    def _cosigned(self, begin: int, end: int) -> Iterator[Signed]:
        """What witnesses cosigned of those sizes; a cosignature that is none of its witness is a fault."""
        found = self._connection.execute(_COSIGNED, [begin, end]).fetchall()
        for size, root, signature, witness, cosigned_at, cosignature in found:
            self.cosignatures += 1
            try:
                key = WitnessKey.parse(witness)
                key.check(Checkpoint(self._keys.of(size).name, size, root).text, Cosignature(cosigned_at, cosignature))
            except NoteError as error:
                self.fault(f"The cosignature of {size} leaves by {witness} was altered: {error}")
            yield Signed(f"The checkpoint of {size} leaves that {witness} cosigned", size, signature, root)


def _by_run(runs: Sequence[Run], rows: Iterable[tuple[int | None, Row | None]]) -> Iterator[tuple[Run, int, list[Row]]]:
    """Each run, how many of the rows are its, and those of them that are events."""
    at, count = 0, 0
    found: list[Row] = []
    for serial, row in rows:
        while serial is not None and not runs[at].first_serial <= serial <= runs[at].last_serial:
            yield runs[at], count, found
            at, count, found = at + 1, 0, []
        count += 1
        if row is not None:
            found.append(row)
    for run in runs[at:]:
        yield run, count, found
        count, found = 0, []


def _cut(run: Run, begin: int, stop: int | None) -> Run:
    """What of a run lies in a range: all of it, but for one that went on after the range was published."""
    if not run.gapless:
        return run
    skipped = max(begin - run.first_leaf, 0)
    beyond = 0 if stop is None else max(run.first_leaf + run.leaves - stop, 0)
    return Run(
        run.first_leaf + skipped, run.first_serial + skipped, run.last_serial - beyond, run.leaves - skipped - beyond
    )
