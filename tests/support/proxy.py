"""A wire that can be cut: stands between a client and PostgreSQL's socket, and breaks connections when told to."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

CHUNK = 65_536
ROWS = b"PGCOPY\n\xff\r\n\0"
COMMIT = b"COMMIT\0"


class Wire:
    """Forwards a unix socket; each armed cut breaks one connection the next time a batch goes over it."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.folder = folder
        self.cuts_left = 0
        self.cuts_made = 0
        self.before_statement = False
        """Whether the statement is lost too, or only its reply."""
        self.at = ROWS
        """What the statement is known by."""
        self._upstream = upstream

    def url(self, url: str) -> str:
        """The same database, over this wire."""
        parts = conninfo_to_dict(url)
        return f"postgresql://{parts['user']}@/{parts['dbname']}?host={quote(str(self.folder), safe='')}&port=5432"

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        async with await asyncio.start_unix_server(self._connection, str(self.folder / ".s.PGSQL.5432")):
            ready.set()
            await stop.wait()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(self._upstream)
        cut = asyncio.Event()

        async def forth() -> None:
            while data := await reader.read(CHUNK):
                if self.at in data and self.cuts_left:
                    self.cuts_left -= 1
                    self.cuts_made += 1
                    cut.set()
                    if self.before_statement:
                        return
                upstream_writer.write(data)
                await upstream_writer.drain()
            upstream_writer.close()

        async def back() -> None:
            while data := await upstream_reader.read(CHUNK):
                if cut.is_set():
                    return  # the server has answered; nobody hears it
                writer.write(data)
                await writer.drain()

        with contextlib.suppress(OSError):
            tasks = [asyncio.ensure_future(forth()), asyncio.ensure_future(back())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
        upstream_writer.close()


@contextlib.contextmanager
def wire(folder: Path, url: str) -> Iterator[Wire]:
    """A wire to the server of ``url``, running in a thread."""
    parts = conninfo_to_dict(url)
    made = Wire(folder, f"{parts['host']}/.s.PGSQL.{parts['port']}")
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(made.serve(ready, stop),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
