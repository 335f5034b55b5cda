"""The issuer of this process: on the server's own event loop under ASGI, on a thread's under plain WSGI."""

import asyncio
import atexit
import contextlib
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from core import databases
from core.env import Env, SettingsError
from core.session import Session
from issuance.allocator import Allocator
from issuance.answers import Answer
from issuance.bulk import Asked, BulkIssuer
from issuance.bulk_writer import BulkWriter
from issuance.callers import LoopCallers
from issuance.domain.errors import RefusedError, RestoredDatabaseError, UnavailableError
from issuance.domain.number import Numbering
from issuance.fence import Fence, FileFence
from issuance.issuer import Issuer
from issuance.writer import Writer
from issuance.writer_session import WriterSession
from ledger import runtime as ledger
from ledger.guard import RestoredError, look
from ledger.log import LogError
from ledger.publication import PublicationAwayError, PublicationError

logger = logging.getLogger(__name__)
_lock = threading.Lock()


class _Running(NamedTuple):
    """What issues in this process, and the loop that it belongs to."""

    issuer: Issuer
    bulk: BulkIssuer
    loop: asyncio.AbstractEventLoop


_running: _Running | None = None


def fence(env: Env) -> Fence:
    """The fence that the settings name.

    Raises:
        SettingsError: none is named, and this is not an embedded service; or what it needs is missing.
    """
    if env.fence is None:
        if env.embedded:
            return FileFence(env.data_dir / "fence")
        raise SettingsError("Production needs FENCE, outside the database's volume; see README.md, Settings.")
    if env.fence.startswith("s3://"):
        from issuance.fence_bucket import BucketFence  # noqa: PLC0415  # boto3 takes 50 MB, which a file does not need

        return BucketFence(env.fence, env)
    if env.fence.startswith(("redis://", "rediss://")):
        from issuance.fence_redis import RedisFence  # noqa: PLC0415  # likewise

        return RedisFence(env.fence, env.shard)
    return FileFence(Path(env.fence))


def numbering(env: Env) -> Numbering:
    """The numbering under NUMBER_KEY.

    Raises:
        SettingsError: there is no key yet.
    """
    if env.number_key is None:
        raise SettingsError("There is no NUMBER_KEY yet. `make run` makes one on its first start.")
    return Numbering(bytes.fromhex(env.number_key))


@contextlib.asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    """An issuer for as long as the context lives; leaving it drains the queue."""
    global _running  # noqa: PLW0603  # one process, one writer: that is what a process-wide name is for
    env: Env = settings.ENV
    numbers, keys = numbering(env), ledger.key_ring(env)
    role = databases.APPLICATION_ROLE
    published, log_key = ledger.place(env), ledger.verifier(env)
    allocator = Allocator(fence(env), env.shard, numbers.fingerprint, role)

    async def open_session() -> WriterSession:
        return await WriterSession.open(
            settings.DATABASE_URL, role, allocator, guard, allow_unsafe=env.allow_unsafe_database
        )

    async def guard(session: Session) -> None:
        try:
            await look(session, published, log_key)
        except RestoredError as error:
            raise RestoredDatabaseError(str(error)) from error
        except PublicationAwayError as error:
            raise UnavailableError(str(error)) from error
        except (PublicationError, LogError) as error:
            raise RefusedError(str(error)) from error

    writer = Writer(open_session, numbers, queue_limit=env.queue_limit, deadline=env.deadline)
    task = asyncio.get_running_loop().create_task(writer.run())
    task.add_done_callback(_end_if_failed)
    callers = LoopCallers(deadline=env.deadline, most=env.queue_limit)
    issuer = Issuer(writer, keys, callers, requires_key=env.issuance_requires_key)
    bulk_writer = BulkWriter(open_session, numbers, deadline=env.deadline)
    _running = _Running(issuer, BulkIssuer(bulk_writer, keys), asyncio.get_running_loop())
    try:
        yield issuer
    finally:
        _running = None
        await asyncio.gather(writer.drain(), bulk_writer.drain())
        await task
        callers.close()


def _end_if_failed(task: "asyncio.Task[None]") -> None:
    """A writer that fails for a reason that nobody thought of must not leave a process that answers nothing."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("The writer failed; ending this process.", exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)


def issue_from_thread(query: bytes, headers: Mapping[bytes, bytes]) -> Answer:
    """Issue from a thread that is not the event loop's, starting one where there is none (plain WSGI)."""
    running = _current()
    return asyncio.run_coroutine_threadsafe(running.issuer.issue(query, headers), running.loop).result()


def issue_together_from_thread(asked: Asked) -> Answer:
    """The same for a bulk call."""
    running = _current()
    return asyncio.run_coroutine_threadsafe(running.bulk.issue(asked), running.loop).result()


def _current() -> _Running:
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
