"""The web process: uvicorn under gunicorn, and how it stops without failing a request (docs/adr/0018)."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]  # the package has no types
from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from core import draining
from core.env import load
from core.server import LimitedProtocol

LAST_WORDS = 0.5
"""Seconds between the last connection that is accepted and the end of those over which nothing is asked."""


class DrainingServer(Server):
    """A server that SIGTERM makes serve on for a while, each answer the last one of its connection, before it stops.

    Whoever sends requests needs that time to turn to another process: to close a connection at once is to lose the
    request that is on its way over it. Any signal that follows, or another one than SIGTERM, stops it without.
    """

    def __init__(self, config: Config, *, seconds: float, master: int) -> None:
        """Serve on for ``seconds``; ``master`` is the process id of gunicorn's."""
        super().__init__(config)
        self._seconds = seconds
        self._master = master
        self._ends: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if sig != signal.SIGTERM or self._ends is not None or not self._seconds or os.getppid() != self._master:
            super().handle_exit(sig, frame)  # a master that was killed is started again, and needs the port
        else:
            self._captured_signals.append(sig)
            self._ends = time.monotonic() + self._seconds

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop; uvicorn asks ten times a second."""
        if self._ends is not None and not self.should_exit:
            if not LimitedProtocol.leaving:
                self._leave()
            if time.monotonic() >= self._ends:
                self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; whoever was accepted last has a moment to say what it wants."""
        if LimitedProtocol.leaving:
            for server in self.servers:
                server.close()
            for each in sockets or ():
                each.close()
            await asyncio.sleep(LAST_WORDS)
        await super().shutdown(sockets)

    def _leave(self) -> None:
        LimitedProtocol.leaving = True
        for connection in list(self.server_state.connections):
            if isinstance(connection, LimitedProtocol):
                connection.leave()
        listening = [each for server in self.servers for each in server.sockets]
        if not _holds(self._master, listening):
            draining.begin()


def _holds(process: int, sockets: Sequence[socket.socket]) -> bool:
    """Whether another process has one of these sockets open.

    gunicorn's master closes its own before it tells the workers to stop. If it still listens, others serve here after
    us (it was told to reload, SIGHUP), and no proxy needs to turn away. Without /proc: no.
    """
    wanted = {f"socket:[{os.fstat(each.fileno()).st_ino}]" for each in sockets}
    with suppress(OSError):
        for name in Path(f"/proc/{process}/fd").iterdir():
            with suppress(FileNotFoundError):
                if str(name.readlink()) in wanted:
                    return True
    return False


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
        """As uvicorn-worker does, with a server that drains; there SIGQUIT stops nothing."""
        self.config.app = self.wsgi
        server = DrainingServer(self.config, seconds=load().draining, master=self.ppid)
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.handle_exit, signal.SIGQUIT, None)
        beating = asyncio.get_running_loop().create_task(self._beat())
        try:
            await server.serve(sockets=self.sockets)
        finally:
            beating.cancel()
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    async def _beat(self) -> None:
        """Tell the master, by a clock that nobody sets, that the loop turns.

        uvicorn tells it by the time of day: where that is set back, it would be silent for as long, and all be killed.
        """
        while True:
            self.notify()
            await asyncio.sleep(self.timeout / 2)
