"""Bulk calls as a client sends them."""

import json
from collections.abc import Iterable
from typing import Any

import httpx

from ledger.domain.serial import BLOCK_SIZE
from tests.logs import LOGS
from tests.support.clients.api_keys import bearer
from tests.support.clients.orders import GOOD

PATH = "/v1/tracking-numbers"

OTHER_CUSTOMER = "de619854-b59b-425e-9db4-943979e1bd48"

_CLIENT = httpx.Client(timeout=180)


def order(**changes: Any) -> dict[str, Any]:
    """A good order, but for the changes; None leaves a member out."""
    LOGS.know(changes.get("customer_id") or GOOD["customer_id"])
    return {name: value for name, value in (GOOD | changes).items() if value is not None}


def orders(count: int) -> list[dict[str, Any]]:
    """So many different ones, of as many weights, of some routes and customers."""
    countries = ("MY", "ID", "SG", "DE", "XK")
    return [
        order(
            destination_country_id=countries[place % 5],
            weight=f"{place % 70}.{place % 999 + 1:03}",
            customer_id=f"de619854-b59b-425e-9db4-{place % 50:012x}",
        )
        for place in range(count)
    ]


def post(port: int, key: str, wanted: Iterable[Any] | bytes, **headers: str) -> httpx.Response:
    """One call; ``Idempotency_Key`` stands for the header Idempotency-Key."""
    given = {"Content-Type": "application/json"} | bearer(key)
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    content = wanted if isinstance(wanted, bytes) else json.dumps(list(wanted)).encode()
    return _CLIENT.post(f"http://127.0.0.1:{port}{PATH}", content=content, headers=given)


def numbers(response: httpx.Response) -> list[str]:
    """What a call was answered with."""
    assert response.status_code == 201, response.text[:500]
    return [answer["tracking_number"] for answer in response.json()]


def begins_a_block(before: int, after: int) -> bool:
    """Whether the first of two serials is the last of its block, and the other the first of a later one."""
    return before % BLOCK_SIZE == BLOCK_SIZE - 1 and after > before and after % BLOCK_SIZE == 0


def replayed(response: httpx.Response) -> bool:
    """Whether a call's answer, which must hold numbers, was given before."""
    assert response.status_code == 201, response.text[:500]
    return "idempotency-replayed" in response.headers
