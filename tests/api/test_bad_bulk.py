"""Every bad call gets its exact problem document, none gets a 500, and none issues; whatever way its body comes."""

import json
import socket
from collections.abc import Callable
from typing import NamedTuple

import pytest

from core import problems
from core.problems import Problem
from issuance.domain.bulk import LONGEST_BODY
from issuance.domain.order import NAMES
from tests.plugin import Database
from tests.support.clients.api_keys import make_key
from tests.support.clients.bulk import PATH, order, orders
from tests.support.clients.raw_http import Reply, exchange

SHARES = True

JSON = b"Content-Type: application/json"
KEY = ("Idempotency-Key", "format", "1 to 255 visible ASCII characters but the comma, given once.")
UNKNOWN = f"There is no such parameter; these are: {', '.join(NAMES)}."
NOT_THERE = "There is no such parameter; this operation takes none."


@pytest.fixture(scope="module")
def key(database: Database) -> str:
    return make_key(database, "issue")


def request(
    key: str, body: bytes, *headers: bytes, path: bytes = PATH.encode(), kind: bytes = JSON, length: int | None = None
) -> bytes:
    """One call, with the Content-Length of its body unless another is given; -1 is none."""
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: 127.0.0.1", f"Authorization: Bearer {key}".encode(), *headers]
    lines += [kind] if kind else []
    lines += [] if length == -1 else [b"Content-Length: %d" % (len(body) if length is None else length)]
    return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body


