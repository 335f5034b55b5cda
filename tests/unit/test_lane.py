"""The lane under a server that knows nothing of our extension: plain ASGI, two messages."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from issuance.endpoint import IssuanceLane
from issuance.issuer import Issuer
from ledger.domain.tag import KeyRing
from tests.support.clients.orders import PATH, query
from tests.unit.test_writer import Database, writing

type Message = MutableMapping[str, Any]


async def nobody(_: bytes, __: str) -> None:
    """No header holds a key."""


def ask(scope: Message) -> list[Message]:
    """What the lane sends for a request, or [] where it leaves the request to Django."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def django(*_: object) -> None:
        """Answers nothing here."""

    async def run() -> None:
        async with writing(Database()) as writer:
            issuer = Issuer(writer, KeyRing({1: bytes(32)}), nobody, requires_key=False)
            await IssuanceLane(django, lambda: issuer)(scope, receive, send)

    asyncio.run(run())
    return sent


def request(**changes: Any) -> Message:
    plain = {"type": "http", "method": "GET", "path": PATH, "query_string": query(), "scheme": "http"}
    return plain | {"headers": [(b"host", b"localhost")]} | changes


def test_an_answer_is_a_start_and_a_body_with_every_header() -> None:
    start, body = ask(request())
    headers = dict(start["headers"])
    assert (start["type"], start["status"], body["type"]) == ("http.response.start", 200, "http.response.body")
    assert b'"tracking_number"' in body["body"]
    assert headers[b"content-length"] == b"%d" % len(body["body"])
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert len(headers[b"x-request-id"]) == 36


def test_what_is_not_plainly_in_order_is_left_to_django() -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"method": "HEAD"},
        {"path": "/docs"},
        {"headers": []},
        {"headers": [(b"host", b"localhost"), (b"host", b"localhost")]},
        {"headers": [(b"host", b"elsewhere.example")]},
    )
    for change in changes:
        assert ask(request(**change)) == [], change
