"""Group commit: requests that arrive while a batch is being committed form the next one."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from core import metrics
from core.session import SessionLostError
from issuance.domain.errors import (
    CollisionError,
    IssuanceError,
    KeyReusedError,
    OverloadedError,
    RefusedError,
    StoppingError,
    UnavailableError,
    UnrecordableError,
)
from issuance.domain.lease import Demand, Reserve
from issuance.domain.number import Numbering
from issuance.gate import Gate
from issuance.request import Request
from issuance.writer_session import RowRefusedError, TryAgainError

if TYPE_CHECKING:
    from ledger.domain.entry import Event

LARGEST_BATCH = 512
_TURNS = 3
"""Turns of the event loop between batches. At 64 connections a batch then holds 25 rows where one turn gives 12."""
_TRIES = 3
_SWEEP = 0.25
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_LEASE_PAUSE = 0.5

_ISSUED = metrics.ISSUED.labels("single")

logger = logging.getLogger(__name__)


class Writer:
    """The queue of one process, and the task that turns it into batches on one session at a time."""

    def __init__(
        self, open_session: Callable[[], Awaitable[Gate]], numbering: Numbering, *, queue_limit: int, deadline: float
    ) -> None:
        self._open_session = open_session
        self._numbering = numbering
        self._queue_limit = queue_limit
        self._patience = deadline
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Request] = deque()
        self._wake = asyncio.Event()
        self._refusal: IssuanceError | None = None
        self._stopping = False
        self._halted = False
        self._failures = 0
        self._batch_limit = LARGEST_BATCH
        self._unsettled: tuple[int, list[Request]] | None = None
        self._leasing: asyncio.Task[None] | None = None
        self._lease_after = 0.0
        self._reserve = Reserve()
        self._demand = Demand(self._loop.time())
        self._serving = False

    @property
    def refusal(self) -> IssuanceError | None:
        """Why nothing is issued at present, or None."""
        return self._refusal

    @property
    def issues(self) -> bool:
        """Whether it has a session, and serials that were leased over it."""
        return self._serving

    @property
    def queued(self) -> int:
        """Requests that wait for a batch."""
        return len(self._queue)

    def submit(self, request: Request) -> "asyncio.Future[Event]":
        """Queue a request; the future gives its event once that is durable.

        Raises:
            IssuanceError: nothing is being issued, or the queue is full.
        """
        if self._refusal is not None:
            raise type(self._refusal)(*self._refusal.args)
        if len(self._queue) >= self._queue_limit:
            raise OverloadedError(f"{self._queue_limit} requests wait already.")
        request.deadline = self._loop.time() + self._patience
        request.answer = self._loop.create_future()
        self._queue.append(request)
        self._wake.set()
        return request.answer

    async def drain(self) -> None:
        """Take no more requests; ``run`` returns once those in the queue are answered."""
        self._stopping = True
        self._refusal = StoppingError("This process is shutting down.")
        self._wake.set()

    async def run(self) -> None:
        """Issue until drained, over as many sessions as it takes."""
        sweeper = self._loop.create_task(self._sweep())
        try:
            while not (self._stopping and not self._queue and self._unsettled is None):
                try:
                    await self._live()
                except SessionLostError as error:
                    metrics.SESSIONS_LOST.inc()
                    logger.warning("The writer's session was lost (%s); opening another.", error)
                    await asyncio.sleep(self._next_pause())
                except IssuanceError as error:
                    self._refuse(error)
                    if self._stopping:
                        return
                    await self._pause(self._next_pause())
        finally:
            sweeper.cancel()
            self._fail(self._queue, StoppingError("This process is shutting down."))
            if self._unsettled is not None:
                self._fail(self._unsettled[1], UnavailableError("The outcome of the commit is not known."))

    async def _live(self) -> None:
        """One session from its opening to its end."""
        session = await self._open_session()
        self._reserve = Reserve()
        try:
            # Committed before anything is read, and after the last writer's end: what is found then is as durable.
            await self._lease(session, wait_for=self._unsettled)
            await self._settle(session)
            if self._refusal is not None and not self._stopping:
                logger.warning("Numbers are issued again.")
                self._refusal = None
            self._failures = 0
            self._serving = True
            await self._serve(session)
        finally:
            self._serving = False
            session.close()
            if self._leasing is not None:
                self._leasing.cancel()
                await asyncio.gather(self._leasing, return_exceptions=True)
                self._leasing = None

    async def _settle(self, session: Gate) -> None:
        """Answer what the last session managed to commit, and queue the rest again, for numbers of a new block."""
        if self._unsettled is None:
            return
        _, batch = self._unsettled
        found = await session.present([request.event.number for request in batch])
        self._unsettled = None
        _ISSUED.inc(len(found))
        for request in batch:
            if request.event.number in found:
                self._answer(request)
        self._again([request for request in batch if request.event.number not in found])

    async def _serve(self, session: Gate) -> None:
        while True:
            if session.lost.done():
                raise SessionLostError("the server closed the session")
            if self._leasing is not None and self._leasing.done():
                leasing, self._leasing = self._leasing, None
                self._take_lease(leasing)
            self._lease_ahead(session)
            if not self._queue:
                if self._stopping:
                    return
                await self._wait(session)
            elif not len(self._reserve):
                await asyncio.wait((self._leasing or self._start_lease(session, 1),))
            elif batch := self._form():
                await self._write(session, batch)
                # Those just answered leave, and those of them who come back join the next batch.
                for _ in range(_TURNS):
                    await asyncio.sleep(0)

    async def _wait(self, session: Gate) -> None:
        """Sleep until there is a request, the session is lost, or a lease has come in."""
        self._wake.clear()
        waiter = self._loop.create_task(self._wake.wait())
        others = () if self._leasing is None else (self._leasing,)
        await asyncio.wait((waiter, asyncio.ensure_future(session.lost), *others), return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()

    def _form(self) -> list[Request]:
        batch: list[Request] = []
        for _ in range(min(len(self._queue), self._batch_limit, len(self._reserve))):
            request = self._queue.popleft()
            if request.answer.done():
                continue  # it was given up; no number for nobody
            request.become_event(self._reserve.take(), self._numbering)
            batch.append(request)
        self._demand.used(len(batch), self._loop.time())
        return batch

    async def _write(self, session: Gate, batch: list[Request]) -> None:
        self._unsettled = (session.writer, batch)
        began = time.perf_counter()  # the loop's clock stands still within a turn
        try:
            written = await session.append([r.event for r in batch], [r.claims for r in batch])
        except RowRefusedError as error:
            self._unsettled = None
            self._halve(batch, error)
        except TryAgainError as error:
            self._unsettled = None
            self._retry(batch, error)
        except CollisionError as error:
            self._unsettled = None
            self._halted = True
            logger.critical("%s Issuing stops; look at the ledger and the fence before starting again.", error)
            self._fail(batch, error)
            raise
        except UnavailableError as error:
            self._unsettled = None
            self._fail(batch, error)
            raise
        else:
            self._unsettled = None
            self._batch_limit = min(LARGEST_BATCH, 2 * self._batch_limit)
            self._count(batch, began, len(batch) - len(written.lost))
            for position, request in enumerate(batch):
                if position not in written.lost:
                    self._answer(request)
            if written.lost:
                await self._replay(session, [batch[position] for position in sorted(written.lost)])

    def _count(self, batch: list[Request], began: float, issued: int) -> None:
        """Once a batch: what each costs here is shared by all that were committed with it."""
        _ISSUED.inc(issued)
        metrics.BATCH_SIZE.observe(len(batch))
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
        metrics.WAIT_SECONDS.observe(self._loop.time() - batch[0].deadline + self._patience)

    async def _replay(self, session: Gate, requests: list[Request]) -> None:
        tags = [claim.tag for request in requests for claim in request.claims]
        try:
            won = await session.winners(tags)
        except (SessionLostError, UnavailableError):
            self._again(requests)
            raise
        for request in requests:
            found = next(((claim, won[claim.tag]) for claim in request.claims if claim.tag in won), None)
            if found is None:
                self._fail([request], UnavailableError("The first answer under this key could not be read."))
            elif found[0].fingerprint != found[1].fingerprint:
                self._fail([request], KeyReusedError("This Idempotency-Key was used with other parameters."))
            else:
                request.event, request.replayed = found[1].event, True
                self._answer(request)

    def _halve(self, batch: list[Request], error: Exception) -> None:
        """Write smaller batches until the row at fault is alone; their serials are new, so they keep increasing."""
        if len(batch) == 1:
            about = {"request_id": str(batch[0].request_id)}
            logger.error("The ledger refuses an event: %s", error, extra=about)
            self._fail(batch, UnrecordableError("The ledger refuses this event."))
            return
        self._batch_limit = len(batch) // 2
        self._again(batch)

    def _retry(self, batch: list[Request], error: Exception) -> None:
        for request in batch:
            request.tries += 1
        self._fail([r for r in batch if r.tries >= _TRIES], UnavailableError(f"The database gave up on it: {error}"))
        self._again([r for r in batch if r.tries < _TRIES])

    def _again(self, requests: list[Request]) -> None:
        self._queue.extendleft(reversed(requests))

    def _take_lease(self, leasing: "asyncio.Task[None]") -> None:
        """Go on with the lease; without it as long as the reserve lasts, where another try may do better."""
        try:
            leasing.result()
        except UnavailableError as error:
            if not len(self._reserve):
                raise
            self._lease_after = self._loop.time() + _LEASE_PAUSE
            logger.warning("No block could be leased ahead: %s", error)

    def _lease_ahead(self, session: Gate) -> None:
        if self._leasing is not None or self._loop.time() < self._lease_after:
            return
        if count := self._demand.blocks_to_lease(len(self._reserve)):
            self._start_lease(session, count)

    def _start_lease(self, session: Gate, count: int) -> "asyncio.Task[None]":
        self._leasing = self._loop.create_task(self._lease(session, count=count))
        return self._leasing

    async def _lease(self, session: Gate, count: int = 1, wait_for: tuple[int, list[Request]] | None = None) -> None:
        if wait_for is not None:
            await session.wait_until_gone(wait_for[0])
        began = self._loop.time()
        self._reserve.add(await session.lease(count))
        self._demand.leased(self._loop.time() - began)

    def _answer(self, request: Request) -> None:
        if not request.answer.done():
            request.answer.set_result(request.event)

    def _fail(self, requests: "Sequence[Request] | deque[Request]", error: IssuanceError) -> None:
        for request in requests:
            if not request.answer.done():
                request.answer.set_exception(type(error)(*error.args))

    def _refuse(self, error: IssuanceError) -> None:
        """Answer everybody who waits; those whose outcome is unknown wait for it until their deadline."""
        if self._refusal is None or self._refusal.args != error.args:
            level = logging.CRITICAL if isinstance(error, RefusedError) else logging.ERROR
            logger.log(level, "No number is issued: %s", error)
        if not self._stopping:
            self._refusal = error
        waiting, self._queue = self._queue, deque()
        self._fail(waiting, error)

    def _next_pause(self) -> float:
        """Seconds to wait before the next session: twice as long each time, until one has served."""
        doublings = min(self._failures, 10)
        self._failures += 1
        return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)

    async def _pause(self, seconds: float) -> None:
        while True:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            if self._stopping or not self._halted:
                return

    async def _sweep(self) -> None:
        """Answer those whose time is up with 503; a batch under way goes on, and may stand in the ledger unanswered."""
        while True:
            await asyncio.sleep(_SWEEP)
            now = self._loop.time()
            late = UnavailableError("The database did not confirm the event in time.")
            while self._queue and self._queue[0].deadline <= now:
                self._fail([self._queue.popleft()], late)
            if self._unsettled is not None:
                self._fail([request for request in self._unsettled[1] if request.deadline <= now], late)
