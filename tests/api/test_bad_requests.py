"""Every bad request gets its exact problem document, none gets a 500, and none issues."""

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from core import problems
from core.problems import Problem
from issuance.domain.order import NAMES
from tests.support.clients.orders import GOOD, PATH, query
from tests.support.clients.raw_http import Reply, exchange, raw_request

SHARES = True

UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Bad(NamedTuple):
    """A request, and what it is answered with.

    Attributes:
        flaws: (parameter, code, detail) of each member of ``errors``.
        lane_only: the WSGI servers stop it themselves before Django sees it.
    """

    raw: bytes
    problem: Problem
    flaws: tuple[tuple[str, str, str], ...] = ()
    lane_only: bool = False
    instance: str = PATH


FORMAT = {
    "origin_country_id": "Two letters of ISO 3166-1 alpha-2 are expected, such as MY.",
    "destination_country_id": "Two letters of ISO 3166-1 alpha-2 are expected, such as MY.",
    "weight": "Kilograms are expected, up to three decimals, such as 1.234.",
    "created_at": "RFC 3339 with an offset is expected, such as 2018-11-20T19:29:32.5+08:00.",
    "customer_id": "A UUID is expected: hex digits as 8-4-4-4-12.",
    "customer_slug": "Lower-case letters and digits in words joined by single hyphens are expected.",
}
COUNTRY = "This is not an assigned ISO 3166-1 alpha-2 code, nor XK."
WEIGHT_RANGE = "The weight must be more than 0 and at most 1000 kg."
TIME_RANGE = "The time must lie between 1970 and a day from now."
NO_SUCH_TIME = "There is no such date, time or offset."
TOO_MANY_CHARACTERS = "At most 200 characters are allowed."
CONTROL = "Control characters are not allowed."
ESCAPE = "A percent sign must be followed by two hex digits."
UTF_8 = "This is not valid UTF-8."
EMPTY = "A value is required."
REPEATED = "This parameter is given more than once."
REQUIRED = "This parameter is required."
UNKNOWN = f"There is no such parameter; these are: {', '.join(NAMES)}."
KEY = ("Idempotency-Key", "format", "1 to 255 visible ASCII characters but the comma, given once.")


def wrong(name: str, value: str | bytes, code: str, detail: str) -> Bad:
    return Bad(raw_request(query(**{name: value})), problems.INVALID_PARAMETERS, ((name, code, detail),))


def malformed(name: str, value: str | bytes) -> Bad:
    return wrong(name, value, "format", FORMAT[name])


def with_headers(
    *headers: bytes, problem: Problem, flaws: tuple[tuple[str, str, str], ...] = (), body: bytes = b""
) -> Bad:
    return Bad(raw_request(query(), headers=headers, body=body), problem, flaws)


def extra(pair: bytes, *flaws: tuple[str, str, str]) -> Bad:
    return Bad(raw_request(query() + b"&" + pair), problems.INVALID_PARAMETERS, flaws)


