"""Bodies under the real server: whole, in chunks, too large, cut short; and late, which holds a thread for a while."""

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from a2wsgi import WSGIMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse

from core import body, problems, server
from core.problems import ProblemError
from core.server import LimitedProtocol
from tests.support.processes.ports import free_port
from tests.support.processes.proc import eventually

LIMIT = 1 << 20
SECONDS = 0.5
"""The patience of the server whose client is late; to others it has its own."""


class Reader:
    """Reads bodies: how many it has under way, what became of the last one, and the sizes of those it read."""

    def __init__(self) -> None:
        self.open = 0
        self.read: int | str | None = None
        self.sizes: set[int] = set()
        self.pause = 0.0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.open += 1
        request = WSGIRequest(environ)
        time.sleep(self.pause)
        try:
            self.read = len(body.read(request, LIMIT))
            self.sizes.add(self.read)
            response = HttpResponse(str(self.read))
        except ProblemError as error:
            self.read = error.problem.slug
            response = problems.respond(request, error.problem)
        finally:
            self.open -= 1
        start_response(f"{response.status_code} -", list(response.items()))
        return response


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def port(reader: Reader) -> Iterator[int]:
    """A server that reads bodies."""
    chosen = free_port()
    config = uvicorn.Config(
        WSGIMiddleware(reader, workers=4),  # type: ignore[arg-type]  # its types and uvicorn's are spelt differently
        port=chosen,
        http=LimitedProtocol,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    assert eventually(lambda: running.started)
    yield chosen
    running.should_exit = True
    thread.join()


@contextmanager
def sent(port: int, *parts: bytes) -> Iterator[socket.socket]:
    """A client that sends the start of a request, and keeps the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"\r\n".join((b"POST / HTTP/1.1", b"Host: localhost", *parts)))
        yield client


def with_length(length: int, start: bytes) -> tuple[bytes, ...]:
    return (b"Content-Length: %d" % length, b"", start)


def chunk(content: bytes) -> tuple[bytes, ...]:
    return (b"Transfer-Encoding: chunked", b"", b"%x" % len(content), content, b"")


@pytest.mark.parametrize("size", [0, 1, 65_536, LIMIT])
def test_a_body_is_read_whole_however_it_comes(port: int, size: int) -> None:
    content = b"x" * size
    whole: tuple[bytes | Iterator[bytes], ...] = (content, iter((content[:3], content[3:])))
    for each in whole:
        answer = httpx.post(f"http://127.0.0.1:{port}/", content=each, timeout=60)
        assert (answer.status_code, answer.text) == (200, str(size))


def test_a_body_that_is_too_large_is_refused_however_it_comes(port: int) -> None:
    content = b"x" * (LIMIT + 1)
    whole: tuple[bytes | Iterator[bytes], ...] = (content, iter((content,)))
    for each in whole:
        answer = httpx.post(f"http://127.0.0.1:{port}/", content=each, timeout=60)
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")


@pytest.mark.parametrize(
    "parts", [with_length(10, b"x" * 9), chunk(b"x" * 9)], ids=["a byte is missing", "no last chunk"]
)
def test_a_body_that_is_cut_short_is_none(port: int, reader: Reader, parts: tuple[bytes, ...]) -> None:
    with sent(port, *parts):
        assert eventually(lambda: reader.open == 1)
    assert eventually(lambda: reader.open == 0)
    assert reader.read == "bad-request"


@pytest.mark.parametrize(
    "parts", [with_length(10, b""), with_length(10, b"x" * 9), chunk(b"x")], ids=["none", "most", "chunks"]
)
def test_a_body_that_is_late_is_waited_for_for_a_while_only(
    port: int, reader: Reader, parts: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = server.BODY_SECONDS
    monkeypatch.setattr(server, "BODY_SECONDS", SECONDS)
    begun = time.monotonic()
    with sent(port, *parts) as client:
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 408 ")
        assert SECONDS / 2 < time.monotonic() - begun < usual - 5
        assert eventually(lambda: reader.open == 0), "its thread is free again"
    assert reader.read == "bad-request"


def test_a_body_that_is_there_may_be_worked_on_for_as_long_as_it_takes(
    port: int, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 4 * SECONDS)  # in which it comes, also where all is slow
    reader.pause = 6 * SECONDS
    small, large = (with_length(size, b"x" * size) for size in (10, LIMIT))
    with sent(port, *small) as one, sent(port, *large) as other:  # more than is taken before it is read
        for client in (one, other):
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    assert reader.sizes == {10, LIMIT}
