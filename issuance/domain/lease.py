"""Serials in hand: which come next, and when to lease more."""

from collections import deque
from collections.abc import Iterable

from ledger.domain.serial import BLOCK_BITS, BLOCK_SIZE, first_serial

LARGEST_LEASE = 1024
"""Blocks: a million serials, so that one slip of the rate does not burn a shard's worth."""
_LONGEST_LEAD = 5.0
"""Seconds: what takes longer is trouble, and no measure of what the next lease will take."""


class Reserve:
    """Leased serials of one session, used in increasing order and never twice."""

    def __init__(self) -> None:
        self._blocks: deque[int] = deque()
        self._next = 0
        self._left = 0
        self._highest = -1

    def __len__(self) -> int:
        """Serials left."""
        return self._left + len(self._blocks) * BLOCK_SIZE

    def add(self, blocks: Iterable[int]) -> None:
        """Put leased blocks behind those in hand.

        Raises:
            ValueError: a block is not above all that were ever added; serials would not increase.
        """
        for block in blocks:
            if block <= self._highest:
                raise ValueError(f"Block {block} comes after block {self._highest}; serials must increase.")
            self._highest = block
            self._blocks.append(block)

    def take(self) -> int:
        """The next serial.

        Raises:
            IndexError: none is left.
        """
        if not self._left:
            self._next = self._blocks.popleft() << BLOCK_BITS
            self._left = BLOCK_SIZE
        serial = self._next
        self._next += 1
        self._left -= 1
        return serial


class Stretch:
    """Consecutive serials of one session, used in increasing order and never twice: what calls are issued from."""

    def __init__(self) -> None:
        self._left = range(0)

    def __len__(self) -> int:
        """Serials left."""
        return len(self._left)

    def renew(self, blocks: range) -> None:
        """Go on with the blocks of a new lease; what is left of the last one is burned, unless they follow on it.

        Raises:
            ValueError: a block is not above those before; serials would not increase.
        """
        fresh = range(first_serial(blocks.start), first_serial(blocks.stop))
        if fresh.start < self._left.stop:
            raise ValueError(f"Serial {fresh.start} comes after serial {self._left.stop - 1}; serials must increase.")
        self._left = range(self._left.start, fresh.stop) if fresh.start == self._left.stop else fresh

    def take(self, count: int) -> range:
        """The next ``count`` serials.

        Raises:
            IndexError: so many are not left.
        """
        if count > len(self._left):
            raise IndexError(f"{count} serials are wanted, and {len(self._left)} are left.")
        taken, self._left = self._left[:count], self._left[count:]
        return taken


class Demand:
    """How many serials a second are used at present, and so when and how many blocks to lease."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._count = 0
        self._rate = 0.0
        self._lead = 0.0

    def leased(self, seconds: float) -> None:
        """Note how long a lease took: a fence across a network, or many who lease, take their time."""
        self._lead = max(seconds, self._lead / 2)

    def used(self, count: int, now: float) -> None:
        """Note that ``count`` serials were used; ``now`` is in seconds of a monotonic clock."""
        self._count += count
        elapsed = now - self._since
        if elapsed >= 1.0:
            self._rate = self._count / elapsed
            self._since, self._count = now, 0

    def blocks_to_lease(self, left: int) -> int:
        """Blocks to lease now, with ``left`` serials in hand, once less than half of what is to be leased is left.

        That is a second's worth, and that of two leases: half of it lasts until the next one is there.
        """
        worth = max(self._rate, float(self._count), BLOCK_SIZE / 2) * (1 + 2 * min(self._lead, _LONGEST_LEAD))
        if left > worth / 2:
            return 0
        return min(LARGEST_LEASE, -(-int(worth) // BLOCK_SIZE))

    def blocks_for_call(self, count: int) -> int:
        """Blocks to lease for a call of ``count`` orders: those that it needs, or a second's worth if that is more."""
        return max(-(-count // BLOCK_SIZE), self.blocks_to_lease(0))
