"""The private bundles of a publication, read again: which entry is which leaf, and the serial that it does not hold."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ledger import publication
from ledger.domain import merkle, tiles
from ledger.domain.merkle import HASH_BYTES
from ledger.domain.tiles import WIDTH, Tile
from ledger.publication import Publication

_AT_ONCE = 256
"""Bundles asked for together."""
_TRIES = 3


class Leaf(NamedTuple):
    """A published leaf, as it is kept."""

    serial: int
    entry: bytes


class Bundle(NamedTuple):
    """A tile of leaves from the publication.

    Attributes:
        tile: the one at level 0 that has their hashes.
        leaves: as many as the tile is wide; empty where ``lacking`` says why they can't be had.
        hashes: of the leaves, one after the other.
        lacking: None, or what is wrong with the object.
    """

    tile: Tile
    leaves: list[Leaf]
    hashes: bytes
    lacking: str | None = None


def of_leaves(begin: int, end: int) -> list[Tile]:
    """The tiles at level 0 that hold the leaves from ``begin`` on, of a tree of ``end`` leaves."""
    return [Tile(0, position, tiles.width(0, position, end)) for position in range(begin // WIDTH, -(-end // WIDTH))]


def read(place: Publication, wanted: Sequence[Tile]) -> Iterator[Bundle]:
    """The bundles of tiles, in their order.

    Raises:
        ledger.publication.PublicationError: one can't be read.
    """
    objects = _objects(place, wanted, publication.entries_name)
    return (_bundle(tile, content) for tile, content in zip(wanted, objects, strict=True))


def read_hashes(place: Publication, wanted: Sequence[Tile]) -> Iterator[bytes | None]:
    """The leaf hashes that the public tiles have; None where a tile is gone or too short. Raises as ``read`` does."""
    for tile, content in zip(wanted, _objects(place, wanted, publication.tile_name), strict=True):
        whole = tile.width * HASH_BYTES
        yield None if content is None or len(content) < whole else content[:whole]


def _objects(place: Publication, wanted: Sequence[Tile], name: Callable[[Tile], str]) -> Iterator[bytes | None]:
    """Each tile's object; where a partial one is gone, a later form of it will do."""
    for begin in range(0, len(wanted), _AT_ONCE):
        some = wanted[begin : begin + _AT_ONCE]
        for tile, content in zip(some, place.read([name(tile) for tile in some]), strict=True):
            if content is None and tile.width < WIDTH:
                yield _later(place, tile, name)
            else:
                yield content


def _later(place: Publication, tile: Tile, name: Callable[[Tile], str]) -> bytes | None:
    """The object of a tile that was made wider since, and begins with the same leaves.

    A sealer died with it, or the log goes on meanwhile, since a copy of the database is recovered: then a form that was
    not there yet may be gone when the next one is asked for, and all are asked for again.
    """
    later = [Tile(*tile.place, width) for width in (WIDTH, *range(tile.width + 1, WIDTH))]
    for _ in range(_TRIES):
        for content in place.read([name(each) for each in later]):
            if content is not None:
                return content
    return None


def _bundle(tile: Tile, content: bytes | None) -> Bundle:
    name = publication.entries_name(tile)
    if content is None:
        return Bundle(tile, [], b"", f"{name} is gone")
    try:
        lines = gzip.decompress(content).splitlines()[: tile.width]
        pairs = [line.split(b" ", 1) for line in lines]
        leaves = [Leaf(int(serial), leaf) for serial, leaf in pairs]
    except (OSError, EOFError, zlib.error, ValueError) as error:
        return Bundle(tile, [], b"", f"{name} is damaged: {error}")
    if len(leaves) != tile.width:
        return Bundle(tile, [], b"", f"{name} has {len(leaves)} entries, not {tile.width}")
    return Bundle(tile, leaves, b"".join(merkle.leaf_hash(leaf.entry) for leaf in leaves))
