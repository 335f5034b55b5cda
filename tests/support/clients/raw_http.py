"""HTTP by hand: requests that no client library would send."""

import contextlib
import http.client
import json
import socket
from typing import Any, NamedTuple

from tests.support.clients.orders import PATH


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


def exchange(port: int, raw: bytes, *, method: str = "GET", seconds: float = 90.0) -> Reply:
    """Send bytes as they are, read one reply."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)  # the server may answer and close before it has read everything
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def raw_request(
    query: bytes,
    *,
    method: bytes = b"GET",
    headers: tuple[bytes, ...] = (),
    host: bytes | None = b"127.0.0.1",
    body: bytes = b"",
    path: bytes = PATH.encode(),
) -> bytes:
    """One HTTP/1.1 request; nothing in it is checked or escaped."""
    lines = [method + b" " + path + (b"?" + query if query else b"") + b" HTTP/1.1"]
    if host is not None:
        lines.append(b"Host: " + host)
    lines.extend((*headers, b"Connection: close"))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
