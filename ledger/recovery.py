"""Events put back from the published bundles after a restore: the leaves that they were, under their own serials.

Nothing is written that a signature does not cover. The leaf hashes of what is missing, from the public tiles or else
from the bundles, must give the root of the published checkpoint; then each entry must give its leaf hash, be an event,
and have the number of its serial. What is put back is committed part by part, each a tree that the log could have had.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import batched
from typing import NamedTuple

from ledger import bundles, log, rows
from ledger.bundles import Bundle
from ledger.domain import entry, sealing, tiles
from ledger.domain.entry import Event
from ledger.domain.merkle import HASH_BYTES
from ledger.domain.note import Checkpoint
from ledger.domain.sealing import Cursor, Run
from ledger.domain.serial import block_of, last_serial
from ledger.domain.tiles import WIDTH, Tile
from ledger.growing import Growing
from ledger.log import Connection, State
from ledger.publication import Publication

_BUNDLES_AT_ONCE = 256
"""Put back in one transaction: 65,536 events."""
_RANGES_AT_ONCE = 2_000
_COPY = f"COPY issuance_event ({rows.COLUMNS}) FROM STDIN (FORMAT BINARY)"
_CURSORS = "SELECT block, last_serial, closed FROM block_cursor WHERE block = ANY(%s)"

type NumberOf = Callable[[int, str, str], str]
"""The number of a serial, an origin and a destination."""
type Told = Callable[[int, int], None]
"""Is told how many leaves of how many are done."""


class RecoveryError(Exception):
    """The events can't be put back as they were; the message says why, and what to do."""


class Salvaged(NamedTuple):
    """What was put back of a log that can't go on, how many leaves were not, and what was wrong with their bundles."""

    events: int
    lost: int
    faults: list[str]


