"""Two trees that grow side by side where rows and tiles differ, until a signature says which of them is right."""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple, Self

from ledger.domain.growth import Growth
from ledger.domain.note import Checkpoint, NoteError
from ledger.domain.tiles import WIDTH, Place, Tile
from ledger.succession import Keys
from ledger.verify_leaves import Suspect

_MOST_KEPT = 20
"""Of what waits for a decision and is of one kind: enough to know, and it can't grow with the log."""

type Stored = Callable[[list[Place]], dict[Place, bytes]]
"""Reads full tiles as the database holds them; those that it lacks are left out."""


class Signed(NamedTuple):
    """A signature over the tree of ``size`` leaves, whoever keeps it, and the root that he keeps beside it."""

    what: str
    size: int
    signature: bytes
    root: bytes | None = None


class _Unfit(NamedTuple):
    """A signature that fits neither tree, and the roots that they had."""

    signed: Signed
    rows: bytes
    tiles: bytes


class _Branch:
    """One of the two trees, and the full tiles that the database holds otherwise."""

    def __init__(self, stored: Stored, growth: Growth, faults: Iterable[str] = ()) -> None:
        self.growth = growth
        self.faults = list(faults)
        self._stored = stored

    def copy(self) -> Self:
        return type(self)(self._stored, self.growth.copy(), self.faults)

    def extend(self, leaves: Iterable[bytes]) -> int:
        """Append leaves; returns how many tiles they filled."""
        full = self.growth.extend(leaves)
        held = self._stored([place for place, _ in full])
        for place, hashes in full:
            if held.get(place) != hashes and len(self.faults) < _MOST_KEPT:
                self.faults.extend(_differs(Tile(*place), hashes, held.get(place)))
        return len(full)


class Trees:
    """The tree that the rows give and, from the first suspect on, the one that the tiles give."""

    def __init__(self, keys: Keys, stored: Stored, growth: Growth | None = None) -> None:
        growth = growth or Growth()
        self.tiles = 0
        """Full tiles so far."""
        self._keys = keys
        self._rows = _Branch(stored, growth)
        self._held: _Branch | None = None
        self._suspects: list[Suspect] = []
        self._signed_until = growth.size
        self._unfit: list[_Unfit] = []

    @property
    def growth(self) -> Growth:
        """The tree, as the rows give it where nothing is decided yet."""
        return self._rows.growth

    @property
    def in_doubt(self) -> int:
        """How many leaves wait for a decision."""
        return len(self._suspects)

    def doubt(self, suspects: Iterable[Suspect]) -> None:
        """Note leaves, before they are appended."""
        self._suspects.extend(suspects)

    def extend(self, leaves: list[bytes]) -> Iterator[str]:
        """Append leaves as the rows give them; yields what is wrong with tiles that are beyond doubt."""
        first, last = self.growth.size, self.growth.size + len(leaves)
        doubted = {suspect.leaf: suspect.tile for suspect in self._suspects if first <= suspect.leaf < last}
        if doubted and self._held is None:
            self._held = self._rows.copy()
        if self._held is not None:
            self._held.extend(doubted.get(first + offset, leaf) for offset, leaf in enumerate(leaves))
        self.tiles += self._rows.extend(leaves)
        if self._held is None:
            yield from self._tell()

    def signed(self, signed: Signed) -> Iterator[str]:
        """Let a signature of the size reached decide; yields what is wrong.

        A later signature that fits confirms all that comes before it, so one that did not fit then was swapped.
        """
        right = next((tree for tree in (self._rows, self._held) if tree and self._fits(tree.growth, signed)), None)
        if right is None:
            unfit = _Unfit(signed, self.growth.root, (self._held or self._rows).growth.root)
            if self._signed_until == signed.size:
                yield _swapped(signed, unfit.rows)
            elif len(self._unfit) < _MOST_KEPT:
                self._unfit.append(unfit)
            return
        root = right.growth.root
        if signed.root not in {None, root}:
            yield f"{signed.what} has the root {(signed.root or b'').hex()} beside it; {root.hex()} was signed."
        for unfit in self._unfit:
            yield _swapped(unfit.signed, unfit.rows if right is self._rows else unfit.tiles)
        yield from self._decide(right)
        self._signed_until, self._unfit = signed.size, []

    def end(self, root: bytes) -> Iterator[str]:
        """Yield what is wrong and no later signature explains; ``root`` is the committed one, for unsigned leaves."""
        if self._unfit:
            (signed, rows, _), *_ = self._unfit
            yield (
                f"{signed.what} does not fit the rows, which give the root {rows.hex()}, and none after it does: "
                f"leaves {self._signed_until} to {signed.size - 1} were altered together with their tiles and the "
                "tree's state, or the signatures were swapped, or another key made them."
            )
        right = None if self._held is None else self._held if self._held.growth.root == root else self._rows
        if right is not None and not self._unfit and right.growth.root == root:
            yield from self._decide(right)
        for suspect in self._suspects:
            yield (
                f"Number {suspect.event.number}, leaf {suspect.leaf}, gives {suspect.row.hex()}, its tile holds "
                f"{suspect.tile.hex()}, and no signature says which is right."
            )

    def _decide(self, right: _Branch) -> Iterator[str]:
        """Settle the leaves so far; those noted in advance stay in doubt."""
        size = self.growth.size
        for suspect in self._suspects:
            if suspect.leaf < size:
                yield (_tile_is_wrong if right is self._rows else _row_is_wrong)(suspect)
        self._rows, self._held = right, None
        self._suspects = [suspect for suspect in self._suspects if suspect.leaf >= size]
        yield from self._tell()

    def _tell(self) -> list[str]:
        faults, self._rows.faults = self._rows.faults, []
        return faults

    def _fits(self, growth: Growth, signed: Signed) -> bool:
        key = self._keys.of(growth.size)
        try:
            key.verify(Checkpoint(key.name, growth.size, growth.root).text, signed.signature)
        except NoteError:
            return False
        return True


def _swapped(signed: Signed, root: bytes) -> str:
    return (
        f"{signed.what} was swapped or altered: its signature is not one over the root {root.hex()}, which another "
        "signature confirms."
    )


def _tile_is_wrong(suspect: Suspect) -> str:
    return (
        f"Tile {Tile(0, suspect.leaf // WIDTH).path} was altered: it holds {suspect.tile.hex()} for leaf "
        f"{suspect.leaf}, but {suspect.row.hex()}, as number {suspect.event.number} gives it, was signed."
    )


def _row_is_wrong(suspect: Suspect) -> str:
    return (
        f"Number {suspect.event.number}, leaf {suspect.leaf}, was altered: its row gives {suspect.row.hex()}, "
        f"but {suspect.tile.hex()}, as its tile holds it, was signed."
    )


def _differs(tile: Tile, hashes: bytes, held: bytes | None) -> Iterator[str]:
    if held is None:
        yield f"Tile {tile.path} is missing; the SHA-256 of what is expected is {sha256(hashes).hexdigest()}."
    elif tile.level or len(held) != len(hashes):  # a leaf's hash that differs is a suspect
        yield (
            f"Tile {tile.path} was altered: its SHA-256 is {sha256(held).hexdigest()}, where what is below it gives "
            f"{sha256(hashes).hexdigest()}."
        )
