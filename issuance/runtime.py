"""The issuer of this process: on the server's own event loop under ASGI, on a thread's under plain WSGI."""

import asyncio
import atexit
import contextlib
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings

from core import databases, problems
from core.problems import ProblemError
from core.session import Session
from core.throttle.limits import limits as limits_of
from core.throttle.local import Throttle
from issuance.allocator import Allocator
from issuance.answers import Answer
from issuance.bulk import Asked, BulkIssuer
from issuance.bulk_writer import BulkWriter
from issuance.callers import LoopCallers
from issuance.configured import fence, numbering
from issuance.domain.errors import (
    IssuanceError,
    RefusedError,
    RestoredDatabaseError,
    UnavailableError,
    WrongCustomerKeysError,
)
from issuance.issuer import Issuer
from issuance.telling import Telling
from issuance.writer import Writer
from issuance.writer_session import WriterSession
from ledger import customer_keys
from ledger import runtime as ledger
from ledger.domain.customer_key import CustomerKeyError
from ledger.guard import RestoredError, look
from ledger.log import LogError
from ledger.publication import PublicationAwayError, PublicationError

if TYPE_CHECKING:
    from core.env import Env

logger = logging.getLogger(__name__)
_lock = threading.Lock()


class _Running(NamedTuple):
    """What issues in this process, and the loop that it belongs to."""

    issuer: Issuer
    bulk: BulkIssuer
    writer: Writer
    throttle: Throttle | None
    loop: asyncio.AbstractEventLoop


_running: _Running | None = None
_ended = False


class State(NamedTuple):
    """Whether this process issues, and if not, why: None where that is still to come, or over."""

    issues: bool
    refusal: IssuanceError | None


@contextlib.asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    """An issuer for as long as the context lives; leaving it drains the queue."""
    global _running, _ended  # one process, one writer: that is what a process-wide name is for
    env: Env = settings.ENV
    numbers, keys = numbering(env), ledger.key_ring(env)
    role = databases.APPLICATION_ROLE
    published, log_key = ledger.place(env), ledger.verifier(env)
    ledger.witnesses(env)  # so that wrong ones are told at start
    limits = limits_of(env, settings.REDIS_URL, settings.SECRET_KEY)
    allocator = Allocator(fence(env), env.shard, numbers.fingerprint, role)

    async def open_session() -> WriterSession:
        return await WriterSession.open(
            settings.DATABASE_URL, role, allocator, guard, allow_unsafe=env.allow_unsafe_database
        )

    async def guard(session: Session) -> None:
        try:
            await look(session, published, log_key)
            await customer_keys.check(session, keys)
        except CustomerKeyError as error:
            raise WrongCustomerKeysError(str(error)) from error
        except RestoredError as error:
            raise RestoredDatabaseError(str(error)) from error
        except PublicationAwayError as error:
            raise UnavailableError(str(error)) from error
        except (PublicationError, LogError) as error:
            raise RefusedError(str(error)) from error

    make_issuer, make_writer = _makers(traced=env.otel_exporter_otlp_endpoint is not None)
    writer = make_writer(open_session, numbers, queue_limit=env.queue_limit, deadline=env.deadline)
    task = asyncio.get_running_loop().create_task(writer.run())
    task.add_done_callback(_end_if_failed)
    callers = LoopCallers(deadline=env.deadline, most=env.queue_limit)
    issuer = make_issuer(
        writer,
        keys,
        callers,
        requires_key=env.issuance_requires_key,
        limits=limits,
        trusted_proxies=env.trusted_proxies,
    )
    bulk_writer = BulkWriter(open_session, numbers, deadline=env.deadline)
    counting = None if limits is None else limits.throttle
    bulk = BulkIssuer(bulk_writer, keys, limits)
    _running, _ended = _Running(issuer, bulk, writer, counting, asyncio.get_running_loop()), False
    told = Telling(writer, counting)
    telling = asyncio.get_running_loop().create_task(told.go_on())
    try:
        yield issuer
    finally:
        _running, _ended = None, True
        await asyncio.gather(writer.drain(), bulk_writer.drain())
        await task
        callers.close()
        telling.cancel()
        told.tell()
        if counting is not None:
            await counting.close()


def _end_if_failed(task: "asyncio.Task[None]") -> None:
    """A writer that fails for a reason that nobody thought of must not leave a process that answers nothing."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("The writer failed; ending this process.", exc_info=error)
        os.kill(os.getpid(), signal.SIGINT)  # without the pause that SIGTERM makes (core.worker)


def _makers(*, traced: bool) -> tuple[type[Issuer], type[Writer]]:
    """The classes of issuer and writer; what traces is imported only if something is traced."""
    if not traced:
        return Issuer, Writer
    from issuance.traced import TracedIssuer, TracedWriter  # noqa: PLC0415  # see above

    return TracedIssuer, TracedWriter


def state() -> State:
    """How this process stands; where nothing was issued yet (plain WSGI), asking begins it."""
    running = None if _ended else _current()
    return (
        State(issues=False, refusal=None) if running is None else State(running.writer.issues, running.writer.refusal)
    )


def throttle() -> Throttle | None:
    """The throttle of this process, for whoever counts what it did; None: nothing is limited, or nothing runs."""
    return None if _running is None else _running.throttle


def issue_from_thread(query: bytes, headers: Mapping[bytes, bytes], peer: str) -> Answer:
    """Issue from a thread that is not the event loop's, starting one where there is none (plain WSGI).

    Raises:
        ProblemError: ISSUES_ELSEWHERE: this instance reads all shards.
    """
    running = _current()
    return asyncio.run_coroutine_threadsafe(running.issuer.issue(query, headers, peer), running.loop).result()


def issue_together_from_thread(asked: Asked) -> Answer:
    """The same for a bulk call; raises as ``issue_from_thread`` does."""
    running = _current()
    return asyncio.run_coroutine_threadsafe(running.bulk.issue(asked), running.loop).result()


def _current() -> _Running:
    if settings.ENV.coordinator:
        raise ProblemError(problems.ISSUES_ELSEWHERE)
    with _lock:
        return _running or _start_thread()


def _start_thread() -> _Running:
    ready = threading.Event()
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    failure: list[BaseException] = []

    async def live() -> None:
        finish = asyncio.Event()
        async with issuing():
            stop.append((asyncio.get_running_loop(), finish))
            ready.set()
            await finish.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001  # handed to the thread that asked
            failure.append(error)
            ready.set()

    thread = threading.Thread(target=run, name="writer", daemon=True)
    thread.start()
    ready.wait()
    if failure:
        raise failure[0]

    def finish() -> None:
        loop, event = stop[0]
        loop.call_soon_threadsafe(event.set)
        thread.join(timeout=30)

    atexit.register(finish)
    assert _running is not None  # noqa: S101  # issuing() sets it before it is ready
    return _running
