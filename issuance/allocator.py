"""Leases blocks of serials: under a lock, committed to the database, then to the fence, and only then used."""

import asyncio
import time
from collections.abc import Sequence

from core.session import Session
from issuance import locks
from issuance.domain.errors import ExhaustedError, FenceError, RestoredDatabaseError, UnavailableError
from issuance.fence import Fence, Mark
from ledger.domain.serial import BLOCKS_PER_SHARD, first_block

NOBODY = 0
"""The writer of blocks that were written off after a restore: sessions that the database forgot had them."""
RESOLVE = "Run `manage.py resolve_fence`: it says what is the matter, and what it would do."
RECOVER = "Run `manage.py recover_ledger`: it says what is missing, and puts it right."
ALLOCATOR = "SELECT id::text, shard::text, encode(key_fingerprint, 'hex') FROM allocator"
"""Asks for the row that `check` and `agree` take."""
_POLL = 0.01
_PATIENCE = 5.0
"""Seconds after which a session that holds the lock around leasing is taken for hung, and ended."""

_LEASE = b"""
    WITH first AS (SELECT coalesce(max(id) + 1, $2::bigint) AS id FROM number_block)
    INSERT INTO number_block (id, writer)
    SELECT generate_series(first.id, least(first.id + $3::bigint, $4::bigint) - 1), $1::bigint
      FROM first
    RETURNING id"""


def highest_block(shard: int, highest: int | None) -> int:
    """The highest block in the database; one below the shard's first where there is none."""
    return first_block(shard) - 1 if highest is None else highest


def agree(row: Sequence[str], expected: tuple[int, str]) -> None:
    """Raise FenceError where the database's numbers are of another shard or key than ours; arguments as of check."""
    shard, fingerprint = expected
    if (row[1], row[2]) != (str(shard), fingerprint):
        raise FenceError(
            f"The database belongs to shard {row[1]} and NUMBER_KEY {row[2]}, but the settings say shard {shard} "
            f"and NUMBER_KEY {fingerprint}. Correct SHARD or NUMBER_KEY; neither may ever change."
        )


def check(
    row: Sequence[str] | None, highest: int | None, mark: Mark | None, expected: tuple[int, str], fence: str
) -> Mark:
    """Compare the two sides that must agree; return the mark.

    Args:
        row: the database's allocator: id, shard, key fingerprint.
        highest: the highest block in the database.
        mark: the fence's.
        expected: this process's shard and fingerprint of NUMBER_KEY.
        fence: the fence's name, for messages.

    Raises:
        FenceError: they don't agree; nothing may be issued.
    """
    if row is None and mark is None:
        raise FenceError("This database has never issued a number. Run `manage.py init_allocator` once.")
    if row is None:
        raise FenceError(f"The fence {fence} is in use, but the database knows of no allocator. {RECOVER}")
    if mark is None:
        raise FenceError(f"The database has an allocator, but there is no fence at {fence}. {RESOLVE}")
    agree(row, expected)
    shard, fingerprint = expected
    if (mark.allocator, mark.shard, mark.key_fingerprint) != (row[0], shard, fingerprint):
        raise FenceError(f"The fence {fence} belongs to another database ({mark.allocator}). Correct FENCE.")
    if highest_block(shard, highest) < mark.highest_block:
        raise RestoredDatabaseError(
            f"The database's highest block is {highest}, but block {mark.highest_block} was leased: "
            f"the database was restored to an earlier state. {RECOVER}"
        )
    return mark


class Allocator:
    """Leases for one process; holds no state but what the database and the fence agreed on when it last looked."""

    def __init__(self, fence: Fence, shard: int, key_fingerprint: str, role: str) -> None:
        self._fence = fence
        self._shard = shard
        self._fingerprint = key_fingerprint
        self._role = role

    async def look(self, session: Session) -> Mark:
        """Compare database and fence, before anything is leased.

        Raises:
            FenceError: nothing may be issued; the message names the command that resolves it.
            UnavailableError: the fence is away.
        """
        async with session.turn:
            allocator = await session.execute(ALLOCATOR.encode())
        # The fence first: blocks that are leased meanwhile then make the database look newer, which is harmless.
        mark = await asyncio.to_thread(self._fence.read)
        async with session.turn:
            ((highest,),) = await session.execute(b"SELECT max(id) FROM number_block")
        row = [(value or b"").decode() for value in allocator[0]] if allocator else None
        expected = (self._shard, self._fingerprint)
        return check(row, None if highest is None else int(highest), mark, expected, str(self._fence))

    async def lease(self, session: Session, writer: int, count: int) -> range:
        """Lease ``count`` blocks (fewer at the end of the shard) for the session's writer.

        Raises:
            FenceError: the database was rolled back, or the fence can't be moved.
            UnavailableError: somebody else is leasing, or the fence is away; what was leased is burned.
            ExhaustedError: the shard is used up.
            core.session.SessionLostError, core.session.StatementError: the database failed; what it leased is burned.
        """
        await self._lock(session)
        try:
            mark = await self.look(session)
            start = first_block(self._shard)
            end = start + BLOCKS_PER_SHARD
            parameters = [b"%d" % value for value in (writer, start, count, end)]
            async with session.turn:
                rows = await session.execute(_LEASE, parameters)
            if not rows:
                raise ExhaustedError(f"Shard {self._shard} has no block left. Issue into another shard (SHARD).")
            blocks = sorted(int(identity) for (identity,) in rows if identity is not None)
            moved = Mark(mark.allocator, mark.shard, mark.key_fingerprint, blocks[-1])
            # In a thread: batches go on over the same session while the fence is written.
            await asyncio.to_thread(self._fence.advance, moved, blocks[0])
        finally:
            if not session.lost.done():
                await locks.end_leasing(session)
        return range(blocks[0], blocks[-1] + 1)

    async def _lock(self, session: Session) -> None:
        since = time.monotonic()
        while not await locks.try_leasing(session):
            waited = time.monotonic() - since
            if waited > 2 * _PATIENCE:
                raise UnavailableError("Somebody else has been leasing blocks for ten seconds.")
            if waited > _PATIENCE:
                await locks.evict_leasing(session, self._role)
            await asyncio.sleep(_POLL)
