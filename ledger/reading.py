"""What is asked of the log from outside: proofs, the checkpoint, tiles, bundles; three statements each at most."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, NamedTuple

from uuid_utils import UUID

from ledger import log
from ledger.domain import bundle, entry, merkle, note, proof, tiles
from ledger.domain.entry import Event
from ledger.domain.merkle import ProofError
from ledger.domain.note import Checkpoint, NoteError, VerifierKey
from ledger.domain.proof import Proof
from ledger.domain.tiles import ENTRIES, WIDTH, Place, Tile
from ledger.log import Connection, Interiors, LogError

# One statement: the event, its run, how many of the run come before it if it has gaps, the published tree, and the
# tile that holds the leaf's hash: of all that a proof needs, this alone differs from leaf to leaf.
_LEAF = b"""
    SELECT e.number, e.serial, e.customer_tag, e.customer_key_id, e.origin, e.destination, e.weight_band,
           e.order_created_at, e.requested_at, e.request_id, e.principal,
           leaf.index, coalesce(t.hashes, CASE WHEN s.size >> 8 = leaf.index >> 8 THEN s.edge[1] END),
           s.published_size, s.published_root, s.published_signature
      FROM tree_state s
      LEFT JOIN issuance_event e ON e.number = %s
      LEFT JOIN LATERAL (SELECT first_leaf, first_serial, last_serial, leaves FROM run
                          WHERE first_serial <= e.serial ORDER BY first_serial DESC LIMIT 1) r
             ON r.last_serial >= e.serial
      LEFT JOIN LATERAL (SELECT r.first_leaf + CASE
               WHEN r.leaves = r.last_serial - r.first_serial + 1 THEN e.serial - r.first_serial
               ELSE (SELECT count(*) FROM issuance_event b WHERE b.serial >= r.first_serial AND b.serial < e.serial)
           END AS index) leaf ON true
      LEFT JOIN tile t ON t.level = 0 AND t.position = leaf.index >> 8"""
_PUBLISHED = b"SELECT published_size, published_root, published_signature FROM tree_state"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnknownNumberError(Exception):
    """No such number was ever issued."""


class NotSealedError(Exception):
    """The number was issued a moment ago: its event is durable, and not in the published tree yet."""


class BeyondTreeError(Exception):
    """The published tree has no such checkpoint, tile or bundle yet."""


class Published(NamedTuple):
    """What is published of the tree; the signature is None as long as nothing is."""

    size: int
    root: bytes
    signature: bytes | None
    cosignatures: str = ""
    """The witnesses' signature lines."""


def checkpoint(connection: Connection, key: VerifierKey) -> tuple[Checkpoint, str]:
    """The published checkpoint, and its signed note.

    Raises:
        BeyondTreeError: nothing is published yet.
        LogError: what the database has is not signed by the log's key.
    """
    return _published(key, *log.planned_once(connection, _PUBLISHED, ()))


def inclusion(
    connection: Connection,
    key: VerifierKey,
    number: str,
    known: Interiors,
    witnessed: Published | None = None,
) -> str:
    """The proof that a number's event is in the log (c2sp.org/tlog-proof@v1); it was verified.

    Args:
        connection: to the database.
        key: the log's.
        number: of the form that ledger.domain.form.check wants.
        known: tiles of the same log; where they turn out not to be, they are let go of, and the next proof is made
            anew.
        witnessed: an earlier published tree that has cosignatures: what it holds is proven to be in that one.

    Raises:
        UnknownNumberError, NotSealedError: there is none, or not yet.
        LogError: event, tiles and signature don't fit together.
    """
    *columns, index, tile, size, root, signature = log.planned_once(connection, _LEAF, (number,))
    if columns[0] is None:
        raise UnknownNumberError
    published = Published(size, root, signature)
    if witnessed is not None and index is not None and index < witnessed.size <= size:
        published = witnessed
    return proven(
        *(key, event(columns), index, tile, published),
        read=partial(log.read_tiles, connection),
        known=known,
    )


def proven(
    key: VerifierKey,
    issued: Event,
    index: int | None,
    tile: bytes | None,
    published: Published,
    *,
    read: Callable[[Sequence[Tile]], dict[Place, bytes]],
    known: Interiors,
) -> str:
    """The same of what was read: an event, its leaf, the tile that has it, the published tree; ``read`` reads more.

    Raises:
        NotSealedError, LogError: as ``inclusion`` does.
    """
    size, root, signature, cosignatures = published
    if index is None or index >= size:
        raise NotSealedError
    path = merkle.inclusion_path(index, size)
    hashes = log.read_hashes(read, path, size, {Place(0, index // WIDTH): tile or b""}, known)
    tree, text = _published(key, size, root, signature)
    try:
        merkle.verify_inclusion(index, size, merkle.leaf_hash(entry.encode(issued)), hashes, tree.root)
    except ProofError as error:
        known.clear()
        raise LogError(f"The event of {issued.number} is not leaf {index} of the tree that was signed.") from error
    return proof.write(Proof(index, hashes, text + cosignatures))


def tile(connection: Connection, wanted: Tile) -> bytes:
    """A tile's hashes, or a bundle's entries, as far as they are published.

    Raises:
        BeyondTreeError: the published tree does not have it.
        LogError: the tables don't fit together.
    """
    size = log.planned_once(connection, _PUBLISHED, ())[0]
    if tiles.width(wanted.level, wanted.position, size) < wanted.width:
        raise BeyondTreeError
    if wanted.level != ENTRIES:
        return log.read_tiles(connection, [wanted])[wanted.place]
    begin = wanted.position * WIDTH
    return bundle.write(map(entry.encode, log.read_leaves(connection, begin, begin + wanted.width)))


def verified(key: VerifierKey, size: int, root: bytes, signature: bytes) -> tuple[Checkpoint, str]:
    """A checkpoint and its signed note; LogError where the log's key did not sign it."""
    tree = Checkpoint(key.name, size, root)
    try:
        key.verify(tree.text, signature)
    except NoteError as error:
        raise LogError(f"The checkpoint of {size} leaves is not one of LEDGER_KEY's: {error}") from error
    return tree, note.write(tree, key, signature)


@lru_cache(16)  # between two ticks it is always the same
def _published(key: VerifierKey, size: int, root: bytes, signature: bytes | None) -> tuple[Checkpoint, str]:
    if signature is None:
        raise BeyondTreeError
    return verified(key, size, root, signature)


def event(columns: Sequence[Any]) -> Event:
    """The event of a row: its columns in the order of Event's fields, as psycopg loads them."""
    number, serial, tag, key_id, origin, destination, band, ordered, requested, request_id, principal = columns
    return Event(
        *(number, serial, tag, key_id, origin, destination, band),
        _microseconds(ordered),
        _microseconds(requested),
        UUID(bytes=request_id.bytes),
        principal,
    )


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
