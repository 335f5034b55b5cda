"""What is known of one number: its event, its leaf, and the first checkpoint over it; two statements at most."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ledger import checkpoints, log, reading
from ledger.checkpoints import Checkpoints, Sealed
from ledger.domain import entry, merkle
from ledger.domain.entry import Event
from ledger.domain.note import VerifierKey
from ledger.log import Connection, LogError
from ledger.reading import UnknownNumberError

# OFFSET 0 keeps the leaf's index from being written out, and its events counted, wherever it is used.
_FOUND = """
    SELECT e.number, e.serial, e.customer_tag, e.customer_key_id, e.origin, e.destination, e.weight_band,
           e.order_created_at, e.requested_at, e.request_id, e.principal, p.leaf,
           substr(coalesce(t.hashes, CASE WHEN s.size >> 8 = p.leaf >> 8 THEN s.edge[1] END),
                  (p.leaf & 255)::integer * 32 + 1, 32)
      FROM tree_state s
      LEFT JOIN issuance_event e ON e.number = %s {whose}
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
      LEFT JOIN tile t ON t.level = 0 AND t.position = p.leaf >> 8"""
_ANYONES = _FOUND.format(whose="").encode()
_THEIRS = _FOUND.format(whose="AND e.customer_tag = ANY(%s)").encode()


class Found(NamedTuple):
    """A number that was issued; place and checkpoint are None as long as the leaf is not published."""

    event: Event
    entry: bytes
    leaf_hash: bytes
    leaf_index: int | None
    sealed_in: Sealed | None


def look_up(
    connection: Connection, key: VerifierKey, number: str, tags: Sequence[bytes] | None, known: Checkpoints
) -> Found:
    """All that is known of a number; the event was found to be the leaf that the log has, the checkpoint to be signed.

    Args:
        connection: to the database.
        key: the log's.
        number: of the form that ledger.domain.form.check wants.
        tags: of the customer whose numbers alone there are; None: all there are.
        known: checkpoints of the same log.

    Raises:
        UnknownNumberError: there is none.
        LogError, ValueError: event, tiles and signature don't fit together.
    """
    statement, given = (_ANYONES, [number]) if tags is None else (_THEIRS, [number, list(tags)])
    row = log.planned_once(connection, statement, given)
    if row[0] is None:
        raise UnknownNumberError
    return told(row, lambda index: checkpoints.first_over(connection, key, index, known))


def told(row: Sequence[Any], sealed: Callable[[int], Sealed], of: str = "the log") -> Found:
    """What a row tells of a number.

    Args:
        row: the event's columns, its leaf's index (None: not published), and that leaf's hash as the log has it.
        sealed: gives the first checkpoint over a leaf.
        of: which log it is, for the message.

    Raises:
        LogError, ValueError: event, tiles and signature don't fit together.
    """
    *columns, index, logged = row
    event = reading.event(columns)
    leaf = entry.encode(event)
    hashed = merkle.leaf_hash(leaf)
    if index is None:
        return Found(event, leaf, hashed, None, None)
    if hashed != logged:
        raise LogError(f"The event of {event.number} is not leaf {index} of {of}.")
    return Found(event, leaf, hashed, index, sealed(index))


def issued(connection: Connection, number: str) -> None:
    """Nothing, if a number was issued; else raises UnknownNumberError."""
    if connection.execute("SELECT FROM issuance_event WHERE number = %s", [number]).fetchone() is None:
        raise UnknownNumberError
