"""The web server: uvicorn under gunicorn, with the limits that uvicorn lacks (docs/adr/0006)."""

import asyncio
import socket
import struct
from typing import Any

import httptools
import uuid_utils
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn_worker import UvicornWorker

from core import problems
from core.problems import Problem

HEAD_LIMIT = 32 * 1024
"""Bytes of request line and headers together."""

HEAD_SECONDS = 10.0
"""Time for them to arrive, from the connection or from their first byte."""

BODY_SECONDS = 60.0
"""Time for a body to arrive, 16 MiB at 2 Mbit/s: whoever waits for it is a thread."""

SEND_SECONDS = 30.0
"""Time for a client to take some of what waits for it, 64 KB or more: an answer that nobody takes holds a thread."""


WHOLE_RESPONSE = "tracking.whole_response"
"""ASGI extension: ``scope["extensions"][WHOLE_RESPONSE](status, headers, body)`` answers in one call.

``headers`` are rendered lines; Date, Content-Length and Connection are added. What ASGI's two messages cost for
each answer (headers matched, lowered and joined one by one) is a fifth of an issuance.
"""

CLIENT = "tracking.client"
"""ASGI extension: ``scope["extensions"][CLIENT]`` has ``gone`` and ``cut()``, for any thread that makes a long answer.

uvicorn takes what is sent to a client that has gone and says nothing; so a thread would work on for nobody.
"""

_WITHOUT_BODY = frozenset(("GET", "HEAD", "OPTIONS"))
_RESET = struct.pack("ii", 1, 0)
"""struct linger, socket(7): closing sends RST and not FIN, which HTTP/1.0 would take for the end of the answer."""


class WholeResponse:
    """Answers one request of uvicorn's."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def __call__(self, status: int, headers: bytes, body: bytes) -> None:
        """Write the response, as ``RequestResponseCycle.send`` does with a start and a body message."""
        cycle = self._cycle
        if cycle.disconnected:
            return
        cycle.response_started = cycle.response_complete = True
        fixed = _rendered(cycle.default_headers)
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        cycle.transport.write(
            b"%s%s%scontent-length: %d\r\n%s\r\n%s" % (STATUS_LINE[status], fixed, headers, len(body), close, body)
        )
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


_last: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")


def _rendered(default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """The server's own headers (Date) as lines; it makes a new list each second."""
    global _last  # noqa: PLW0603  # a cache of one
    if _last[0] is not default_headers:
        _last = (default_headers, b"".join(b"%s: %s\r\n" % header for header in default_headers))
    return _last[1]


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection, which reads no head without end and waits for none for ever.

    One timer a connection watches a deadline that moves, where uvicorn makes and cancels one for each response.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_bytes = 0
        self._chunk = 0
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._standstill: asyncio.TimerHandle | None = None

    @property
    def gone(self) -> bool:
        """Whether nobody is there any more to take an answer."""
        return bool(self.transport.is_closing())

    def cut(self) -> None:
        """Break the connection, so that nobody takes what was sent for all there is; from any thread."""
        self.loop.call_soon_threadsafe(self._reset)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start the clock: a connection must say what it wants."""
        super().connection_made(transport)
        self._wait_at_most(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
        self._moving()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take what waits for it: give it some time."""
        super().pause_writing()
        self._moving()
        self._standstill = self.loop.call_later(SEND_SECONDS, self._reset)

    def resume_writing(self) -> None:
        """It took nearly all."""
        self._moving()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless a head that is under way has grown too large."""
        self._chunk = len(data)
        if self._in_head:
            self._head_bytes += self._chunk
            if self._head_bytes > HEAD_LIMIT:
                return self._refuse(problems.HEADERS_TOO_LARGE)
        waiting = self._in_head
        super().data_received(data)
        if self._in_head and not waiting and not self.transport.is_closing():
            self._wait_at_most(HEAD_SECONDS)
        return None

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """A head is complete; one that came in a single piece is measured here."""
        self._in_head = False
        self._deadline = None
        if self._chunk + self._head_bytes > HEAD_LIMIT:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > HEAD_LIMIT:
                self._refuse(problems.HEADERS_TOO_LARGE)
                raise httptools.HttpParserError("head too large")
        super().on_headers_complete()
        if self.scope["method"] not in _WITHOUT_BODY:
            self._wait_at_most(BODY_SECONDS)

    def on_response_complete(self) -> None:
        """Start the next request that waits, or wait for one; as uvicorn does, but for its timer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._in_head:
            self._wait_at_most(self.timeout_keep_alive)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        extensions: dict[str, Any] = {WHOLE_RESPONSE: WholeResponse(cycle), CLIENT: self}
        cycle.scope["extensions"] = extensions
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refuses, unless it was answered already."""
        del msg
        if not self.transport.is_closing():
            self._refuse(problems.BAD_REQUEST)

    def _moving(self) -> None:
        if self._standstill is not None:
            self._standstill.cancel()
            self._standstill = None

    def _reset(self) -> None:
        if (connected := self.transport.get_extra_info("socket")) is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _wait_at_most(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if self._deadline is None or self.transport.is_closing():
            return
        left = self._deadline - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._look_at_the_clock)
        elif self._in_head:
            self._refuse(problems.REQUEST_TIMEOUT)
        elif self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        elif self.flow.read_paused:
            self._wait_at_most(BODY_SECONDS)  # it is we who don't take it
        elif self.cycle.more_body and not self.cycle.response_started:
            self._refuse(problems.REQUEST_TIMEOUT)

    def _refuse(self, problem: Problem) -> None:
        request_id = str(uuid_utils.uuid7())
        body = problems.encode(problem, instance="", request_id=request_id)
        head = (
            b"content-type: %s\r\ncontent-length: %d\r\nx-request-id: %s\r\n"
            b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        ) % (problems.CONTENT_TYPE.encode(), len(body), request_id.encode())
        self.transport.write(STATUS_LINE[problem.status] + head + body)
        self.transport.close()


class Worker(UvicornWorker):  # type: ignore[misc]  # the package has no types
    """gunicorn's worker: uvloop, httptools with our limits, lifespan required, nothing that tells what serves."""

    CONFIG_KWARGS = {  # noqa: RUF012  # as uvicorn-worker declares it
        "loop": "uvloop",
        "http": LimitedProtocol,
        "ws": "none",
        "lifespan": "on",
        "interface": "asgi3",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
    }

    async def _serve(self) -> None:
        beating = asyncio.get_running_loop().create_task(self._beat())
        try:
            await super()._serve()
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        """Tell the master, by a clock that nobody sets, that the loop turns.

        uvicorn tells it by the time of day: where that is set back, it would be silent for as long, and all be killed.
        """
        while True:
            self.notify()
            await asyncio.sleep(self.timeout / 2)