TABLE: dict[str, Bad] = {
    **{
        f"{name} missing": Bad(
            raw_request(query(**{name: None})), problems.INVALID_PARAMETERS, ((name, "missing", REQUIRED),)
        )
        for name in NAMES
    },
    **{f"{name} empty": wrong(name, "", "empty", EMPTY) for name in NAMES},
    **{f"{name} twice": extra(f"{name}=x".encode(), (name, "repeated", REPEATED)) for name in NAMES},
    **{
        f"{name} twice, the same": extra(query(**{n: None for n in NAMES if n != name}), (name, "repeated", REPEATED))
        for name in NAMES
    },
    "no query": Bad(
        raw_request(b""), problems.INVALID_PARAMETERS, tuple((name, "missing", REQUIRED) for name in NAMES)
    ),
    "country of one letter": malformed("origin_country_id", "M"),
    "country of three letters": malformed("origin_country_id", "MYS"),
    "country as a number": malformed("destination_country_id", "458"),
    "country with a space": malformed("destination_country_id", "M "),
    "country not assigned": wrong("origin_country_id", "ZZ", "country", COUNTRY),
    "country reserved only": wrong("destination_country_id", "UK", "country", COUNTRY),
    "country whose upper case is South Sudan": malformed("origin_country_id", "ß"),
    "country in full-width letters": malformed("origin_country_id", "ＭＹ"),
    "country with a dotless i": malformed("destination_country_id", "ıd"),
    "weight of zero": wrong("weight", "0", "range", WEIGHT_RANGE),
    "weight of zero grams": wrong("weight", "0.000", "range", WEIGHT_RANGE),
    "weight above a ton": wrong("weight", "1000.001", "range", WEIGHT_RANGE),
    "weight of five digits": malformed("weight", "10000"),
    "weight below zero": malformed("weight", "-1"),
    "weight with a plus": malformed("weight", "+1"),
    "weight of four decimals": malformed("weight", "1.2345"),
    "weight with a comma": malformed("weight", "1,5"),
    "weight without a whole": malformed("weight", ".5"),
    "weight without a fraction": malformed("weight", "1."),
    "weight with an exponent": malformed("weight", "1e2"),
    "weight with an underscore": malformed("weight", "1_0"),
    "weight not a number": malformed("weight", "NaN"),
    "weight without end": malformed("weight", "Infinity"),
    "weight in full-width digits": malformed("weight", "１.５"),
    "weight in Arabic digits": malformed("weight", "١"),
    "weight with a unit": malformed("weight", "1kg"),
    "weight with a newline": malformed("weight", "1\n"),
    "time without an offset": malformed("created_at", "2018-11-20T19:29:32"),
    "time without a time": malformed("created_at", "2018-11-20"),
    "time with a space for the T": malformed("created_at", "2018-11-20 19:29:32Z"),
    "time of seven decimals": malformed("created_at", "2018-11-20T19:29:32.1234567Z"),
    "time as a Unix time": malformed("created_at", "1542713372"),
    "time in basic format": malformed("created_at", "20181120T192932Z"),
    "time with seconds in the offset": malformed("created_at", "2018-11-20T19:29:32+08:00:00"),
    "time in full-width digits": malformed("created_at", "２018-11-20T19:29:32Z"),
    "time on 30 February": wrong("created_at", "2018-02-30T00:00:00Z", "format", NO_SUCH_TIME),
    "time at 25 o'clock": wrong("created_at", "2018-11-20T25:00:00Z", "format", NO_SUCH_TIME),
    "time in a leap second": wrong("created_at", "2016-12-31T23:59:60Z", "format", NO_SUCH_TIME),
    "time in the year 0": wrong("created_at", "0000-01-01T00:00:00Z", "format", NO_SUCH_TIME),
    "time with an offset of 24 hours": wrong("created_at", "2018-11-20T19:29:32+24:00", "format", NO_SUCH_TIME),
    "time before 1970": wrong("created_at", "1969-12-31T23:59:59Z", "range", TIME_RANGE),
    "time before 1970 by its offset": wrong("created_at", "1970-01-01T00:00:00+00:01", "range", TIME_RANGE),
    "time in the year 9999 with an offset": wrong("created_at", "9999-12-31T23:59:59-23:59", "range", TIME_RANGE),
    "customer id in braces": malformed("customer_id", "{" + GOOD["customer_id"] + "}"),
    "customer id without hyphens": malformed("customer_id", GOOD["customer_id"].replace("-", "")),
    "customer id as a URN": malformed("customer_id", "urn:uuid:" + GOOD["customer_id"]),
    "customer id cut short": malformed("customer_id", GOOD["customer_id"][:-1]),
    "customer id with a letter that is no hex digit": malformed("customer_id", "g" + GOOD["customer_id"][1:]),
    "customer id in full-width digits": malformed("customer_id", "ｄe619854-b59b-425e-9db4-943979e1bd49"),
    "name of spaces": wrong("customer_name", "   ", "empty", "A value is required, not only spaces."),
    "name of 201 characters": wrong("customer_name", "é" * 201, "length", TOO_MANY_CHARACTERS),
    "name far too long": wrong("customer_name", "x" * 3000, "length", "This value is too long."),
    "name with NUL": wrong("customer_name", "Red\0Box", "control-character", CONTROL),
    "name with a newline": wrong("customer_name", "Red\nBox", "control-character", CONTROL),
    "name with a newline at its end": wrong("customer_name", "RedBox\n", "control-character", CONTROL),
    "name with C1 control": wrong("customer_name", "Red\x85Box", "control-character", CONTROL),
    "name with a line separator": wrong("customer_name", "Red\u2028Box", "control-character", CONTROL),
    "name in Latin-1": wrong("customer_name", b"Caf%E9", "encoding", UTF_8),
    "name with a surrogate": wrong("customer_name", b"%ED%A0%80", "encoding", UTF_8),
    "name with an overlong NUL": wrong("customer_name", b"%C0%80", "encoding", UTF_8),
    "name with half an escape": wrong("customer_name", b"Red%2", "encoding", ESCAPE),
    "name with an escape that is none": wrong("customer_name", b"Red%zzBox", "encoding", ESCAPE),
    "name with a lone percent sign": wrong("customer_name", b"100%", "encoding", ESCAPE),
    "slug in capitals": malformed("customer_slug", "RedBox"),
    "slug with an underscore": malformed("customer_slug", "redbox_logistics"),
    "slug with a double hyphen": malformed("customer_slug", "redbox--logistics"),
    "slug that ends in a hyphen": malformed("customer_slug", "redbox-"),
    "slug with an umlaut": malformed("customer_slug", "rödbox"),
    "slug of 201 characters": wrong("customer_slug", "a" * 201, "length", TOO_MANY_CHARACTERS),
    "NUL in a country": malformed("origin_country_id", b"M%00"),
    "unknown parameter": extra(b"colour=red", ("colour", "unknown", UNKNOWN)),
    "unknown parameter without a value": extra(b"colour", ("colour", "unknown", UNKNOWN)),
    "an ampersand too many": extra(b"", ("", "unknown", UNKNOWN)),
    "parameter in the wrong case": extra(b"Weight=1", ("Weight", "unknown", UNKNOWN)),
    "parameter with a wrong escape in its name": extra(
        b"wei%ght=1", ("", "encoding", f"A parameter's name can't be read: {ESCAPE}")
    ),
    "33 parameters": Bad(
        raw_request(b"&".join([b"weight=1"] * 33)),
        problems.INVALID_PARAMETERS,
        (("", "too-many", "There are 33 parameters; 7 are expected."),),
    ),
    "many flaws at once": Bad(
        raw_request(query(weight="0", origin_country_id=None, customer_slug="A")),
        problems.INVALID_PARAMETERS,
        (
            ("weight", "range", WEIGHT_RANGE),
            ("customer_slug", "format", FORMAT["customer_slug"]),
            ("origin_country_id", "missing", REQUIRED),
        ),
    ),
    "a query of 100 KB": Bad(
        raw_request(query(customer_name="x" * 100_000)), problems.HEADERS_TOO_LARGE, lane_only=True, instance=""
    ),
    "headers of 100 KB": Bad(
        raw_request(query(), headers=(b"X-Filler: " + b"x" * 100_000,)),
        problems.HEADERS_TOO_LARGE,
        lane_only=True,
        instance="",
    ),
    "a header line without an end": Bad(
        raw_request(query(), headers=(b"X-Filler: " + b"x" * 400_000,))[:-60_000],
        problems.HEADERS_TOO_LARGE,
        lane_only=True,
        instance="",
    ),
    "a query with raw non-ASCII": Bad(
        raw_request(query() + "&ü=1".encode()), problems.BAD_REQUEST, lane_only=True, instance=""
    ),
    "not HTTP": Bad(b"HELLO\r\n\r\n", problems.BAD_REQUEST, lane_only=True, instance=""),
    "a body on GET": with_headers(b"Content-Length: 2", problem=problems.BODY_NOT_ALLOWED, body=b"{}"),
    "a chunked body on GET": with_headers(
        b"Transfer-Encoding: chunked", problem=problems.BODY_NOT_ALLOWED, body=b"2\r\n{}\r\n0\r\n\r\n"
    ),
    "no Host": Bad(raw_request(query(), host=None), problems.BAD_REQUEST),
    "an empty Host": Bad(raw_request(query(), host=b""), problems.BAD_REQUEST),
    "two Hosts": with_headers(b"Host: 127.0.0.1", problem=problems.BAD_REQUEST),
    "somebody else's Host": Bad(raw_request(query(), host=b"example.com"), problems.BAD_REQUEST),
    "a Host that is none": Bad(raw_request(query(), host=b"a b"), problems.BAD_REQUEST),
    "Idempotency-Key twice": with_headers(
        b"Idempotency-Key: a", b"Idempotency-Key: b", problem=problems.INVALID_HEADER, flaws=(KEY,)
    ),
    "Idempotency-Key of 256 characters": with_headers(
        b"Idempotency-Key: " + b"k" * 256, problem=problems.INVALID_HEADER, flaws=(KEY,)
    ),
    "Idempotency-Key with a space": with_headers(
        b"Idempotency-Key: a b", problem=problems.INVALID_HEADER, flaws=(KEY,)
    ),
    "Idempotency-Key beyond ASCII": with_headers(
        b"Idempotency-Key: caf\xe9", problem=problems.INVALID_HEADER, flaws=(KEY,)
    ),
    "a prefetch": with_headers(b"Sec-Purpose: prefetch", problem=problems.UNINTENDED),
    "a prerender": with_headers(b"Sec-Purpose: prefetch;prerender", problem=problems.UNINTENDED),
    "a prefetch as it used to be": with_headers(b"Purpose: prefetch", problem=problems.UNINTENDED),
    "an image on another site": with_headers(
        b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Mode: no-cors", b"Sec-Fetch-Dest: image", problem=problems.UNINTENDED
    ),
    "a frame on another site": with_headers(
        b"Sec-Fetch-Site: cross-site",
        b"Sec-Fetch-Mode: navigate",
        b"Sec-Fetch-Dest: iframe",
        problem=problems.UNINTENDED,
    ),
    **{
        f"{method.decode()}": Bad(
            raw_request(query(), method=method, headers=(b"Content-Length: 0",)), problems.METHOD_NOT_ALLOWED
        )
        for method in (b"POST", b"PUT", b"PATCH", b"DELETE")
    },
    "a path below": Bad(
        raw_request(query(), path=b"/next-tracking-number/x"), problems.NOT_FOUND, instance=f"{PATH}/x"
    ),
    "a path that is no URI unless it is escaped": Bad(
        raw_request(query(), path=b"/next-tracking-number/%C3%BC%20%3F"),
        problems.NOT_FOUND,
        instance=f"{PATH}/%C3%BC%20%3F",
    ),
}


