"""The proxy as it ships, in front of a test's own instances, and of upstreams that misbehave."""

import os
import socketserver
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from core.embedded.process import Process
from tests.plugin import ROOT
from tests.support.clients.raw_http import exchange
from tests.support.processes.ports import free_port
from tests.support.processes.proc import eventually

SHIPPED: Final = ROOT / "deploy" / "haproxy.cfg"
CHECK: Final = b"GET /readyz "
YES: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nyes"


class Balancer(Process):
    """HAProxy with the shipped configuration, in front of ports of this machine; leaving the block stops it."""

    def __init__(self, program: Path, folder: Path, ports: Sequence[int], **settings: str) -> None:
        """Start it, and wait until it serves."""
        self.port = free_port()
        servers = folder / f"servers-{self.port}.cfg"
        lines = [f"server web-{place} 127.0.0.1:{port} check" for place, port in enumerate(ports)]
        servers.write_text("\n    ".join(["backend web from tracking", "log global", *lines]) + "\n")
        super().__init__(
            "HAProxy",
            [str(program), "-db", "-f", str(SHIPPED), "-f", str(servers)],
            environment={**os.environ, "PORT": str(self.port), **settings},
            stop_seconds=5,
        )
        try:
            assert eventually(self._serves), "HAProxy does not serve; its log is above"
        except BaseException:
            self.stop()
            raise

    def _serves(self) -> bool:
        try:
            exchange(self.port, b"not HTTP\r\n\r\n")
        except ConnectionError:
            return False
        return True


class Upstream(socketserver.ThreadingTCPServer):
    """A server that passes health checks, keeps the heads of all other requests, and does with them as it is told.

    ``answers`` are for one request after the other, the last one for all that follow: bytes, or None to break off.
    Without any it never answers.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, *answers: bytes | None) -> None:
        """Serve on a free port."""
        super().__init__(("127.0.0.1", 0), _Connection)
        self.heads: list[bytes] = []
        self.answers = list(answers)
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self.over.set()
        self.shutdown()
        self.server_close()


class _Connection(socketserver.StreamRequestHandler):
    server: Upstream

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (line := self.rfile.readline()):
                return
            head += line
        if head.startswith(CHECK):
            self.wfile.write(YES)
            return
        self.server.heads.append(head)
        answers = self.server.answers
        if not answers:
            self.server.over.wait(30)
        elif (answer := answers.pop(0) if len(answers) > 1 else answers[0]) is not None:
            self.wfile.write(answer)