def chunked(key: str, *pieces: bytes) -> bytes:
    """One call whose body comes in chunks."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))
    return request(key, body, b"Transfer-Encoding: chunked", length=-1)


class Bad(NamedTuple):
    """A call but for its key, and what it is answered with.

    Attributes:
        flaws: (parameter, code, detail) of each member of ``errors``.
    """

    make: Callable[[str], bytes]
    problem: Problem
    flaws: tuple[tuple[str, str, str], ...] = ()


def malformed(body: bytes, code: str, detail: str) -> Bad:
    return Bad(lambda key: request(key, body), problems.MALFORMED_BODY, (("", code, detail),))


def invalid(body: bytes, *flaws: tuple[str, str, str]) -> Bad:
    return Bad(lambda key: request(key, body), problems.INVALID_PARAMETERS, flaws)


def kind(*headers: bytes, content_type: bytes) -> Bad:
    return Bad(lambda key: request(key, GOOD, *headers, kind=content_type), problems.UNSUPPORTED_MEDIA_TYPE)


def with_headers(*headers: bytes, problem: Problem, flaws: tuple[tuple[str, str, str], ...] = ()) -> Bad:
    return Bad(lambda key: request(key, GOOD, *headers), problem, flaws)


GOOD = json.dumps(orders(2)).encode()
NOT_JSON = "JSON is malformed: {}."
NO_ARRAY = "The body must be a JSON array of orders."
NO_OBJECT = "An order must be a JSON object."

TABLE: dict[str, Bad] = {
    "no body": malformed(b"", "json", "Input data was truncated."),
    "half a body": malformed(GOOD[:-1], "json", "Input data was truncated."),
    "a body and a half": malformed(GOOD + b"[", "json", NOT_JSON.format(f"trailing characters (byte {len(GOOD) + 1})")),
    "no JSON": malformed(b"[{]", "json", NOT_JSON.format("expected '\"' (byte 2)")),
    "one order, not in an array": malformed(json.dumps(order()).encode(), "type", NO_ARRAY),
    "null": malformed(b"null", "type", NO_ARRAY),
    "a query string": malformed(b"weight=1", "json", NOT_JSON.format("invalid character (byte 0)")),
    "an empty array": malformed(b"[]", "empty", "At least one order is expected."),
    "10,001 elements": malformed(b"[" + b"{}," * 10_000 + b"{}]", "too-many", "At most 10,000 orders are allowed."),
    "elements without end": malformed(
        b"[" + b"0," * (LONGEST_BODY // 2 - 2) + b"0]", "too-many", "At most 10,000 orders are allowed."
    ),
    "brackets without end": malformed(b"[" * LONGEST_BODY, "json", "The body is nested too deeply."),
    "UTF-16": malformed(GOOD.decode().encode("utf-16"), "json", NOT_JSON.format("invalid character (byte 0)")),
    "elements that are no objects": invalid(
        b'[1, null, "x", [], true]', *((f"[{place}]", "type", NO_OBJECT) for place in range(5))
    ),
    "an order in Latin-1": invalid(
        json.dumps([order(), order(customer_name="Caf?")]).encode().replace(b"?", b"\xe9"),
        ("[1]", "encoding", "This is not valid UTF-8."),
    ),
    "an order without end": invalid(
        json.dumps([order(), order(customer_name="x" * 20_000)]).encode(),
        ("[1]", "length", "An order has at most 16,384 bytes."),
    ),
    "a member too many": invalid(json.dumps([order(colour="red")]).encode(), ("[0].colour", "unknown", UNKNOWN)),
    "a member twice": invalid(
        json.dumps([order()]).encode().replace(b'"weight"', b'"weight": "1.234", "weight"'),
        ("[0].weight", "repeated", "This parameter is given more than once."),
    ),
    "a weight that is a float to others": invalid(
        json.dumps([order()]).encode().replace(b'"1.234"', b"1e0"),
        ("[0].weight", "format", "Kilograms are expected, up to three decimals, such as 1.234."),
    ),
    "a slug that is a number": invalid(
        json.dumps([order(customer_slug=7)]).encode(), ("[0].customer_slug", "type", "A text is expected, in quotes.")
    ),
    "a query parameter": Bad(
        lambda key: request(key, GOOD, path=f"{PATH}?weight=1&colour=red".encode()),
        problems.INVALID_PARAMETERS,
        (("weight", "unknown", NOT_THERE), ("colour", "unknown", NOT_THERE)),
    ),
    "no content type": kind(content_type=b""),
    "an empty content type": kind(content_type=b"Content-Type:"),
    "a form": kind(content_type=b"Content-Type: application/x-www-form-urlencoded"),
    "a form with files": kind(content_type=b"Content-Type: multipart/form-data; boundary=x"),
    "JSON lines": kind(content_type=b"Content-Type: application/jsonl"),
    "plain text": kind(content_type=b"Content-Type: text/plain"),
    "JSON in Latin-1": kind(content_type=b"Content-Type: application/json; charset=iso-8859-1"),
    "compressed JSON": kind(b"Content-Encoding: gzip", content_type=JSON),
    "16 MiB and a byte": Bad(lambda key: request(key, b"", length=LONGEST_BODY + 1), problems.BODY_TOO_LARGE),
    "a gigabyte": Bad(lambda key: request(key, b"", length=1 << 30), problems.BODY_TOO_LARGE),
    "Idempotency-Key twice": with_headers(
        b"Idempotency-Key: a", b"Idempotency-Key: b", problem=problems.INVALID_HEADER, flaws=(KEY,)
    ),
    "Idempotency-Key of 256 characters": with_headers(
        b"Idempotency-Key: " + b"k" * 256, problem=problems.INVALID_HEADER, flaws=(KEY,)
    ),
    "Idempotency-Key that is empty": with_headers(b"Idempotency-Key:", problem=problems.INVALID_HEADER, flaws=(KEY,)),
    "Idempotency-Key beyond ASCII": with_headers(
        b"Idempotency-Key: caf\xe9", problem=problems.INVALID_HEADER, flaws=(KEY,)
    ),
    "two Hosts": with_headers(b"Host: 127.0.0.1", problem=problems.BAD_REQUEST),
    "a slash at the end": Bad(lambda key: request(key, GOOD, path=f"{PATH}/".encode()), problems.NOT_FOUND),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_bad_call_is_answered_with_its_problem(
    name: str, port: int, key: str, count_events: Callable[[], int]
) -> None:
    before = count_events()
    bad = TABLE[name]
    reply = exchange(port, bad.make(key), method="POST")
    problem = bad.problem
    assert reply.status == problem.status, reply.body
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    document = reply.document
    assert reply.headers["x-request-id"] == document.pop("request_id")
    errors = [tuple(error.values()) for error in document.pop("errors", [])]
    assert errors == list(bad.flaws)
    assert document == {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.advice,
        "instance": f"{PATH}/" if problem is problems.NOT_FOUND else PATH,
    }
    assert count_events() == before


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"Application/JSON", b"application/json; charset=utf-8", b'application/json;charset="UTF-8"'],
)
def test_json_is_json_however_its_type_is_written(port: int, key: str, content_type: bytes) -> None:
    reply = exchange(port, request(key, GOOD, kind=b"Content-Type: " + content_type), method="POST")
    assert reply.status == 201, reply.body


def test_a_body_as_large_as_it_may_be_is_read(port: int, key: str) -> None:
    padded = b" " * (LONGEST_BODY - len(GOOD)) + GOOD
    assert exchange(port, request(key, padded), method="POST").status == 201


def test_a_body_that_comes_in_chunks_is_read_by_the_service(lane_port: int, key: str) -> None:
    reply = exchange(lane_port, chunked(key, GOOD[:7], GOOD[7:100], GOOD[100:]), method="POST")
    assert (reply.status, len(json.loads(reply.body))) == (201, 2)
    whole = b" " * (LONGEST_BODY - len(GOOD)) + GOOD
    assert exchange(lane_port, chunked(key, whole), method="POST").status == 201
    assert_problem(exchange(lane_port, chunked(key, b" ", whole), method="POST"), problems.BODY_TOO_LARGE)
    assert_problem(exchange(lane_port, chunked(key, b" " * LONGEST_BODY, GOOD), method="POST"), problems.BODY_TOO_LARGE)


def test_a_body_that_comes_in_chunks_is_refused_where_the_server_does_not_undo_them(wsgi_port: int, key: str) -> None:
    assert_problem(exchange(wsgi_port, chunked(key, GOOD), method="POST"), problems.LENGTH_REQUIRED)


def test_a_client_that_waits_to_be_told_to_go_on_is_told(lane_port: int, key: str) -> None:
    head, _, body = request(key, GOOD, b"Expect: 100-continue").partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", lane_port), timeout=90) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")


def test_a_body_that_ends_too_early_issues_nothing(lane_port: int, key: str, count_events: Callable[[], int]) -> None:
    before = count_events()
    with socket.create_connection(("127.0.0.1", lane_port), timeout=90) as connection:
        connection.sendall(request(key, GOOD, length=len(GOOD) + 1))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass
    assert count_events() == before


def assert_problem(reply: Reply, problem: Problem) -> None:
    assert (reply.status, reply.document["type"]) == (problem.status, problem.type)
