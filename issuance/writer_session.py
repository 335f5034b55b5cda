"""A writer: one database session with a lock on its id, which leases blocks and commits one batch at a time."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

import psycopg

from core import metrics
from core.session import POOLED, Session, StatementError
from issuance import locks
from issuance.allocator import Allocator
from issuance.claims import Won, claim, winners
from issuance.domain.errors import CollisionError, RefusedError, UnavailableError
from ledger import store
from ledger.domain.entry import Event
from ledger.domain.tag import Claim

_RETRY = {"40001", "40P01", "55P03", "57014"}
"""Serialization failure, deadlock, lock not available, cancelled: rolled back, and worth another try."""
_UNIQUE_VIOLATION = "23505"
_DISK_FULL = "53100"


class RowRefusedError(Exception):
    """A data error (SQLSTATE class 22 or 23): some row of the batch is at fault, and nothing was written."""


class TryAgainError(Exception):
    """The batch was rolled back for no fault of its own."""


class Written(NamedTuple):
    """What became of a batch: its claims that had been taken before, and so were not written, by position."""

    lost: frozenset[int]


class WriterSession:
    """One writer for as long as its session lives."""

    def __init__(self, session: Session, writer: int, allocator: Allocator, role: str) -> None:
        self._session = session
        self._allocator = allocator
        self._role = role
        self.writer = writer
        self.lost = session.lost

    @classmethod
    async def open(
        cls,
        url: str,
        role: str,
        allocator: Allocator,
        guard: Callable[[Session], Awaitable[None]],
        *,
        allow_unsafe: bool,
    ) -> "WriterSession":
        """Log in, check that a commit is durable, that fence and log agree, and lock a fresh writer id.

        ``guard`` compares the log with its checkpoint outside the database; a database can't be set back under a
        session that lives, so once is enough.

        Raises:
            UnavailableError: the database can't be reached or used now.
            RefusedError: issuing would not be safe.
        """
        try:
            session = await Session.connect(url, role)
        except (psycopg.Error, TimeoutError) as error:
            raise UnavailableError(f"The database can't be reached: {str(error).strip()}") from error
        try:
            await _be_durable(session, allow_unsafe=allow_unsafe)
            await allocator.look(session)
            await guard(session)
            writer = secrets.randbits(63)
            while not await locks.try_writer(session, writer):
                writer = secrets.randbits(63)
        except BaseException as error:
            session.close()
            if isinstance(error, StatementError):
                raise UnavailableError(f"The database can't be used: {error}. Has `manage.py migrate` run?") from error
            raise
        return cls(session, writer, allocator, role)

    def close(self) -> None:
        """End the session, and with it the writer."""
        self._session.close()

    async def wait_until_gone(self, writer: int) -> None:
        """Return once another writer's session has ended; raises UnavailableError for what the server refused."""
        try:
            await locks.wait_until_writer_is_gone(self._session, self._role, writer)
        except StatementError as error:
            raise UnavailableError(f"The last writer's end could not be awaited: {error}") from error

    async def lease(self, count: int) -> range:
        """Lease blocks; raises as Allocator.lease does, with UnavailableError for what the server refused."""
        try:
            blocks = await self._allocator.lease(self._session, self.writer, count)
        except StatementError as error:
            raise UnavailableError(f"No block could be leased: {error}") from error
        metrics.LEASED.inc(len(blocks))
        return blocks

    async def append(self, events: Sequence[Event], claims: Sequence[Sequence[Claim]]) -> Written:
        """Write a batch, all of it but what lost its claim; it is durable when this returns.

        Raises:
            RowRefusedError, TryAgainError, UnavailableError: nothing was written.
            CollisionError: a number or serial was there already; nothing was written.
            SessionLostError: outcome unknown.
        """
        async with self._session.turn:
            try:
                if not any(claims):
                    await store.append(self._session, events)
                    return Written(frozenset())
                return await self._append_claimed(events, claims)
            except StatementError as error:
                raise _translated(error) from error

    async def _append_claimed(self, events: Sequence[Event], claims: Sequence[Sequence[Claim]]) -> Written:
        session = self._session
        await session.execute(b"BEGIN")
        try:
            claimed = [(event.number, each) for event, each in zip(events, claims, strict=True) if each]
            won = await claim(session, claimed)
            lost: set[int] = set()
            partly = False
            for position, (event, each) in enumerate(zip(events, claims, strict=True)):
                if each:
                    pairs = [(one.tag, event.number) in won for one in each]
                    if not all(pairs):
                        lost.add(position)
                        partly = partly or any(pairs)
            rest = [position for position in range(len(events)) if position not in lost]
            if rest and not partly:
                await store.append(session, [events[position] for position in rest])
            # Claimed before under one live key only: the tag that was won must not outlive its number.
            await session.execute(b"ROLLBACK" if partly else b"COMMIT")
        except StatementError:
            with contextlib.suppress(StatementError):
                await session.execute(b"ROLLBACK")
            raise
        if partly and rest:
            again = await self._append_claimed([events[p] for p in rest], [claims[p] for p in rest])
            lost.update(rest[position] for position in again.lost)
        return Written(frozenset(lost))

    async def append_whole(self, made: Sequence[bytes], number: str, claims: Sequence[Claim]) -> bool:
        """Write the rows of one call; False, and nothing is written, where one of its claims was taken before.

        Waits for whoever holds such a claim uncommitted. Raises as ``append`` does.

        Args:
            made: the rows, as ledger.rows.row makes them.
            number: the first of them, which the claims lead to.
            claims: none where the call has no Idempotency-Key.
        """
        async with self._session.turn:
            try:
                if not claims:
                    await store.append_rows(self._session, made)
                    return True
                return await self._append_whole_if_claimed(made, number, claims)
            except StatementError as error:
                raise _translated(error) from error

    async def _append_whole_if_claimed(self, made: Sequence[bytes], number: str, claims: Sequence[Claim]) -> bool:
        session = self._session
        await session.execute(b"BEGIN")
        try:
            won = await claim(session, [(number, claims)])
            if len(won) == len(claims):
                await store.append_rows(session, made)
            await session.execute(b"COMMIT" if len(won) == len(claims) else b"ROLLBACK")
        except StatementError:
            with contextlib.suppress(StatementError):
                await session.execute(b"ROLLBACK")
            raise
        return len(won) == len(claims)

    async def present(self, numbers: Sequence[str]) -> set[str]:
        """Those of the numbers that the ledger holds; raises UnavailableError for what the server refused."""
        async with self._reading():
            return await store.present(self._session, numbers)

    async def winners(self, tags: Sequence[bytes]) -> dict[bytes, Won]:
        """The events that were issued under claimed tags; raises as ``present`` does."""
        async with self._reading():
            return await winners(self._session, tags)

    async def between(self, first: int, last: int) -> list[Event]:
        """The events with serials from ``first`` to ``last``; raises as ``present`` does."""
        async with self._reading():
            return await store.between(self._session, first, last)

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        async with self._session.turn:
            try:
                yield
            except StatementError as error:
                raise UnavailableError(f"The database could not be read: {error}") from error


