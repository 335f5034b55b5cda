"""Writes bulk calls: each a batch of its own, all of it or nothing, on a session that single requests never wait for.

Nothing of group commit applies to a call, so this is no Writer; what the ledger asks of a writer does (docs/adr/0002):
one call at a time, in increasing serial order, and a connection that broke is a writer that ended.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from core import metrics
from core.session import SessionLostError
from issuance.call import Call, Issued
from issuance.domain.bulk import MOST
from issuance.domain.errors import (
    CollisionError,
    ExhaustedError,
    IssuanceError,
    KeyReusedError,
    RefusedError,
    StoppingError,
    UnavailableError,
    UnrecordableError,
)
from issuance.domain.lease import Demand, Stretch
from issuance.domain.number import Numbering
from issuance.gate import CallGate
from issuance.slices import sliced
from issuance.writer_session import RowRefusedError, TryAgainError
from ledger import rows
from ledger.domain.entry import Event
from ledger.domain.tag import Claim

_TRIES = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_PAGE = 128
"""Events of a replay that are read at a time: a slice of the loop's time."""

_ISSUED = metrics.ISSUED.labels("bulk")

logger = logging.getLogger(__name__)


class BulkWriter:
    """The calls of one process, which take turns on one session; it is opened for the first of them, and kept."""

    def __init__(
        self, open_session: Callable[[], Awaitable[CallGate]], numbering: Numbering, *, deadline: float
    ) -> None:
        """Make one, on the running loop.

        Args:
            open_session: a fresh session, with a writer id of its own.
            numbering: makes numbers of serials.
            deadline: seconds that a call of one order may take; one of the most orders may take twice as long.
        """
        self._open_session = open_session
        self._numbering = numbering
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Issued]] = set()
        self._session: CallGate | None = None
        self._stretch = Stretch()
        self._demand = Demand(self._loop.time())
        self._unsettled: tuple[int, Sequence[Event]] | None = None
        """Events that were sent, and by which writer, where nobody knows what became of them."""
        self._refusal: IssuanceError | None = None
        self._said: IssuanceError | None = None

    async def issue(self, call: Call) -> Issued:
        """Give the call's events once all of them are durable.

        Whoever stops waiting leaves the call as it is: not begun, it is dropped; begun, it is brought to its end.

        Raises:
            IssuanceError: none of them is issued; after UnavailableError they may stand in the ledger unanswered.
        """
        if self._refusal is not None:
            raise type(self._refusal)(*self._refusal.args)
        patience = self._deadline * (1 + len(call.orders) / MOST)
        task = self._loop.create_task(self._in_turn(call, self._loop.time() + patience))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        await asyncio.wait((task,), timeout=patience)
        if not task.done():
            raise UnavailableError("The database did not confirm the events in time.")
        return task.result()

    async def drain(self) -> None:
        """Take no more calls, bring those that were taken to their end, and close the session."""
        self._refusal = StoppingError("This process is shutting down.")
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._close()

    def _forget(self, task: "asyncio.Task[Issued]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has seen it; nobody else is to be told

    async def _in_turn(self, call: Call, until: float) -> Issued:
        async with self._turn:
            if isinstance(self._refusal, CollisionError):
                raise CollisionError(*self._refusal.args)
            try:
                issued = await self._issue(call, until)
            except (RefusedError, UnavailableError) as error:
                self._refused(error)
                raise
            self._said = None
            if not issued.replayed:
                _ISSUED.inc(len(issued.events))
            return issued

    async def _issue(self, call: Call, until: float) -> Issued:
        """Try until it is known what became of the call."""
        self._unsettled = None
        tries, pause = 0, _FIRST_PAUSE
        while self._loop.time() < until:
            try:
                return await self._attempt(call)
            except SessionLostError as error:
                metrics.SESSIONS_LOST.inc()
                logger.warning("The session of bulk calls was lost (%s); opening another.", error)
                self._close()
            except TryAgainError as error:
                tries += 1
                if tries == _TRIES:
                    raise UnavailableError(f"The database gave up on it: {error}") from error
            except RowRefusedError as error:
                about = {"request_id": str(call.request_id)}
                message = "The ledger refuses an event of a bulk call: %s"
                logger.error(message, error, extra=about)  # noqa: TRY400  # it says it all
                raise UnrecordableError("The ledger refuses an event of this call.") from error
            except UnavailableError:
                if self._unsettled is None:
                    raise
                self._close()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise UnavailableError("The database did not confirm the events in time.")

    async def _attempt(self, call: Call) -> Issued:
        session = await self._open()
        if self._unsettled is not None and (settled := await self._settle(session, *self._unsettled)):
            return settled
        if replayed := await self._replay(session, call):
            return replayed
        if len(self._stretch) < len(call.orders):
            await self._lease(session, len(call.orders))
        serials = self._stretch.take(len(call.orders))
        self._demand.used(len(serials), self._loop.time())
        events = await sliced(lambda at: call.event(at, serials[at], self._numbering), range(len(serials)))
        if await self._write(session, events, call.claims):
            return Issued(events, replayed=False)
        if replayed := await self._replay(session, call):
            return replayed
        raise UnavailableError("The first answer under this key could not be read.")

    async def _open(self) -> CallGate:
        if self._session is None or self._session.lost.done():
            self._close()
            self._session = await self._open_session()
            self._stretch = Stretch()
        return self._session

    async def _settle(self, session: CallGate, writer: int, events: Sequence[Event]) -> Issued | None:
        """What the last session managed to commit; None: nothing, and never will."""
        await session.wait_until_gone(writer)
        # Committed before anything is read, and after the last writer's end: what is found then is as durable.
        await self._lease(session, len(events))
        found = await session.present([event.number for event in events])
        self._unsettled = None
        if not found:
            return None
        if len(found) < len(events):
            raise CollisionError(f"Of {len(events)} events of one transaction the ledger has {len(found)}.")
        return Issued(events, replayed=False)

    async def _replay(self, session: CallGate, call: Call) -> Issued | None:
        """What was issued before under the call's Idempotency-Key: it has the serials from the first number's on."""
        won = await session.winners([claim.tag for claim in call.claims]) if call.claims else {}
        found = next(((claim, won[claim.tag]) for claim in call.claims if claim.tag in won), None)
        if found is None:
            return None
        claim, (first, fingerprint) = found
        if claim.fingerprint != fingerprint:
            raise KeyReusedError("This Idempotency-Key was used with other orders.")
        events: list[Event] = []
        after = first.serial + len(call.orders)
        for serial in range(first.serial, after, _PAGE):
            events += await session.between(serial, min(serial + _PAGE, after) - 1)
        if len(events) != len(call.orders) or any(event.request_id != first.request_id for event in events):
            raise UnavailableError("The first answer under this key could not be read.")
        return Issued(events, replayed=True)

    async def _lease(self, session: CallGate, count: int) -> None:
        self._stretch.renew(await session.lease(self._demand.blocks_for_call(count)))
        if len(self._stretch) < count:
            raise ExhaustedError(f"The shard has no {count} serials left. Issue into another shard (SHARD).")

    async def _write(self, session: CallGate, events: Sequence[Event], claims: Sequence[Claim]) -> bool:
        made = await sliced(rows.row, events)
        self._unsettled = session.writer, events
        try:
            won = await session.append_whole(made, events[0].number, claims)
        except (IssuanceError, RowRefusedError, TryAgainError):
            self._unsettled = None
            raise
        self._unsettled = None
        return won

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _refused(self, error: IssuanceError) -> None:
        """Tell the operator, once for each reason; the next call opens a session anew, which asks everything anew."""
        if self._said is None or self._said.args != error.args:
            level = logging.CRITICAL if isinstance(error, RefusedError) else logging.ERROR
            logger.log(level, "A bulk call is not issued: %s", error)
        self._said = error
        if isinstance(error, CollisionError):
            self._refusal = error
        self._close()
