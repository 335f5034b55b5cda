"""The load without wrk: the same orders, asked by one asyncio process; slower than wrk, so rates are only a floor.

usage: python -m benchmarks.generator <port> <connections> <orders file> <seconds> <repeated|fresh> <addresses>
"""

import asyncio
import random
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec
import uvloop

_PATIENCE = 30


def requests(orders: Path, mix: str, addresses: int = 0) -> Callable[[], bytes]:
    """A function that makes the next request; with ``addresses``, on behalf of one of so many."""
    lines = orders.read_text().splitlines()
    routes, customers, _ = map(int, lines[0].split())
    route, customer = lines[1 : routes + 1], lines[routes + 1 : routes + customers + 1]
    draws = [tuple(map(int, line.split())) for line in lines[routes + customers + 1 :]]
    source = random.Random(20261122)  # noqa: S311 - a load, not a secret
    made = 0

    def make() -> bytes:
        nonlocal made
        made += 1
        where, who = source.choice(draws)
        asked_by = customer[who - 1]
        if mix == "fresh":
            asked_by = (
                f"customer_id={uuid.UUID(int=source.getrandbits(128), version=4)}"
                f"&customer_name=Customer%20{made}&customer_slug=customer-{made}"
            )
        weight = source.randint(1, 70_000)
        moment = datetime.fromtimestamp(1_500_000_000 + source.randint(0, 150_000_000), UTC)
        hop = source.randrange(addresses) if addresses else 0
        forwarded = f"X-Forwarded-For: 198.18.{hop // 256}.{hop % 256}\r\n" if addresses else ""
        return (
            f"GET /next-tracking-number?{route[where - 1]}&weight={weight // 1000}.{weight % 1000:03d}"
            f"&created_at={moment:%Y-%m-%dT%H%%3A%M%%3A%S}%2B08%3A00&{asked_by} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"{forwarded}\r\n"
        ).encode()

    return make


class Client(asyncio.Protocol):
    """One keep-alive connection, one request at a time; it expects answers with a Content-Length."""

    def __init__(self, make: Callable[[], bytes], stop: float, seen: list[tuple[int, float]]) -> None:
        """Ask until the monotonic clock says ``stop``; append (status, seconds) per answer to ``seen``."""
        self.done = asyncio.get_running_loop().create_future()
        self.sent = 0
        self._make, self._stop, self._seen = make, stop, seen
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask first."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one, and not by inheritance
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Take an answer, ask again."""
        self._buffer += data
        head, _, body = self._buffer.partition(b"\r\n\r\n")
        _, found, rest = head.lower().partition(b"content-length:")
        if not found or len(body) < int(rest.partition(b"\r\n")[0]):
            return
        self._seen.append((int(head[9:12]), time.monotonic() - self._asked))
        self._buffer = b""
        if time.monotonic() < self._stop:
            self._ask()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Report a connection that ended too early."""
        if not self.done.done():
            self.done.set_exception(ConnectionError("closed by the server"))

    def _ask(self) -> None:
        self.sent += 1
        self._asked = time.monotonic()
        self._transport.write(self._make())


async def main(
    port: int, connections: int, orders: Path, seconds: float, mix: str, *, addresses: int
) -> dict[str, float]:
    """Load, and sum up as load.lua does."""
    make, seen = requests(orders, mix, addresses), list[tuple[int, float]]()
    loop = asyncio.get_running_loop()
    start = time.monotonic()
    clients = [
        (await loop.create_connection(lambda: Client(make, start + seconds, seen), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    ends = await asyncio.wait_for(
        asyncio.gather(*(c.done for c in clients), return_exceptions=True), seconds + _PATIENCE
    )
    waits = sorted(wait * 1e6 for _, wait in seen)
    answered = sum(status == 200 for status, _ in seen)  # noqa: PLR2004 - OK
    return {
        "sent": sum(client.sent for client in clients),
        "answered": answered,
        "refused": len(seen) - answered,
        "broken": sum(end is not None for end in ends),
        "seconds": time.monotonic() - start,
        "p50": waits[len(waits) // 2],
        "p99": waits[len(waits) * 99 // 100],
        "longest": waits[-1],
    }


if __name__ == "__main__":
    _port, _connections, _orders, _seconds, _mix, _addresses = sys.argv[1:]
    result = uvloop.run(
        main(int(_port), int(_connections), Path(_orders), float(_seconds), _mix, addresses=int(_addresses))
    )
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
