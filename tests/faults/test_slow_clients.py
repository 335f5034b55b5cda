"""Clients who hold connections open and send their requests a byte at a time keep nobody else waiting."""

import contextlib
import resource
import select
import socket
import time
from collections.abc import Iterator

import pytest

from core.server import HEAD_SECONDS
from tests.plugin import Database
from tests.support.clients.orders import query
from tests.support.clients.raw_http import exchange, raw_request
from tests.support.processes.proc import eventually
from tests.support.processes.service import Service, ServiceFactory

SLOW = 600
FEW_FILES = 256
"""Open files that many a shell lets a process have: fewer than the slow clients take."""


@pytest.fixture(scope="module")
def running(database: Database, service: ServiceFactory) -> Service:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, hard))
    try:
        return service(database, WEB_CONCURRENCY="1")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def sent_away(client: socket.socket) -> bool:
    """Whether there is an answer, or an end, to be read."""
    return bool(select.select([client], [], [], 0)[0])


@contextlib.contextmanager
def slow_clients(port: int) -> Iterator[list[socket.socket]]:
    """Connections that each have sent half a head."""
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(SLOW):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=HEAD_SECONDS + 60))
            client.sendall(b"GET /next-tracking-number HTTP/1.1\r\nHost: local")
            held.append(client)
        yield held


def test_slow_clients_keep_nobody_waiting_and_are_sent_away(running: Service) -> None:
    with slow_clients(running.port) as held:
        silent, dripping = held[::2], held[1::2]
        answered = 0
        while not sent_away(silent[-1]):
            # A byte now and then doesn't buy a client more time.
            for client in dripping:
                with contextlib.suppress(OSError):  # it was sent away
                    client.sendall(b"h")
            assert exchange(running.port, raw_request(query())).status == 200
            answered += not sent_away(silent[-1])
            time.sleep(0.5)
        assert answered, "while the last of them was waited for"
        replies = [client.recv(16) for client in silent]
        assert all(eventually(lambda: sent_away(client)) for client in dripping)  # noqa: B023  # called at once
    assert set(replies) == {b"HTTP/1.1 408 Req"}
    assert exchange(running.port, raw_request(query())).status == 200
