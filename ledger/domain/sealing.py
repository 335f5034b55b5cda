"""Which events become the next leaves, and which blocks get no more: the order argument, without a database.

One writer is one session: it commits one batch at a time, in increasing serial order, and takes its blocks in
increasing order. So when a serial of a block is visible, every lower serial of that block that will ever be visible
is visible too. No clock, transaction id or gap in a sequence is trusted.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import lt
from typing import NamedTuple

from ledger.domain.serial import block_of, first_serial, last_serial


class Lease(NamedTuple):
    """A block, and who may use it."""

    block: int
    writer: int


class Cursor(NamedTuple):
    """How far a block was read: ``last`` is its last sealed serial, one below its first if there is none."""

    block: int
    last: int
    closed: bool = False


class Run(NamedTuple):
    """Events of one block that are consecutive leaves: ``leaves`` of them, from ``first_leaf`` on, in serial order."""

    first_leaf: int
    first_serial: int
    last_serial: int
    leaves: int

    @property
    def gapless(self) -> bool:
        """Whether every serial in between is a leaf."""
        return self.leaves == self.last_serial - self.first_serial + 1

    def goes_on_as(self, following: "Run") -> bool:
        """Whether ``following`` begins where this one ends: next leaf, next serial, same block, no gap in either."""
        return (
            self.gapless
            and following.gapless
            and following.first_leaf == self.first_leaf + self.leaves
            and following.first_serial == self.last_serial + 1
            and block_of(following.first_serial) == block_of(self.last_serial)
        )


def runs(first_leaf: int, serials: Sequence[int]) -> list[Run]:
    """The runs of increasing serials that become the leaves from ``first_leaf`` on: one for each block.

    Raises:
        ValueError: the serials don't increase.
    """
    if not all(map(lt, serials, serials[1:])):
        raise ValueError("Serials must increase within a tick.")
    found, at = [], 0
    while at < len(serials):
        end = bisect_right(serials, last_serial(block_of(serials[at])), at)
        found.append(Run(first_leaf + at, serials[at], serials[end - 1], end - at))
        at = end
    return found


def published_runs(first_leaf: int, serials: Sequence[int]) -> list[Run]:
    """The runs of leaves whose serials are known, as several ticks made them: each as long as its serials allow."""
    found: list[Run] = []
    for leaf, serial in enumerate(serials, first_leaf):
        last = found[-1] if found else None
        if last is not None and serial > last.last_serial and block_of(serial) == block_of(last.last_serial):
            found[-1] = Run(last.first_leaf, last.first_serial, serial, last.leaves + 1)
        else:
            found.append(Run(leaf, serial, serial, 1))
    return found


class OpenBlocks:
    """The blocks from which events may still come, as one active sealer knows them.

    ``floor`` is the first block id that is not known to be both leased and closed. Ids are unique, so nothing new can
    ever appear below it, in whatever order leases become visible.
    """

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._known_below = floor  # every id from the floor to here is leased and known
        self._beyond: set[int] = set()  # known ids above a gap
        self._writer: dict[int, int] = {}
        self._last: dict[int, int] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._last)

    @property
    def known_below(self) -> int:
        """Every lease below this id is known; leases from here on are to be looked for again."""
        return self._known_below

    @property
    def writers(self) -> set[int]:
        """Whose they are."""
        return set(self._writer.values())

    @property
    def unread(self) -> list[tuple[int, int]]:
        """The serials that may still come, lowest block first: (first, last) of each block."""
        return [(last + 1, last_serial(block)) for block, last in sorted(self._last.items())]

    def add(self, leases: Iterable[Lease], cursors: Mapping[int, Cursor]) -> None:
        """Take in leases; those known already are passed over, and those that a cursor closes are not open."""
        for block, writer in leases:
            if block < self._known_below or block in self._beyond:
                continue
            self._beyond.add(block)
            cursor = cursors.get(block) or Cursor(block, first_serial(block) - 1)
            if not cursor.closed:
                self._writer[block] = writer
                self._last[block] = cursor.last
        while self._known_below in self._beyond:
            self._beyond.remove(self._known_below)
            self._known_below += 1
        self._raise_floor()

    def seal(self, found: Sequence[Run], gone: Collection[int], read: Collection[int]) -> list[Cursor]:
        """Move the cursors over what was read, and close what gets no more; returns the cursors that moved.

        Args:
            found: the events that one snapshot showed above the cursors.
            gone: writers whose sessions had ended before that snapshot was taken.
            read: the blocks whose events were all read in it.

        Raises:
            ValueError: an event is at or behind a cursor, or of a block that is not open.
        """
        moved = set()
        for run in found:
            block = block_of(run.first_serial)
            if run.first_serial <= self._last.get(block, last_serial(block)):
                raise ValueError(f"Serial {run.first_serial} appeared behind the cursor of block {block}.")
            self._last[block] = run.last_serial
            moved.add(block)
        used: dict[int, int] = {}  # the highest block in use of each writer
        for block, last in self._last.items():
            if last >= first_serial(block):
                used[self._writer[block]] = max(used.get(self._writer[block], -1), block)
        cursors = []
        for block in sorted(moved.union(read)):
            last, writer = self._last[block], self._writer[block]
            full = last == last_serial(block)
            closed = full or (block in read and (writer in gone or block < used.get(writer, -1)))
            if closed or block in moved:
                cursors.append(Cursor(block, last, closed))
            if closed:
                del self._last[block], self._writer[block]
        self._raise_floor()
        return cursors

    def _raise_floor(self) -> None:
        self.floor = min([self._known_below, *self._last])
