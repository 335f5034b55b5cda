"""The sealer: appends events to the log, signs what it has committed, and only then lets it be served.

The order of a tick is what keeps anything served from being contradicted later: commit, copy outside the database,
sign, move the outside checkpoint forward, record. It may be killed between any two; the next start goes on there.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import batched

from ledger import guard, log, publication
from ledger.domain import entry, merkle, note, sealing, tiles
from ledger.domain.entry import Event
from ledger.domain.note import Checkpoint, NoteError, SignerKey
from ledger.domain.sealing import Cursor, Lease, OpenBlocks
from ledger.domain.serial import block_of
from ledger.domain.tiles import WIDTH, Place, Tile
from ledger.growing import Growing
from ledger.publication import Publication, PublicationError
from ledger.rows import RowError
from ledger.succession import keys
from ledger.writers import LOCKED

MOST_EVENTS = 65_536
"""Events of one tick, roughly: some seconds' worth after an outage, so that a tick stays short."""
_BLOCKS_AT_ONCE = 64


logger = logging.getLogger(__name__)


class WrongKeyError(Exception):
    """LEDGER_KEY is not the key that this log is signed with."""


class Sealer:
    """One active sealer, for as long as its session holds the sealers' lock; after any error a new one is made."""

    def __init__(self, connection: log.Connection, key: SignerKey, place: Publication, first_block: int) -> None:
        """Take up the work where the database and the publication say that it was left.

        Args:
            connection: in autocommit, with the sealers' lock and role; its transactions are REPEATABLE READ.
            key: the log's.
            place: where the log is published.
            first_block: the id of the shard's first block.

        Raises:
            WrongKeyError: the log is signed with another key.
            RestoredError: the database contradicts what was published.
            PublicationError: the publication can't be read, or is gone.
            NotDurableError: what is to be published may not have reached the standby.
            LogError, RowError: the log's tables contradict each other, or an event is none.
        """
        self._connection = connection
        self._key = key
        self._place = place
        state = log.read_state(connection)
        self._check_key(state)
        self._growing = Growing(connection, state)
        self._log_begin = state.log_begin
        self._published = state.published_size
        self._outside = self._agree(state)
        if self._published < state.size:
            self._commit_again()
        self._full: dict[Place, bytes] = {}
        self._copied: list[Tile] = []  # the partial tiles that we have copied
        self._tail: list[bytes] = []  # lines of the partial bundle at the published size, and all after it
        self._copy_again(state.size)
        self._load(self._published, state.size)
        self._blocks = OpenBlocks(max(first_block, state.closed_below))
        self._discover(
            {
                block: Cursor(block, last, closed)
                for block, last, closed in connection.execute(
                    "SELECT block, last_serial, closed FROM block_cursor WHERE block >= %s", [self._blocks.floor]
                )
            }
        )

    @property
    def size(self) -> int:
        """Leaves committed."""
        return self._growing.size

    def tick(self) -> int:
        """Append what has become visible, and publish; returns the number of events appended.

        Raises:
            PublicationError: it can't be published; what is committed stays, and is published later.
            NotDurableError: the commit may not have reached the standby.
            psycopg.Error, LogError, RowError: the database failed, or contradicts itself.
        """
        # What could not be published before comes first: a place that is full for a day must not fill our memory.
        self._publish()
        gone = self._gone()
        with self._snapshot():
            self._discover({})
            events, read = self._read()
            self._append(events, gone, read)
        self._publish()
        return len(events)

    def behind(self, appended: int) -> bool:
        """Whether a tick that appended so many events left some for the next one."""
        return appended >= MOST_EVENTS

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """One transaction that sees one moment; its commit is durable before anything is signed."""
        warnings: list[str] = []

        def warned(diagnostic: "log.Diagnostic") -> None:
            if diagnostic.severity_nonlocalized == "WARNING":
                warnings.append(diagnostic.message_primary or "")

        self._connection.add_notice_handler(warned)
        try:
            with self._connection.transaction():
                yield
        finally:
            self._connection.remove_notice_handler(warned)
        if warnings:
            # A commit whose wait for the standby was cancelled: visible here, and perhaps lost in a failover.
            raise log.NotDurableError("; ".join(warnings))

    def _commit_again(self) -> None:
        """Make durable what another session committed, and perhaps did not live to see confirmed by the standby.

        A commit waits for all that was written before it; without this one, a failover could lose what is signed.
        """
        with self._snapshot():
            self._connection.execute("UPDATE tree_state SET size = size")

    def _gone(self) -> set[int]:
        """The writers of open blocks whose sessions have ended."""
        return self._blocks.writers - {writer for (writer,) in self._connection.execute(LOCKED)}

    def _discover(self, cursors: dict[int, Cursor]) -> None:
        leases = self._connection.execute(
            "SELECT id, writer FROM number_block WHERE id >= %s ORDER BY id", [self._blocks.known_below]
        )
        self._blocks.add((Lease(block, writer) for block, writer in leases), cursors)

    def _read(self) -> tuple[list[Event], list[int]]:
        """The events above the cursors, in serial order, and the blocks that were read."""
        events: list[Event] = []
        read: list[int] = []
        for ranges in batched(self._blocks.unread, _BLOCKS_AT_ONCE):
            events.extend(log.read_events(self._connection, ranges))
            read.extend(block_of(last) for _, last in ranges)
            if len(events) >= MOST_EVENTS:
                break
        return events, read

    def _append(self, events: list[Event], gone: set[int], read: list[int]) -> None:
        first_leaf = self._growing.size
        runs = sealing.runs(first_leaf, [event.serial for event in events])
        cursors = self._blocks.seal(runs, gone, read)
        if not cursors:
            return
        entries = [_leaf(event) for event in events]
        full = self._growing.append(map(merkle.leaf_hash, entries), runs, cursors, self._blocks.floor)
        self._tail.extend(map(publication.line, events, entries))
        self._full.update(full)

    def _publish(self) -> None:
        # A new log begins with a leaf that the one before it has not signed: a size has one checkpoint.
        if self._growing.size <= max(self._published, self._log_begin):
            return
        checkpoint = Checkpoint(self._key.verifier.name, self._growing.size, self._growing.root)
        self._copy(checkpoint.size)
        signature = self._sign(checkpoint)
        self._move_outside(note.write(checkpoint, self._key.verifier, signature))
        before = self._published
        self._record(checkpoint, signature)
        self._forget(before)

    def _copy(self, size: int) -> None:
        """Put outside the database what the tree of ``size`` leaves needs and the published one had not."""
        edge = self._growing.edge
        growing = tiles.growing(size)
        changed = {publication.tile_name(tile): edge[tile.level] for tile in growing if tile not in self._copied}
        self._write(self._lasting() | changed)
        self._copied = growing

    def _lasting(self) -> dict[str, bytes]:
        """The full tiles and the bundles that are not published."""
        objects = {publication.tile_name(Tile(*place)): hashes for place, hashes in self._full.items()}
        first = self._published // WIDTH
        for position, lines in enumerate(batched(self._tail, WIDTH), first):
            objects[publication.entries_name(Tile(0, position, len(lines)))] = publication.compress(lines)
        return objects

    def _copy_again(self, size: int) -> None:
        """Copy part by part what an outside lacks that was put back from an old copy: memory would not hold it all."""
        while size - self._published > MOST_EVENTS:
            end = (self._published + MOST_EVENTS) // WIDTH * WIDTH
            self._load(self._published, end)
            self._write(self._lasting())
            self._published = end

    def _write(self, objects: dict[str, bytes]) -> None:
        """Write objects in parts, and say a word to the server after each: it ends a session that has hung."""
        for part in batched(objects.items(), self._place.at_once):
            self._place.write(dict(part))
            self._connection.execute("SELECT 1")

    def _sign(self, checkpoint: Checkpoint) -> bytes:
        return self._key.sign(checkpoint.text)

    def _move_outside(self, text: str) -> None:
        self._place.replace_checkpoint(self._outside, text)
        self._outside = text

    def _record(self, checkpoint: Checkpoint, signature: bytes) -> None:
        """Mark it published; from here on it is served."""
        with self._connection.transaction():
            self._connection.execute(
                "INSERT INTO checkpoint (size, signature) SELECT %s, %b FROM tree_state WHERE published_size < %s",
                [checkpoint.size, signature, checkpoint.size],
            )
            self._connection.execute(
                "UPDATE tree_state SET published_size = %s, published_root = %b, published_signature = %b",
                [checkpoint.size, checkpoint.root, signature],
            )
        self._published = checkpoint.size

    def _forget(self, before: int) -> None:
        """Let go of what is published, and of the partial tiles that only checkpoints up to ``before`` needed."""
        done = self._published // WIDTH * WIDTH - before // WIDTH * WIDTH
        del self._tail[:done]
        self._full.clear()
        kept = {tile.place: tile for tile in tiles.growing(self._published)}
        for old in tiles.growing(before):
            self._place.remove_partials(old.place, kept.get(old.place))

    def _check_key(self, state: log.State) -> None:
        if keys(self._connection, self._key.verifier).over:
            raise WrongKeyError(
                f"The log {self._key.verifier.name} has ended, and LEDGER_KEY is its key: it would go on beside its "
                "successor. Set the successor's key; `manage.py verify_ledger` tells when and why it ended."
            )
        if state.published_signature is None:
            return
        checkpoint = state.published(self._key.verifier.name)
        try:
            self._key.verifier.verify(checkpoint.text, state.published_signature)
        except NoteError:
            raise WrongKeyError(
                f"The log was not signed with LEDGER_KEY ({self._key.verifier}), or its last checkpoint was altered. "
                "Put the old key back; `manage.py verify_ledger` tells whether something was altered."
            ) from None

    def _agree(self, state: log.State) -> str | None:
        """Compare with the outside, and return its checkpoint.

        What was published and not recorded is recorded; what the outside lacks (it was put back from a copy, say)
        counts as not published, and goes there again.
        """
        found = guard.published(self._place, self._key.verifier)
        if found is None:
            if state.published_size:
                raise PublicationError(guard.lost(self._place, state.published_size))
            return None
        text, outside, signature = found
        guard.check(outside, self._connection, state.size)
        if outside.size > state.published_size:
            self._record(outside, signature)
        elif outside.size < state.published_size:
            logger.warning(
                "%s has %s of %s leaves; the rest is copied.", self._place, outside.size, state.published_size
            )
            self._published = outside.size
        return text

    def _load(self, published: int, size: int) -> None:
        """Bring back what was committed and not published yet."""
        begin = published // WIDTH * WIDTH
        if begin < size:
            events = log.read_leaves(self._connection, begin, size)
            self._tail = [publication.line(event, _leaf(event)) for event in events]
        level = 0
        wanted = []
        while size >> 8 * (level + 1):
            wanted += [Tile(level, at) for at in range(published >> 8 * (level + 1), size >> 8 * (level + 1))]
            level += 1
        self._full = log.read_tiles(self._connection, wanted)


def _leaf(event: Event) -> bytes:
    """The leaf bytes of an event; RowError where it has none, since no writer of ours has written it."""
    try:
        return entry.encode(event)
    except (ValueError, OverflowError) as error:
        raise RowError(f"Number {event.number} (serial {event.serial}) can't be a leaf: {error}.") from error
