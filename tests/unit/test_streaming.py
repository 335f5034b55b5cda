"""Answers of any size under the real server: a few at a time, given up with their client, and never half an answer."""

import socket
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from a2wsgi import WSGIMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.http.response import HttpResponseBase
from django.test import RequestFactory

from core import problems, server, streaming
from core.problems import ProblemError
from core.server import LimitedProtocol
from tests.support.processes.ports import free_port
from tests.support.processes.proc import eventually

PIECE = b"x" * 65_536
SECONDS = 0.5
"""The patience of the server whose client takes nothing; to others it has its own."""


class Source:
    """What is streamed: pieces without end, until it is told to fail or to end."""

    def __init__(self) -> None:
        self.open = 0
        self.made = 0
        self.error: Exception | None = None
        self.pieces = 1 << 40

    def __iter__(self) -> Generator[bytes]:
        self.open += 1
        try:
            for _ in range(self.pieces):
                if self.error is not None:
                    raise self.error
                self.made += 1
                yield PIECE
        finally:
            self.open -= 1


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def port(source: Source) -> Iterator[int]:
    """A server that streams the source."""

    def answer(request: WSGIRequest) -> HttpResponseBase:
        try:
            return streaming.respond(request, iter(source), content_type="text/plain", filename="all.txt")
        except ProblemError as error:
            return problems.respond(request, error.problem)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        response = answer(WSGIRequest(environ))
        start_response(f"{response.status_code} -", list(response.items()))
        return response

    chosen = free_port()
    config = uvicorn.Config(
        WSGIMiddleware(application, workers=8),  # type: ignore[arg-type]  # its types and uvicorn's are spelt differently
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
    source.pieces = 0
    source.error = RuntimeError("the test is over")
    running.should_exit = True
    thread.join()


@contextmanager
def asked(port: int, version: bytes = b"1.1") -> Iterator[socket.socket]:
    """A client that asks and takes nothing."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"GET / HTTP/%s\r\nHost: localhost\r\n\r\n" % version)
        yield client


def get(port: int) -> httpx.Response:
    """A client that takes all."""
    return httpx.get(f"http://127.0.0.1:{port}/", timeout=60)


def everything(client: socket.socket) -> bytes:
    """All that a client gets until the connection ends; OSError where it breaks."""
    received = bytearray()
    while piece := client.recv(1 << 20):
        received += piece
        if received.endswith(b"\r\n0\r\n\r\n"):
            break
    return bytes(received)


def test_an_answer_is_sent_to_its_end_and_has_a_name(port: int, source: Source) -> None:
    source.pieces = 50
    answer = get(port)
    assert answer.content == PIECE * 50
    assert answer.headers["content-disposition"] == 'attachment; filename="all.txt"'
    source.pieces = 0
    assert get(port).content == b""
    assert eventually(lambda: not source.open)


def test_as_many_as_may_be_are_answered_at_once_and_the_next_is_told_to_come_again(port: int, source: Source) -> None:
    source.pieces = 1 << 40
    with asked(port), asked(port), asked(port):
        assert eventually(lambda: source.open == streaming.MOST)
        answer = get(port)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["type"] == "/problems/overloaded"
    assert eventually(lambda: not source.open), "they have gone"
    source.pieces = 3
    for _ in range(2 * streaming.MOST):
        assert get(port).content == PIECE * 3


def test_nothing_is_made_ahead_of_a_client_that_takes_nothing(
    port: int, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SEND_SECONDS", 60.0)

    def stands_still() -> bool:
        before = source.made
        time.sleep(0.5)
        return source.made == before

    with asked(port):
        assert eventually(lambda: source.made > 10)
        assert eventually(stands_still)
        assert source.made < 200


def test_a_client_that_takes_nothing_is_given_up(port: int, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = server.SEND_SECONDS
    monkeypatch.setattr(server, "SEND_SECONDS", SECONDS)
    with asked(port) as client:
        assert eventually(lambda: source.made > 0)
        assert eventually(lambda: not source.open, usual - 5)
        with pytest.raises(ConnectionError):
            everything(client)


def test_a_client_that_is_slow_gets_all(port: int, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SEND_SECONDS", 6 * SECONDS)  # longer than any pause, shorter than all of them
    source.pieces = 200
    begun = time.monotonic()
    received = bytearray()
    with asked(port) as client:
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += client.recv(1 << 18)
            time.sleep(0.07)
    assert time.monotonic() - begun > 6 * SECONDS
    assert received.partition(b"\r\n\r\n")[2].count(b"x") == 200 * len(PIECE)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_an_answer_that_fails_midway_never_looks_whole(
    port: int, source: Source, version: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with asked(port, version) as client:
        client.recv(1000)
        source.error = RuntimeError("the database is away\nSTATEMENT: select secret")
        with pytest.raises(ConnectionError):
            everything(client)
    assert eventually(lambda: not source.open)
    assert "An answer broke off midway: the database is away" in caplog.text
    assert "secret" not in caplog.text


def test_what_fails_at_once_is_answered_and_gives_its_place_back(source: Source) -> None:
    source.error = RuntimeError("nothing is there")
    request = RequestFactory().get("/")
    for _ in range(2 * streaming.MOST):
        with pytest.raises(RuntimeError):
            streaming.respond(request, iter(source), content_type="text/plain", filename="all.txt")
    assert not source.open


def test_under_a_server_that_cannot_tell_of_its_clients_an_answer_is_sent_all_the_same(source: Source) -> None:
    source.pieces = 3
    response = streaming.respond(RequestFactory().get("/"), iter(source), content_type="text/plain", filename="all.txt")
    assert b"".join(response) == PIECE * 3
    response.close()
    response.close()  # as middleware may
    assert not source.open
