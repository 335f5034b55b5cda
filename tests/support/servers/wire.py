"""A wire that can be cut: stands between clients and PostgreSQL's socket, and breaks connections when told to."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from tests.support.processes.threads import beside

CHUNK = 65_536
ROWS = b"PGCOPY\n\xff\r\n\0"
COMMIT = b"COMMIT\0"
_RESET = struct.pack("ii", 1, 0)
"""struct linger, socket(7): closing sends RST."""


class Wire:
    """Forwards to a unix socket; each armed cut breaks one connection the next time a batch goes over it."""

    def __init__(self, folder: Path | None, upstream: str) -> None:
        """Choose a folder for a socket of its own; without one it is a port of 127.0.0.1."""
        self.folder = folder
        self.port = 5432
        self.cuts_left = 0
        self.cuts_made = 0
        self.before_statement = False
        """Whether the statement is lost too, or only its reply."""
        self.at = ROWS
        """What the statement is known by."""
        self.budget: int | None = None
        """Bytes that still go over the wire, either way; then every connection breaks, and the budget is None again."""
        self._upstream = upstream
        self._live: set[asyncio.Event] = set()

    def url(self, url: str) -> str:
        """The same database, over this wire."""
        parts = conninfo_to_dict(url)
        host = "127.0.0.1" if self.folder is None else quote(str(self.folder), safe="")
        return f"postgresql://{parts['user']}@/{parts['dbname']}?host={host}&port={self.port}"

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        async with await self._listen():
            ready.set()
            await stop.wait()

    async def _listen(self) -> asyncio.Server:
        if self.folder is not None:
            return await asyncio.start_unix_server(self._connection, str(self.folder / f".s.PGSQL.{self.port}"))
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await asyncio.open_unix_connection(self._upstream)
        except OSError:  # as if it were refused at once
            writer.transport.abort()
            return
        cut, broken = asyncio.Event(), asyncio.Event()
        self._live.add(broken)

        async def forth() -> None:
            while data := await reader.read(CHUNK):
                if self.at in data and self.cuts_left:
                    self.cuts_left -= 1
                    self.cuts_made += 1
                    cut.set()
                    if self.before_statement:
                        return
                upstream_writer.write(self._spend(data))
                await upstream_writer.drain()
            upstream_writer.close()

        async def back() -> None:
            while data := await upstream_reader.read(CHUNK):
                if cut.is_set():
                    return  # the server has answered; nobody hears it
                writer.write(self._spend(data))
                await writer.drain()

        with contextlib.suppress(OSError):
            tasks = [asyncio.ensure_future(each) for each in (forth(), back(), broken.wait())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._live.discard(broken)
        self._close(writer, reset=broken.is_set())
        upstream_writer.close()

    def _close(self, writer: asyncio.StreamWriter, *, reset: bool) -> None:
        if reset and self.folder is None:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.close()

    def _spend(self, data: bytes) -> bytes:
        """As much of it as the budget allows; what breaks the wire breaks within a message, mostly."""
        if self.budget is None:
            return data
        data = data[: self.budget]
        self.budget -= len(data)
        if not self.budget:
            self.budget = None
            self.cuts_made += len(self._live)
            for each in self._live:
                each.set()
        return data


@contextlib.contextmanager
def wire(folder: Path | None, url: str) -> Iterator[Wire]:
    """A wire to the server of ``url``, running in a thread; see Wire."""
    parts = conninfo_to_dict(url)
    made = Wire(folder, f"{parts['host']}/.s.PGSQL.{parts['port']}")
    with beside(made.serve):
        yield made