class Restoration:
    """What a database lacks of the published log, and how it gets it; for whoever has the sealers' lock."""

    def __init__(
        self, connection: Connection, place: Publication, outside: Checkpoint, number_of: NumberOf, highest_block: int
    ) -> None:
        """Compare the two.

        Args:
            connection: in autocommit, in the owner's role.
            place: where the log is published.
            outside: its checkpoint there; the signature was found to be good.
            number_of: gives the numbers that serials and routes should have.
            highest_block: the fence's: none above it can have been used.

        Raises:
            ledger.log.LogError: the log's tables contradict each other.
        """
        self._connection = connection
        self._place = place
        self._outside = outside
        self._number_of = number_of
        self._highest_block = highest_block
        self._state: State = log.read_state(connection)
        self._growing = Growing(connection, self._state)

    @property
    def begin(self) -> int:
        """The first leaf that is missing."""
        return self._growing.size

    @property
    def missing(self) -> int:
        """How many leaves were published, and are not in the database's log."""
        return max(self._outside.size - self.begin, 0)

    def check(self, told: Told) -> None:
        """Read all that is missing, and write nothing.

        Raises:
            RecoveryError: it can't be put back.
            ledger.publication.PublicationError: it can't be read.
        """
        for bundle, mark in self._bundles(self._marks()):
            self._events(_fitting(bundle, mark))
            told(_end(bundle.tile) - self.begin, self.missing)

    def put_back(self, told: Told) -> int:
        """Put it back; returns how many events the database did not have. Raises as ``check`` does."""
        events, begin, missing = 0, self.begin, self.missing
        for some in batched(self._bundles(self._marks()), _BUNDLES_AT_ONCE):
            # Reading may take its time; the transaction takes as long as writing does.
            fitting = [_fitting(bundle, mark) for bundle, mark in some]
            with self._connection.transaction():
                events += self._append(fitting)
            told(self.begin - begin, missing)
        return events

    def salvage(self, told: Told) -> Salvaged:
        """Put back what there is of a log that ends here, as events that a new log takes up.

        Raises:
            RecoveryError: the public tiles, too, are gone or not what was signed, so no bundle can be believed.
            ledger.publication.PublicationError: something can't be read.
        """
        marks = self._authentic(bundles.read_hashes(self._place, self._tiles))
        if marks is None:
            raise RecoveryError(
                f"The tiles in {self._place} do not give the root that was signed, so none of its bundles can be "
                "believed. Put the tiles back from a copy, or leave this publication out: what it had is lost."
            )
        events, lost, faults = 0, 0, []
        for some in batched(self._bundles(marks), _BUNDLES_AT_ONCE):
            fitting = []
            for bundle, mark in some:
                try:
                    fitting.append(_fitting(bundle, mark))
                except RecoveryError as error:
                    lost += len(range(max(bundle.tile.position * WIDTH, self.begin), _end(bundle.tile)))
                    faults.append(str(error))
            with self._connection.transaction():
                events += self._insert([event for bundle in fitting for event in self._events(bundle)])
            told(_end(some[-1][0].tile) - self.begin, self.missing)
        return Salvaged(events, lost, faults)

    @property
    def _tiles(self) -> list[Tile]:
        return bundles.of_leaves(self.begin, self._outside.size)

    def _bundles(self, marks: Sequence[bytes]) -> Iterator[tuple[Bundle, bytes]]:
        return zip(bundles.read(self._place, self._tiles), marks, strict=True)

    def _marks(self) -> list[bytes]:
        """What the leaf hashes of each missing tile must be, as a signature has it: their SHA-256.

        Of a thousand million leaves these take 128 MB, and the hashes themselves would take 32 GB.
        """
        public = bundles.read_hashes(self._place, self._tiles)
        private = (bundle.hashes or None for bundle in bundles.read(self._place, self._tiles))
        for hashes in (public, private):
            if (marks := self._authentic(hashes)) is not None:
                return marks
        raise RecoveryError(
            f"What {self._place} has of the leaves {self.begin} to {self._outside.size - 1} does not give the root "
            "that was signed: it is damaged, or this database is of another history. Put the tiles or the bundles back "
            "from a copy, or restore another backup. If both are gone for good, a new log can begin: --new-log."
        )

    def _authentic(self, found: Iterable[bytes | None]) -> list[bytes] | None:
        """The SHA-256 of each tile's hashes, if they are those that were signed."""
        growth = self._growing.copy()
        known = growth.size % WIDTH * HASH_BYTES
        marks = []
        for hashes in found:
            if hashes is None or (known and hashes[:known] != growth.edge[0]):
                return None
            growth.extend(tiles.split(hashes[known:]))
            marks.append(sha256(hashes).digest())
            known = 0
        return marks if growth.root == self._outside.root else None

    def _append(self, fitting: list[Bundle]) -> int:
        """Make the next leaves of some bundles; returns how many events the database did not have."""
        begin, first = self.begin, fitting[0].tile.position * WIDTH
        events = [event for bundle in fitting for event in self._events(bundle)]
        runs = sealing.published_runs(begin, [event.serial for event in events])
        inserted = self._insert(events, runs)
        hashes = tiles.split(b"".join(bundle.hashes for bundle in fitting)[(begin - first) * HASH_BYTES :])
        self._growing.append(hashes, runs, self._cursors(runs), self._state.closed_below)
        if self._growing.size == self._outside.size and self._growing.root != self._outside.root:
            raise RecoveryError("The root of what was put back is not the published one.")
        return inserted

    def _events(self, bundle: Bundle) -> list[Event]:
        """The events of a bundle that are missing in the log, each what its number says."""
        found = []
        first = bundle.tile.position * WIDTH
        for leaf, (serial, data) in enumerate(bundle.leaves, first):
            if leaf < self.begin:
                continue
            try:
                event = entry.decode(data, serial)
                right = self._number_of(serial, event.origin, event.destination)
            except ValueError as error:
                raise RecoveryError(f"Leaf {leaf}: {error}") from None
            if event.number != right:
                raise RecoveryError(
                    f"Leaf {leaf} is number {event.number}, which is not that of serial {serial}. Correct NUMBER_KEY, "
                    "or put the bundle back from a copy: the serial beside the entry was altered."
                )
            if block_of(serial) > self._highest_block:
                raise RecoveryError(
                    f"Number {event.number} is of block {block_of(serial)}, but the fence stands at "
                    f"{self._highest_block}: it was set back, too. Put a newer one back, or say above which block "
                    "nothing can have been issued: --above."
                )
            found.append(event)
        return found

    def _insert(self, events: list[Event], runs: Iterable[Run] | None = None) -> int:
        """Insert the events that are not there; the others must be the same ones."""
        missing = {event.serial: event for event in events}
        spans = [(event.serial, event.serial) for event in events] if runs is None else [run[1:3] for run in runs]
        for ranges in batched(spans, _RANGES_AT_ONCE):
            for present in log.read_events(self._connection, ranges):
                if missing.pop(present.serial, None) != present:
                    raise RecoveryError(
                        f"Number {present.number} (serial {present.serial}) is in the database, and is not what was "
                        "published of that serial: it was altered, or this is another history. Restore another backup."
                    )
        if missing:
            with self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                copy.write(rows.stream(missing.values()))
        return len(missing)

    def _cursors(self, runs: Sequence[Run]) -> list[Cursor]:
        """How the blocks' cursors move over runs."""
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for run in runs:
            block = block_of(run.first_serial)
            first.setdefault(block, run.first_serial)
            last[block] = run.last_serial
        for block, stands, closed in self._connection.execute(_CURSORS, [list(first)]):
            if closed or stands >= first[block]:
                raise RecoveryError(
                    f"Serial {first[block]} was published, but the database's log is past it in block {block}: it is "
                    "of another history. Restore another backup."
                )
        return [Cursor(block, serial, serial == last_serial(block)) for block, serial in last.items()]


def _end(tile: Tile) -> int:
    return tile.position * WIDTH + tile.width


def _fitting(bundle: Bundle, mark: bytes) -> Bundle:
    """The bundle, if its entries are the leaves that were signed."""
    end = _end(bundle.tile)
    where = f"leaves {end - bundle.tile.width} to {end - 1}"
    advice = "Put it back from a copy. If it is gone for good, a new log can begin: --new-log."
    if bundle.lacking is not None:
        raise RecoveryError(f"The bundle of {where}, {bundle.lacking}. {advice}")
    if sha256(bundle.hashes).digest() != mark:
        raise RecoveryError(f"The bundle of {where} holds other entries than were signed: it was altered. {advice}")
    return bundle
