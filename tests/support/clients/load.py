"""Many clients on keep-alive connections: a bounded load whose every answer is kept."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from tests.support.clients.orders import PATH, query


class Answered(NamedTuple):
    """One answer; ``last``: the service closes its connection."""

    status: int
    document: dict[str, Any]
    last: bool = False


class Outcome(NamedTuple):
    """What a load came to: the answers, and how many requests got none (a connection that broke)."""

    answers: list[Answered]
    broken: int

    @property
    def numbers(self) -> list[str]:
        """The numbers answered."""
        return [answer.document["tracking_number"] for answer in self.answers if answer.status == 200]

    @property
    def refused(self) -> list[Answered]:
        """The answers that hold no number."""
        return [answer for answer in self.answers if answer.status != 200]


def varied(seed: int, *, poison: float = 0.0) -> Iterator[bytes]:
    """Orders without end; ``poison`` is the share of those to Zimbabwe, which a test may make the database refuse."""
    chance = random.Random(seed)
    countries = ("MY", "ID", "SG", "DE", "FR", "US", "XK")
    while True:
        customer = int(2000 * chance.random() ** 3)
        yield query(
            origin_country_id=chance.choice(countries),
            destination_country_id="ZW" if chance.random() < poison else chance.choice(countries),
            weight=f"{chance.randrange(1, 80)}.{chance.randrange(1000):03}",
            created_at=f"2020-01-{chance.randrange(1, 29):02}T{chance.randrange(24):02}:00:00+08:00",
            customer_id=f"de619854-b59b-425e-9db4-{customer:012x}",
            customer_name=f"Customer {customer}",
            customer_slug=f"customer-{customer}",
        )


async def load(
    port: int,
    count: int,
    *,
    connections: int = 32,
    poison: float = 0.0,
    seconds: float = 240.0,
    patience: float = 0.0,
    on_answer: Callable[[int], None] = lambda _: None,
    until: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Send ``count`` requests over ``connections``; each is sent once, and one that gets no answer is not repeated.

    Args:
        on_answer: called with the number of answers so far, for tests that do something midway.
        seconds: the load stops then, whatever is left.
        until: the load ends, every request answered, as soon as this holds.
        patience: for so long at first, a 503 is asked again: the service is expected to recover.
    """
    answers: list[Answered] = []
    orders = varied(count, poison=poison)
    left = count
    broken = 0
    patient_until = time.monotonic() + patience

    async def client() -> None:
        nonlocal left, broken
        stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while left > 0 and not until():
            left -= 1
            try:
                stream = stream or await asyncio.open_connection("127.0.0.1", port)
                answer = await ask(*stream, next(orders))
                if answer.last:
                    stream[1].close()
                    stream = None
                if answer.status == 503 and time.monotonic() < patient_until:
                    left += 1
                    await asyncio.sleep(0.2)
                    continue
                answers.append(answer)
                on_answer(len(answers))
            except (OSError, asyncio.IncompleteReadError):
                broken += 1
                if stream is not None:
                    stream[1].close()
                stream = None
                await asyncio.sleep(0.05)
        if stream is not None:
            stream[1].close()

    async with asyncio.timeout(seconds):
        await asyncio.gather(*(client() for _ in range(connections)))
    return Outcome(answers, broken)


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, order: bytes, headers: bytes = b""
) -> Answered:
    """One request on a connection that is kept; ``headers`` are whole lines."""
    writer.write(b"GET %s?%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (PATH.encode(), order, headers))
    head = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in head if line.startswith(b"content-length"))
    body = await reader.readexactly(length)
    return Answered(int(head[0].split()[1]), msgspec.json.decode(body), last=b"connection: close" in head)
