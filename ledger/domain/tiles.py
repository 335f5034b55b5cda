"""Tiles, as c2sp.org/tlog-tiles defines them: a tree's hashes in groups of 256, and the paths that name them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ledger.domain.merkle import HASH_BYTES, Node, Range, fold, nodes, parents

HEIGHT = 8
WIDTH = 1 << HEIGHT
"""Hashes in a full tile."""
ENTRIES = -1
"""The level of a bundle: of 256 entries instead of their hashes."""
_HIGHEST_LEVEL = 63

_PATH = re.compile(r"(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)
_LONGEST_PATH = 64


class TilePathError(ValueError):
    """This is not the path of a tile."""


class Place(NamedTuple):
    """Where a tile is, whatever its width."""

    level: int
    position: int


class Tile(NamedTuple):
    """The ``position``-th tile of a level, or its first ``width`` hashes, 1 to 256."""

    level: int
    position: int
    width: int = WIDTH

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.level, self.position)

    @property
    def path(self) -> str:
        """Its path below ``/tile/``: groups of three digits, all but the last with an x in front."""
        groups = [f"{self.position % 1000:03}"]
        rest = self.position // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03}")
            rest //= 1000
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"{level}/{'/'.join(groups)}{'' if self.width == WIDTH else f'.p/{self.width}'}"


def parse(path: str) -> Tile:
    """The tile that a path below ``/tile/`` names.

    Raises:
        TilePathError: it names none; each tile has exactly one path.
    """
    match = _PATH.fullmatch(path) if len(path) <= _LONGEST_PATH else None
    if match is not None:
        level, groups, width = match.groups()
        tile = Tile(
            ENTRIES if level == "entries" else int(level),
            int(groups.replace("/", "").replace("x", "")),
            WIDTH if width is None else int(width),
        )
        if tile.level <= _HIGHEST_LEVEL and tile.width <= WIDTH and tile.path == path:
            return tile
    raise TilePathError("A tile is named by /tile/<level>/<index> with .p/<width> if it is partial: see tlog-tiles.")


def width(level: int, position: int, size: int) -> int:
    """How many hashes (or entries) the tile holds in a tree of ``size`` leaves, 0 to 256."""
    hashes = size >> HEIGHT * max(level, 0)
    return min(max(hashes - position * WIDTH, 0), WIDTH)


def growing(size: int) -> list[Tile]:
    """The partial tiles of a tree of ``size`` leaves, lowest level first; a level without one is left out."""
    found = []
    level = 0
    while (hashes := size >> HEIGHT * level) > 0:
        if hashes % WIDTH:
            found.append(Tile(level, hashes // WIDTH, hashes % WIDTH))
        level += 1
    return found


def needed(ranges: Iterable[Range], size: int) -> list[Tile]:
    """The tiles of a tree of ``size`` leaves from which the hashes of ``ranges`` can be computed."""
    return holding((node for leaves in ranges for node in nodes(leaves)), size)


def holding(wanted: Iterable[Node], size: int) -> list[Tile]:
    """The tiles of a tree of ``size`` leaves from which the hashes of nodes can be computed."""
    return [Tile(*place, width(*place, size)) for place in sorted({_place(node) for node in wanted})]


def hashes(ranges: Sequence[Range], tiles: Mapping[Place, bytes]) -> list[bytes]:
    """The hashes of ``ranges`` from the tiles that hold them, each at least as wide as ``needed`` says.

    Raises:
        KeyError, ValueError: a tile is missing or too short.
    """
    return [fold([_hash(node, tiles[_place(node)]) for node in nodes(leaves)]) for leaves in ranges]


def interior(tile: bytes) -> list[bytes]:
    """The full subtrees of a tile, by height: the h-th row joins the hashes over each 2**h hashes of the tile.

    Raises:
        ValueError: there is a part of a hash.
    """
    if len(tile) % HASH_BYTES:
        raise ValueError("The tile ends within a hash.")
    row = split(tile)
    rows = [tile]
    while len(row) > 1:
        row = parents(row[: len(row) & ~1])
        rows.append(b"".join(row))
    return rows


def node_in(rows: Mapping[Place, Sequence[bytes]], node: Node) -> bytes:
    """The hash of a node from the ``interior`` of the tile that holds it.

    Raises:
        KeyError, ValueError: the tile is missing or too short.
    """
    place = _place(node)
    height = node.level % HEIGHT
    start = node.position % (WIDTH >> height) * HASH_BYTES
    tile = rows[place]
    found = tile[height][start : start + HASH_BYTES] if height < len(tile) else b""
    if len(found) != HASH_BYTES:
        raise ValueError(f"The tile of {node} is too short.")
    return found


def split(tile: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [tile[start : start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES)]


def _place(node: Node) -> Place:
    level, above = divmod(node.level, HEIGHT)
    return Place(level, node.position << above >> HEIGHT)


def _hash(node: Node, tile: bytes) -> bytes:
    """The hash of a node, from the tile that has the 1, 2, 4, … 128 hashes below it."""
    count = 1 << node.level % HEIGHT
    start = node.position * count % WIDTH
    row = split(tile[start * HASH_BYTES : (start + count) * HASH_BYTES])
    if len(row) != count or len(row[-1]) != HASH_BYTES:
        raise ValueError(f"The tile of {node} is too short.")
    while len(row) > 1:
        row = parents(row)
    return row[0]
