"""Numbers of all shards, as ledger.lookup and ledger.reading know them of one database; one shard is asked for each."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Final

from ledger import checkpoints, log, lookup, reading, shards
from ledger.checkpoints import Checkpoints, Sealed
from ledger.domain.note import VerifierKey
from ledger.domain.serial import shard_of
from ledger.domain.tiles import Place, Tile
from ledger.log import Connection, Interiors, LogError
from ledger.lookup import Found
from ledger.reading import Published, UnknownNumberError
from ledger.rows import COLUMNS

_LEAF: Final = f"""
    SELECT {COLUMNS}, CASE WHEN leaf_index < published_size THEN leaf_index END, leaf_hash
      FROM shard_leaf WHERE number = %s AND serial = %s"""  # noqa: S608  # constants
_THEIRS: Final = f"{_LEAF} AND customer_tag = ANY(%s)"
_SEALED: Final = b"SELECT size, signature, first_leaf, hashes FROM shard_sealed WHERE serial = %s"
_PROOF: Final = f"""
    SELECT {COLUMNS}, leaf_index, tile, published_size, published_root, published_signature
      FROM shard_leaf WHERE number = %s AND serial = %s""".encode()  # noqa: S608  # constants
_ISSUED: Final = b"SELECT FROM shard_leaf WHERE number = %s AND serial = %s"

_CHECKPOINTS: Final = defaultdict[int, Checkpoints](Checkpoints)
_INTERIORS: Final = defaultdict[int, Interiors](Interiors)
"""By shard: each has a log of its own."""


def look_up(connection: Connection, number: str, tags: Sequence[bytes] | None) -> Found:
    """All that is known of a number; raises as ``ledger.lookup.look_up`` does."""
    serial, key = _place(number)
    statement, given = (_LEAF, [number, serial]) if tags is None else (_THEIRS, [number, serial, list(tags)])
    row = log.planned(connection, statement.encode(), given)
    if row is None:
        raise UnknownNumberError
    return lookup.told(row, partial(_sealed, connection, key, serial), f"the log of shard {shard_of(serial)}")


def inclusion(connection: Connection, number: str) -> str:
    """The proof that a number's event is in the log of its shard; raises as ``ledger.reading.inclusion`` does."""
    serial, key = _place(number)
    row = log.planned(connection, _PROOF, [number, serial])
    if row is None:
        raise UnknownNumberError
    *columns, index, tile, size, root, signature = row
    shard = shard_of(serial)
    return reading.proven(
        *(key, reading.event(columns), index, tile, Published(size, root, signature)),
        read=partial(_tiles, connection, shard),
        known=_INTERIORS[shard],
    )


def issued(connection: Connection, number: str) -> None:
    """Nothing, if a number was issued; else raises UnknownNumberError."""
    serial, _ = _place(number)
    if log.planned(connection, _ISSUED, [number, serial]) is None:
        raise UnknownNumberError


def _place(number: str) -> tuple[int, VerifierKey]:
    place = shards.place_of(number)
    if place is None:
        raise UnknownNumberError
    return place


def _sealed(connection: Connection, key: VerifierKey, serial: int, index: int) -> Sealed:
    """The first checkpoint over a leaf."""
    known = _CHECKPOINTS[shard_of(serial)]
    if (found := known.get(index)) is not None:
        return found
    row = log.planned(connection, _SEALED, [serial])
    if row is None:
        raise LogError(f"The event of serial {serial} was there, and is gone.")
    return checkpoints.verified(key, index, row, known)


def _tiles(connection: Connection, shard: int, wanted: Sequence[Tile]) -> dict[Place, bytes]:
    """Tiles by their places, in one statement; raises as ``ledger.log.found_tiles`` does."""
    if not wanted:
        return {}
    places = ", ".join(f"({tile.level}, {tile.position})" for tile in wanted)
    query = f"SELECT level, position, hashes FROM shard_tile WHERE shard = {shard} AND (level, position) IN ({places})"  # noqa: S608  # integers
    found = {(level, position): hashes for level, position, hashes in connection.execute(query.encode())}
    return log.found_tiles(wanted, ((*tile.place, found.get((tile.level, tile.position))) for tile in wanted))
