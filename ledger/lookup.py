"""What is known of one number: its event, its leaf, and the first checkpoint over it; two statements at most."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

from ledger import log, reading
from ledger.domain import entry, merkle
from ledger.domain.entry import Event
from ledger.domain.merkle import Range
from ledger.domain.note import VerifierKey
from ledger.log import Connection, LogError, Nodes
from ledger.reading import UnknownNumberError

_WINDOWS = (1_024, 16_384, 131_072)
"""Leaves after an event's within which its checkpoint is looked for, one after the other.

A checkpoint adds a thousand leaves at most where there are less than 4,000 issuances a second. The last window holds
the most that a sealer's tick takes.
"""
_WITHIN = """
                   (SELECT size, signature FROM checkpoint
                     WHERE size > p.leaf AND size <= {end} AND size <= s.published_size ORDER BY size LIMIT 1)"""
_FIRST_CHECKPOINT = "\n                    UNION ALL".join(
    _WITHIN.format(end=end) for end in (*(f"p.leaf + {window}" for window in _WINDOWS), "s.published_size")
)
"""``size`` has but a block range index, so `size > leaf ORDER BY size` would read every later checkpoint there is.

A window costs as much as it holds, and is opened only if those before it are empty; each begins at the leaf, so the
answer is the same whichever gives it.
"""
# OFFSET 0 keeps the leaf's index from being written out, and its events counted, wherever it is used.
_FOUND = f"""
    SELECT e.number, e.serial, e.customer_tag, e.customer_key_id, e.origin, e.destination, e.weight_band,
           e.order_created_at, e.requested_at, e.request_id, e.principal, p.leaf,
           substr(coalesce(t.hashes, CASE WHEN s.size >> 8 = p.leaf >> 8 THEN s.edge[1] END),
                  (p.leaf & 255)::integer * 32 + 1, 32),
           s.published_size, s.published_root, c.size, c.signature
      FROM tree_state s
      LEFT JOIN issuance_event e ON e.number = %s {{whose}}
      LEFT JOIN LATERAL (SELECT first_leaf, first_serial, last_serial, leaves FROM run
                          WHERE first_serial <= e.serial ORDER BY first_serial DESC LIMIT 1) r
             ON r.last_serial >= e.serial
      LEFT JOIN LATERAL (
           SELECT r.first_leaf + CASE
                      WHEN r.leaves = r.last_serial - r.first_serial + 1 THEN e.serial - r.first_serial
                      ELSE (SELECT count(*) FROM issuance_event b
                             WHERE b.serial >= r.first_serial AND b.serial < e.serial)
                  END AS leaf OFFSET 0) p
             ON p.leaf < s.published_size
      LEFT JOIN tile t ON t.level = 0 AND t.position = p.leaf >> 8
      LEFT JOIN LATERAL ({_FIRST_CHECKPOINT}
                    LIMIT 1) c ON true"""  # noqa: S608  # constants
_ANYONES = _FOUND.format(whose="").encode()
_THEIRS = _FOUND.format(whose="AND e.customer_tag = ANY(%s)").encode()


class Sealed(NamedTuple):
    """The first published checkpoint whose tree has a leaf."""

    size: int
    checkpoint: str
    """The signed note."""


class Found(NamedTuple):
    """A number that was issued; place and checkpoint are None as long as the leaf is not published."""

    event: Event
    entry: bytes
    leaf_hash: bytes
    leaf_index: int | None
    sealed_in: Sealed | None


class Notes:
    """Signed notes of old checkpoints, as far as they were needed lately; for any number of threads."""

    def __init__(self, most: int = 4_096) -> None:
        self._most = most
        self._held: OrderedDict[tuple[int, bytes], str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, size: int, signature: bytes) -> str | None:
        """The note of a checkpoint, if it is held: then the signature was found to be good."""
        with self._lock:
            found = self._held.get((size, signature))
            if found is not None:
                self._held.move_to_end((size, signature))
        return found

    def put(self, size: int, signature: bytes, note: str) -> None:
        """Hold one more, and let go of what was not needed for longest."""
        with self._lock:
            self._held[size, signature] = note
            if len(self._held) > self._most:
                self._held.popitem(last=False)


def look_up(
    connection: Connection,
    key: VerifierKey,
    number: str,
    tags: Sequence[bytes] | None,
    *,
    known: Nodes,
    notes: Notes,
) -> Found:
    """All that is known of a number; the event was found to be the leaf that the log has, the checkpoint to be signed.

    Args:
        connection: to the database.
        key: the log's.
        number: of the form that ledger.domain.form.check wants.
        tags: of the customer whose numbers alone there are; None: all there are.
        known: hashes of this log, let go of where they turn out to be another's.
        notes: signed by this key.

    Raises:
        UnknownNumberError: there is none.
        LogError: event, tiles and signature don't fit together.
    """
    statement, given = (_ANYONES, [number]) if tags is None else (_THEIRS, [number, list(tags)])
    row = _planned_once(connection, statement, given)
    if row is None:
        raise LogError("The table tree_state has no row.")
    *columns, index, logged, published, root, size, signature = row
    if columns[0] is None:
        raise UnknownNumberError
    event = reading.event(columns)
    leaf = entry.encode(event)
    hashed = merkle.leaf_hash(leaf)
    if index is None:
        return Found(event, leaf, hashed, None, None)
    if hashed != logged:
        raise LogError(f"The event of {number} is not leaf {index} of the log.")
    if size is None:
        raise LogError(f"No checkpoint of {index + 1} leaves or more is there, though {published} are published.")
    note = notes.get(size, signature)
    if note is None:
        if size != published:
            (root,) = log.read_hashes(connection, [Range(0, size)], size, known)
        try:
            _, note = reading.verified(key, size, root, signature)
        except LogError:
            known.clear()
            raise
        notes.put(size, signature, note)
    return Found(event, leaf, hashed, index, Sealed(size, note))


def issued(connection: Connection, number: str) -> None:
    """Nothing, if a number was issued; else raises UnknownNumberError."""
    if connection.execute("SELECT FROM issuance_event WHERE number = %s", [number]).fetchone() is None:
        raise UnknownNumberError


def _planned_once(connection: Connection, statement: bytes, given: list[Any]) -> tuple[Any, ...] | None:
    """One row of a statement that each session plans but once: the plan of the look-up costs four times its execution.

    Django's own cursors prepare nothing. Where the session's prepare_threshold is None, neither does this.
    """
    cursor: psycopg.Cursor[tuple[Any, ...]] = psycopg.Cursor(connection)
    return cursor.execute(statement, given, prepare=True).fetchone()
