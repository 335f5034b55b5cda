"""Accounting for serials: each that was leased is issued, burned or held; the reasoning, without a database.

A writer uses its blocks, and the serials of each, in increasing order. So what is missing below the highest serial that
is visible of a writer will never be issued: it is burned, whether the writer lives or not. What lies above is held for
as long as the writer lives, and burned afterwards.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from ledger.domain.serial import BLOCK_SIZE, first_block, last_serial


class Figures(NamedTuple):
    """Serials; ``leased`` is the sum of the others."""

    leased: int
    issued: int
    burned: int
    held: int


class Block(NamedTuple):
    """A leased block and what is visible of it.

    Attributes:
        id: of ``number_block``.
        writer: whose it is.
        issued: events in it.
        last: the highest serial that was issued of it; None: none was.
    """

    id: int
    writer: int
    issued: int
    last: int | None


class Writers(NamedTuple):
    """Who was issuing, as it was found before anything was read of their blocks.

    Attributes:
        known: the highest block that was leased by then; who leased one above it is not known.
        alive: those whose sessions lived.
        fronts: the highest block of each of them that has events.
    """

    known: int
    alive: Collection[int]
    fronts: Mapping[int, int]

    def hold(self, block: Block) -> bool:
        """Whether more of a block may come."""
        if block.last == last_serial(block.id):
            return False
        if block.id > self.known:
            return True
        return block.writer in self.alive and block.id >= self.fronts.get(block.writer, block.id)


class Closed(NamedTuple):
    """The blocks that get no more, which need not be looked at again.

    Attributes:
        end: they are all of the shard's below this one,
        open: but for these.
        issued: how many events they have.
    """

    end: int
    open: tuple[int, ...]
    issued: int

    def blocks(self, shard: int) -> int:
        """How many they are."""
        return self.end - first_block(shard) - len(self.open)


def nothing(shard: int) -> Closed:
    """What is closed of a shard that was never accounted for."""
    return Closed(first_block(shard), (), 0)


class Tally:
    """The sums over a shard's blocks, taken up where they were left."""

    def __init__(self, before: Closed, shard: int) -> None:
        self._leased = before.blocks(shard) * BLOCK_SIZE
        self._issued = before.issued
        self._held = 0
        self._end = before.end
        self._open: list[int] = []
        self._closed_issued = before.issued

    def add(self, block: Block, *, holds: bool) -> Figures:
        """Count a block: first those that were open, then those from ``before.end`` on, by their ids; its own figures.

        An id that is not leased might still be: what lies beyond the first such is counted, and looked at again.
        """
        above = BLOCK_SIZE if block.last is None else last_serial(block.id) - block.last
        held = above if holds else 0
        self._leased += BLOCK_SIZE
        self._issued += block.issued
        self._held += held
        if block.id <= self._end:
            self._end = max(self._end, block.id + 1)
            if holds:
                self._open.append(block.id)
            else:
                self._closed_issued += block.issued
        return Figures(BLOCK_SIZE, block.issued, BLOCK_SIZE - block.issued - held, held)

    @property
    def figures(self) -> Figures:
        """Of all blocks that were counted."""
        return Figures(self._leased, self._issued, self._leased - self._issued - self._held, self._held)

    @property
    def closed(self) -> Closed:
        """What need not be looked at again."""
        return Closed(self._end, tuple(self._open), self._closed_issued)


class Recount:
    """Counts again what was closed, while all blocks are looked at: it can't have become more or less."""

    def __init__(self, closed: Closed) -> None:
        self.blocks = self.issued = 0
        self._closed = closed
        self._open = frozenset(closed.open)

    def see(self, block: Block) -> None:
        """Count a block, if it is one of them."""
        if block.id < self._closed.end and block.id not in self._open:
            self.blocks += 1
            self.issued += block.issued

    def same(self, shard: int) -> bool:
        """Whether all is as it was."""
        return (self.blocks, self.issued) == (self._closed.blocks(shard), self._closed.issued)
