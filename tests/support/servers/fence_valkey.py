"""A Valkey that a fence may be kept in, reached over TCP, so that its answers can be lost and its line be cut."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from core.embedded.valkey import Valkey, socket_path
from tests.logs import LOGS
from tests.support.processes.celery_workers import client
from tests.support.processes.proc import eventually
from tests.support.processes.threads import beside

CHUNK = 65_536


class SafeValkey:
    """A Valkey that has on its disk what it answers, behind a line of ours."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self.lost = 0
        """Answers to lose: of commands that compare and swap."""
        self.up = True
        """Whether the line is up."""
        self._server = Valkey(home)
        self.start()

    @property
    def url(self) -> str:
        """The address of a fence in it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, as whoever keeps a fence in it must."""
        self._server.start()
        self.configure("appendfsync", "always")

    def configure(self, name: str, value: str) -> None:
        """Set it otherwise."""
        client(self._server).config_set(name, value)

    def setting(self, name: str) -> str:
        """How it is set."""
        return str(client(self._server).config_get(name)[name])

    def command(self, *parts: str) -> object:
        """Send it a command."""
        answer: object = client(self._server).execute_command(*parts)  # type: ignore[no-untyped-call]  # redis' own
        return answer

    def kill(self) -> None:
        """End it at once."""
        os.kill(self._server.pid, signal.SIGKILL)
        assert eventually(lambda: not self._server.running)  # its first thread may be gone before the others

    def stop(self) -> None:
        """Stop it in order."""
        self._server.stop()

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Be the line."""
        async with await asyncio.start_server(self._connection, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await stop.wait()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            behind_reader, behind_writer = await asyncio.open_unix_connection(str(socket_path(self.home)))
            cut = asyncio.Event()

            async def forth() -> None:
                while (data := await reader.read(CHUNK)) and self.up:
                    if self.lost and b"EVAL" in data:
                        self.lost -= 1
                        cut.set()
                    behind_writer.write(data)
                    await behind_writer.drain()

            async def back() -> None:
                while (data := await behind_reader.read(CHUNK)) and self.up and not cut.is_set():
                    writer.write(data)
                    await writer.drain()

            tasks = [asyncio.ensure_future(forth()), asyncio.ensure_future(back())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            behind_writer.close()
        writer.close()


@contextlib.contextmanager
def safe_valkey() -> Iterator[SafeValkey]:
    """One of its own."""
    folder = Path(tempfile.mkdtemp(prefix="vk-"))  # pytest's paths are too long for a socket
    LOGS.follow("Valkey", folder / "home/log")
    made = SafeValkey(folder / "home")
    try:
        with beside(made.serve):
            yield made
    finally:
        made.stop()
        LOGS.read()
        shutil.rmtree(folder)
