"""An S3-compatible store (moto's), and a proxy before it that fails as networks and stores do."""

import asyncio
import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.processes.threads import beside

BUCKET = "tracking"


class Fault(Enum):
    """What may become of a request."""

    BUSY = "503 SlowDown, and nothing is done"
    BROKEN = "500, and nothing is done"
    REFUSED = "the connection is closed, and nothing is done"
    LOST = "it is done, and the answer is lost"
    SILENT = "it is done, and no answer comes until whoever asked has hung up"
    LATE = "it is done only after whoever asked has hung up"


class Request(NamedTuple):
    """A request that reached the proxy; its path is that of the bucket's object."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def _never(_request: Request) -> Fault | None:
    return None


class Store:
    """A bucket, as the service reaches it, and what was asked of it."""

    def __init__(self, upstream: int) -> None:
        self.fault: Callable[[Request], Fault | None] = _never
        """Asked of each request."""
        self.conditional = True
        """Whether the store heeds If-Match and If-None-Match; many did not for long."""
        self.creates = False
        """Whether it writes what is not there under any If-Match, as MinIO's did until August 2025."""
        self.asked: Counter[str] = Counter()
        """Requests by method."""
        self.made: Counter[Fault] = Counter()
        self.checkpoints: list[bytes] = []
        """Those that were put, in the order in which the store took them."""
        self.port = 0
        self._upstream = upstream
        self._turn = asyncio.Lock()
        # Imported here: boto3 and moto cost every collection of the tests 0.6 s.
        import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  # no stubs are installed
        from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415  # no stubs either

        self.client: Any = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{upstream}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106  # it asks for none
            config=Config(s3={"addressing_style": "path"}),
        )
        self.client.create_bucket(Bucket=BUCKET)

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a process that uses it."""
        return {
            "AWS_ACCESS_KEY_ID": "test-key",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
        }

    @property
    def requests(self) -> int:
        """How many there were."""
        return self.asked.total()

    def once(self, fault: Fault, method: str = "PUT", name: str = "") -> None:
        """Let one request fail, of a method, and of an object whose path ends so."""

        def first(request: Request) -> Fault | None:
            if request.method != method or not request.path.endswith(name):
                return None
            self.fault = _never
            return fault

        self.fault = first

    def away(self) -> None:
        """Answer nothing."""
        self.fault = lambda _request: Fault.REFUSED

    def back(self) -> None:
        """Answer everything."""
        self.fault = _never

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """All there is below a prefix, by name."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        names = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return {name[len(prefix) :]: self.get(name) for name in names}

    def get(self, name: str) -> bytes:
        """One object."""
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        return content

    def download(self, prefix: str, folder: Path) -> None:
        """Copy what is below a prefix into a folder."""
        for name, content in self.objects(prefix).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Be the proxy."""
        async with await asyncio.start_server(self._connection, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await stop.wait()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            answer = await self._answer(await _read(reader, writer), reader)
            writer.write(answer)
            await writer.drain()
        writer.close()

    async def _answer(self, request: Request, reader: asyncio.StreamReader) -> bytes:
        self.asked[request.method] += 1
        fault = self.fault(request)
        if fault is not None:
            self.made[fault] += 1
        if fault in {Fault.BUSY, Fault.BROKEN}:
            status, code = ("503 Slow Down", "SlowDown") if fault is Fault.BUSY else ("500 Oh", "InternalError")
            body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
            return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        if fault is Fault.REFUSED:
            return b""
        if fault is Fault.LATE:
            await reader.read()
        answer = await self._forward(request)
        if fault is Fault.SILENT:
            await reader.read()
        return answer if fault is None else b""

    def _has(self, request: Request) -> bool:
        name = request.path.removeprefix(f"/{BUCKET}/")
        return bool(self.client.list_objects_v2(Bucket=BUCKET, Prefix=name)["KeyCount"])

    async def _forward(self, request: Request) -> bytes:
        """Ask moto: one request at a time, since it compares and then swaps, with room in between for others."""
        headers = {name: value for name, value in request.headers.items() if name not in {"expect", "connection"}}
        if not self.conditional or (self.creates and not self._has(request)):
            headers = {name: value for name, value in headers.items() if name not in {"if-match", "if-none-match"}}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        async with self._turn:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
            writer.write(f"{request.method} {request.path} HTTP/1.1\r\n{head}connection: close\r\n\r\n".encode())
            writer.write(request.body)
            answer = await reader.read()
            writer.close()
        if request.method == "PUT" and request.path.endswith("/checkpoint") and b" 200 " in answer[:20]:
            self.checkpoints.append(request.body)
        return answer


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = lines[0].split(" ")
    pairs = (line.split(":", 1) for line in lines[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    if "expect" in headers:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


@contextlib.contextmanager
def store() -> Iterator[Store]:
    """A store of its own, with an empty bucket; both parts run in threads."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would log each request
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  # see Store

    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    made = Store(moto.get_host_and_port()[1])
    try:
        with beside(made.serve):
            yield made
    finally:
        moto.stop()