def test_the_table_holds_what_it_should() -> None:
    assert len(TABLE) >= 60


def check(bad: Bad, reply: Reply) -> None:
    problem = bad.problem
    assert reply.status == problem.status, reply.body
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    document = reply.document
    request_id = document.pop("request_id")
    assert UUID.fullmatch(request_id)
    assert reply.headers["x-request-id"] == request_id
    expected = {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.advice,
        "instance": bad.instance,
    }
    if bad.flaws:
        keys = ("parameter", "code", "detail")
        assert document.pop("errors") == [dict(zip(keys, flaw, strict=True)) for flaw in bad.flaws]
    assert document == expected
    if problem is problems.METHOD_NOT_ALLOWED:
        assert reply.headers["allow"] == "GET, OPTIONS"


@pytest.mark.parametrize("name", TABLE)
def test_a_bad_request_is_answered_with_its_problem_by_the_lane(
    name: str, lane_port: int, count_events: Callable[[], int]
) -> None:
    before = count_events()
    check(TABLE[name], exchange(lane_port, TABLE[name].raw, method=TABLE[name].raw.split(b" ")[0].decode()))
    assert count_events() == before


@pytest.mark.parametrize("name", [name for name, bad in TABLE.items() if not bad.lane_only])
def test_a_bad_request_is_answered_with_the_same_problem_by_djangos_view(
    name: str, wsgi_port: int, count_events: Callable[[], int]
) -> None:
    before = count_events()
    check(TABLE[name], exchange(wsgi_port, TABLE[name].raw, method=TABLE[name].raw.split(b" ")[0].decode()))
    assert count_events() == before