async def _be_durable(session: Session, *, allow_unsafe: bool) -> None:
    async with session.turn:
        ((fsync, commit, standby, pid),) = await session.execute(
            b"SELECT current_setting('fsync'), current_setting('synchronous_commit'), pg_is_in_recovery(),"
            b" pg_backend_pid()"
        )
        if pid != b"%d" % session.backend_pid:
            raise RefusedError(f"DATABASE_URL {POOLED}")
        if standby == b"t":
            raise UnavailableError("DATABASE_URL leads to a standby, which can't be written to.")
        if fsync != b"on" and not allow_unsafe:
            raise RefusedError("PostgreSQL runs with fsync off: an answered number could be lost. Set fsync = on.")
        if commit not in {b"on", b"remote_apply"}:
            await session.execute(b"SET synchronous_commit = on")


def _translated(error: StatementError) -> Exception:
    if error.sqlstate == _UNIQUE_VIOLATION and error.constraint.startswith("issuance_event"):
        return CollisionError(f"The ledger already holds a number of this batch ({error.constraint}).")
    if error.sqlstate[:2] in {"22", "23"}:
        return RowRefusedError(str(error))
    if error.sqlstate in _RETRY:
        return TryAgainError(str(error))
    advice = " Make room on its disk; issuing goes on by itself." if error.sqlstate == _DISK_FULL else ""
    return UnavailableError(f"The database does not take events: {str(error).removesuffix('.')}.{advice}")
