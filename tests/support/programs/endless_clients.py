"""``python -m tests.support.programs.endless_clients PORT RECORD CHECKPOINTS SEED PAUSE``: clients, and a monitor.

They write down each answer before they count it, half of them retry with an Idempotency-Key until they have a number,
and they go on, whatever becomes of the service, until SIGTERM. The monitor keeps each new checkpoint that it is shown.
"""

import asyncio
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import msgspec
from uuid_utils import uuid7

from tests.support.clients.load import Answered, ask, varied
from tests.support.log.answer_record import Line, Writer

CLIENTS = 8
PAUSE = 0.02
"""Seconds of a client between two requests, on average, unless others are given: some hundred requests a second."""
RETRY = 0.2
PATIENCE = 40.0
"""Seconds after which a client gives up an answer."""
LOOK = 0.2
"""Seconds between two looks at the checkpoint."""
_REQUESTS_OF_A_CONNECTION = 40


class Client:
    """One connection at a time, one request at a time."""

    def __init__(
        self, number: int, port: int, record: Writer, stop: asyncio.Event, *, chance: random.Random, pause: float
    ) -> None:
        self._number = number
        self._port = port
        self._record = record
        self._stop = stop
        self._chance = chance
        self._pause = pause
        self._orders = varied(chance.randrange(1 << 30))
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._left = 0

    async def run(self) -> None:
        """Ask until told to stop."""
        while not self._stop.is_set():
            await self._one(next(self._orders), str(uuid7()), keyed=self._chance.random() < 0.5)
            await self._sleep(2 * self._pause * self._chance.random())
        self._close()

    async def _one(self, order: bytes, identity: str, *, keyed: bool) -> None:
        """One order; with a key it is asked for again until it has a number."""
        given = dict(parse_qsl(order.decode()))
        headers = f"X-Request-ID: {identity}\r\n" + (f"Idempotency-Key: {identity}\r\n" if keyed else "")
        while True:
            asked = time.monotonic()
            answer = await self._ask(order, headers.encode())
            document = answer.document
            self._record.write(
                Line(
                    client=self._number,
                    request_id=identity,
                    asked=asked,
                    answered=time.monotonic(),
                    status=answer.status,
                    origin=given["origin_country_id"],
                    destination=given["destination_country_id"],
                    keyed=keyed,
                    number=document.get("tracking_number", ""),
                    created_at=document.get("created_at", ""),
                    leaf_hash=document.get("leaf_hash", ""),
                    problem=document.get("type", ""),
                )
            )
            if answer.status in {0, 503}:
                await self._sleep(RETRY)
            if answer.status not in {0, 503} or not keyed or self._stop.is_set():
                return

    async def _ask(self, order: bytes, headers: bytes) -> Answered:
        """The answer; status 0 where there was none."""
        if self._left == 0:
            self._close()
        try:
            async with asyncio.timeout(PATIENCE):
                if self._stream is None:
                    self._stream = await asyncio.open_connection("127.0.0.1", self._port)
                    self._left = self._chance.randrange(1, _REQUESTS_OF_A_CONNECTION)
                self._left -= 1
                return await ask(*self._stream, order, headers)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self._close()
            return Answered(0, {})

    def _close(self) -> None:
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()


async def watch(port: int, seen: Path, stop: asyncio.Event) -> None:
    """Keep what the log's readers are shown: each checkpoint that is another than the last, one JSON string a line."""
    last = ""
    with seen.open("ab", buffering=0) as file:
        async with httpx.AsyncClient(timeout=5) as client:
            while not stop.is_set():
                with suppress(httpx.HTTPError):
                    answer = await client.get(f"http://127.0.0.1:{port}/checkpoint")
                    if answer.status_code == httpx.codes.OK and answer.text != last:
                        last = answer.text
                        file.write(msgspec.json.encode(last) + b"\n")
                await asyncio.sleep(LOOK)


async def main(port: int, record: Path, seen: Path, seed: int, pause: float) -> None:
    """Ask and watch until SIGTERM; who waits for an answer then still gets it."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with Writer(record) as writer:
        clients = [
            Client(number, port, writer, stop, chance=random.Random(seed + number), pause=pause)
            for number in range(CLIENTS)
        ]
        await asyncio.gather(watch(port, seen, stop), *(client.run() for client in clients))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
