"""A tree that grows, from its right edge alone: new tiles, and the root at each size."""

from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Self

from ledger.domain import tiles
from ledger.domain.merkle import HASH_BYTES, Range, fold, nodes, parents
from ledger.domain.tiles import HEIGHT, WIDTH, Place


class Growth:
    """A tree of ``size`` leaves; it holds the hashes of its partial tiles, and not what is to the left of them."""

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        """Take up the tree where it was left.

        Args:
            size: leaves.
            edge: for each level from 0 on, the hashes of its partial tile, empty where it has none.

        Raises:
            ValueError: the edge is not that of a tree of this size.
        """
        partial = {tile.level: tile for tile in tiles.growing(size)}
        levels = -(-size.bit_length() // HEIGHT)
        widths = [partial[level].width if level in partial else 0 for level in range(levels)]
        if [len(each) for each in edge] != [width * HASH_BYTES for width in widths]:
            raise ValueError(f"This is not the right edge of a tree of {size} leaves.")
        self.size = size
        self._edge = [tiles.split(each) for each in edge]
        held = {tile.place: edge[level] for level, tile in partial.items()}
        subtrees = [Range(position << level, (position + 1) << level) for level, position in nodes(Range(0, size))]
        self._stack = tiles.hashes(subtrees, held)

    def copy(self) -> Self:
        """The same tree, to grow another way."""
        return type(self)(self.size, self.edge)

    @property
    def edge(self) -> list[bytes]:
        """For each level from 0 on, the hashes of its partial tile."""
        return [b"".join(level) for level in self._edge]

    @property
    def root(self) -> bytes:
        """MTH(D[size])."""
        return fold(self._stack)

    def extend(self, leaves: Iterable[bytes]) -> list[tuple[Place, bytes]]:
        """Append leaf hashes; returns the tiles that have become full, lower ones before those that they complete."""
        full: list[tuple[Place, bytes]] = []
        alone: list[bytes] = []
        fresh = list(leaves)
        added = len(fresh)
        level, count = 0, self.size  # of the nodes on this level, before those that are fresh
        while fresh:
            if not level % HEIGHT:
                self._fill(level // HEIGHT, fresh, full)
            if count & 1:
                fresh.insert(0, self._stack.pop())
            if len(fresh) & 1:
                alone.append(fresh.pop())
            fresh = parents(fresh)
            level, count = level + 1, count >> 1
        self._stack += reversed(alone)
        self.size += added
        full.sort(key=lambda each: (each[0].position + 1) << HEIGHT * each[0].level)  # stable: lower ones first
        return full

    def _fill(self, level: int, fresh: list[bytes], full: list[tuple[Place, bytes]]) -> None:
        """Put hashes into the partial tile of a level, and those after it."""
        if level == len(self._edge):
            self._edge.append([])
        row = self._edge[level]
        row += fresh
        whole = len(row) // WIDTH * WIDTH
        filled = enumerate(batched(row[:whole], WIDTH), self.size >> HEIGHT * (level + 1))
        full.extend((Place(level, position), b"".join(tile)) for position, tile in filled)
        del row[:whole]
