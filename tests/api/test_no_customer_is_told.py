"""No answer of any operation holds a customer's id, name or slug that the caller did not send; nor one that it did."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus
from uuid import UUID, uuid4

import httpx
import pytest
import yaml

from tests.plugin import ROOT, Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.operations import WITNESSED
from tests.support.clients.orders import GOOD, PATH, query
from tests.support.database import ledger
from tests.support.processes.sealers import seal

DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "schema" / "openapi.yaml").read_text())
OPERATIONS = [f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods]
SCOPES = ("issue", "audit", "reports", "operate")
HIDDEN = {
    "customer_id": str(uuid4()),
    "customer_name": "Hidden Harbour Freight",
    "customer_slug": "hidden-harbour-freight",
}
CALLER = {"customer_id": str(uuid4()), "customer_name": "Quiet Quay Cargo", "customer_slug": "quiet-quay-cargo"}
REPEATED_KEY = "the-same-for-both"


class History(NamedTuple):
    """What there is to tell."""

    port: int
    numbers: list[str]
    keys: list[str | None]
    """What callers may have: nothing, a key for everything, and one for everything of one customer."""


def forms(customer: dict[str, str]) -> list[bytes]:
    """What would tell who a customer is, however it is written."""
    identity = UUID(customer["customer_id"])
    texts = [*customer.values(), identity.hex, quote(customer["customer_name"]), quote_plus(customer["customer_name"])]
    found = [form.lower().encode() for form in texts]
    encoded = [base64.b64encode(identity.bytes), base64.b64encode(str(identity).encode())]
    return [*found, *(each.rstrip(b"=").lower() for each in encoded)]


def tells(response: httpx.Response, customer: dict[str, str]) -> list[bytes]:
    """The forms of a customer that an answer holds, in its head or its body."""
    head = b"\n".join(name + b": " + value for name, value in response.headers.raw)
    everything = (head + b"\n" + response.content).lower()
    raw = [UUID(customer["customer_id"]).bytes] if UUID(customer["customer_id"]).bytes in response.content else []
    return raw + [form for form in forms(customer) if form in everything]


@pytest.fixture(scope="module")
def history(database: Database, lane_port: int) -> History:
    """Numbers of a customer that nobody else may learn of, sealed, in every way that there is to issue one."""
    own = make_key(database, *SCOPES, customer=HIDDEN["customer_id"])
    url = f"http://127.0.0.1:{lane_port}{PATH}?{query(**HIDDEN).decode()}"
    answers = [
        httpx.get(url, headers=headers, timeout=90)
        for headers in ({}, {"Idempotency-Key": REPEATED_KEY}, bearer(own), bearer(own) | {"Idempotency-Key": "k"})
    ]
    assert all(answer.status_code == 200 for answer in answers)
    assert [tells(answer, HIDDEN) for answer in answers] == [[]] * 4, "not even its own answers name it"
    seal(database, ledger.count(database.owner_url))
    keys = [None, make_key(database, *SCOPES), make_key(database, *SCOPES, customer=CALLER["customer_id"])]
    return History(lane_port, [answer.json()["tracking_number"] for answer in answers], keys)


def addresses(operation: str, history: History) -> Iterator[str]:
    """Paths of an operation that lead to what there is, and to what there is not."""
    _, path = operation.split()
    samples = {
        "number": [*history.numbers, "3K9M7QX2PZ4MYIDT"],
        "path": ["0/000.p/4", "entries/000.p/4", "0/000"],
        "customer_id": [CALLER["customer_id"], "nobody"],
        "day": [datetime.now(UTC).date().isoformat(), "2026-11-22", "9999-12-30"],
    }
    names = re.findall(r"\{(\w+)\}", path)
    assert len(names) <= 1, "then this needs their combinations"
    for value in samples[names[0]] if names else [""]:
        yield re.sub(r"\{\w+\}", value, path)


def parameters(operation: str) -> dict[str, str]:
    """The query parameters that an operation must have, by its own examples, and for the caller's customer."""
    described = [each for each in described_as(operation).get("parameters", []) if each["in"] == "query"]
    examples = {each["name"]: each["examples"] for each in described if each.get("required")}
    return {name: CALLER.get(name, next(iter(shown.values()))["value"]) for name, shown in examples.items()}


def body(operation: str) -> str | None:
    """The body that an operation has for its example, for the caller's customer."""
    contents = described_as(operation).get("requestBody", {}).get("content")
    if contents is None:
        return None
    text = json.dumps(next(iter(contents["application/json"]["examples"].values()))["value"])
    for name, value in CALLER.items():
        text = text.replace(GOOD[name], value)
    return text


def described_as(operation: str) -> dict[str, Any]:
    """What the document says of an operation."""
    method, path = operation.split()
    found: dict[str, Any] = DOCUMENT["paths"][path][method.lower()]
    return found


def asked(operation: str, history: History, **more: str) -> Iterator[httpx.Response]:
    """The answers to an operation, asked by everybody in every way."""
    method, _ = operation.split()
    given = parameters(operation) | more
    content = body(operation)
    always = {"Idempotency-Key": REPEATED_KEY, "Accept-Encoding": "identity"}
    if content is not None:
        always["Content-Type"] = "application/json"
    with httpx.Client(base_url=f"http://127.0.0.1:{history.port}", headers=always, timeout=90) as client:
        for key in history.keys:
            for address in addresses(operation, history):
                yield client.request(method, address, params=given, headers=bearer(key) if key else {}, content=content)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_is_told_of_a_customer_that_somebody_else_sent(history: History, operation: str) -> None:
    answers = list(asked(operation, history))
    found = any(answer.is_success for answer in answers)
    assert found or operation == WITNESSED, [answer.text for answer in answers]
    for answer in answers:
        assert tells(answer, HIDDEN) == [], answer.text


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_is_told_again_what_a_query_said_of_a_customer(history: History, operation: str) -> None:
    for answer in asked(operation, history, **HIDDEN, colour=HIDDEN["customer_name"]):
        assert tells(answer, HIDDEN) == [], answer.text


def test_what_is_looked_for_would_be_found() -> None:
    identity = UUID(HIDDEN["customer_id"])
    for content in (
        *(HIDDEN["customer_id"].upper(), identity.hex, "x Hidden Harbour freight", "hidden%20harbour%20freight"),
        *(base64.b64encode(identity.bytes), b"\0" + identity.bytes, b"a=hidden+harbour+freight&"),
    ):
        assert tells(httpx.Response(200, content=content), HIDDEN)
    assert tells(httpx.Response(200, headers={"Location": f"/x/{identity}"}), HIDDEN)
    assert not tells(httpx.Response(200, content=str(uuid4())), HIDDEN)
