"""What a list refuses, in both ways in: everything that is wrong at once, each by its parameter's name."""

from uuid import uuid4

import pytest

from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem
from tests.support.log.lists import PATH

SHARES = True

EARLY, LATE = "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"
# The query as it is sent, and the flaws that are named, in no order.
BAD = {
    "an unknown parameter": ("colour=crimson", {("colour", "unknown")}),
    "a parameter that is misspelt": ("Limit=5", {("Limit", "unknown")}),
    "an empty name": ("=5", {("", "unknown")}),
    "nothing between two ampersands": ("limit=5&&order=serial", {("", "unknown")}),
    "a name that is no UTF-8": ("%ff=5", {("", "unknown")}),
    "a parameter twice": ("limit=5&limit=5", {("limit", "repeated")}),
    "a parameter twice, once in disguise": ("limit=5&lim%69t=5", {("limit", "repeated")}),
    "a customer twice": ("customer_id={id}&customer_id={id}", {("customer_id", "repeated")}),
    "no value": ("route=", {("route", "empty")}),
    "no equals sign": ("weight_band", {("weight_band", "empty")}),
    "a value that is no UTF-8": ("route=%ff", {("route", "encoding")}),
    "half an escape": ("route=%4", {("route", "encoding")}),
    "NUL": ("route=MY-I%00", {("route", "format")}),
    "no limit": ("limit=0", {("limit", "range")}),
    "too large a limit": ("limit=1001", {("limit", "range")}),
    "a limit of 10^9": ("limit=1000000000", {("limit", "range")}),
    "a limit of 10^40": (f"limit=1{'0' * 40}", {("limit", "format")}),
    "a negative limit": ("limit=-5", {("limit", "format")}),
    "a limit with a sign": ("limit=%2B5", {("limit", "format")}),
    "a limit with a point": ("limit=5.0", {("limit", "format")}),
    "a limit with an underscore": ("limit=1_0", {("limit", "format")}),
    "a limit in other digits": ("limit=%EF%BC%95", {("limit", "format")}),
    "another order": ("order=number", {("order", "choice")}),
    "another format": ("format=xml", {("format", "choice")}),
    "a cursor of nobody's": ("cursor=AAAA", {("cursor", "cursor")}),
    "an empty cursor": ("cursor=", {("cursor", "cursor")}),
    "a cursor beyond ASCII": ("cursor=%C3%A9", {("cursor", "cursor")}),
    "a customer in braces": ("customer_id=%7B{id}%7D", {("customer_id", "format")}),
    "a customer without hyphens": ("customer_id=de619854b59b425e9db4943979e1bd49", {("customer_id", "format")}),
    "a country of three letters": ("origin_country_id=MYS", {("origin_country_id", "format")}),
    "a country that is none": ("destination_country_id=QQ", {("destination_country_id", "country")}),
    "a country that raises to another": ("origin_country_id=%C3%9F", {("origin_country_id", "format")}),
    "a route without a hyphen": ("route=MYID", {("route", "format")}),
    "a route to nowhere": ("route=MY-QQ", {("route", "country")}),
    "a weight band too high": ("weight_band=11", {("weight_band", "range")}),
    "a weight band in words": ("weight_band=heavy", {("weight_band", "format")}),
    "a request id that is none": ("request_id=1", {("request_id", "format")}),
    "API key 0": ("principal=0", {("principal", "range")}),
    "an API key beyond JSON": ("principal=9007199254740992", {("principal", "range")}),
    "a day without a time": ("issued_after=2026-11-22", {("issued_after", "format")}),
    "a time without an offset": ("issued_after=2026-11-22T00:00:00", {("issued_after", "format")}),
    "a time in other digits": (f"issued_after=%D9%A2026{EARLY[4:]}", {("issued_after", "format")}),
    "30 February": ("issued_before=2026-02-30T00:00:00Z", {("issued_before", "format")}),
    "seven fraction digits": ("issued_before=2026-11-22T00:00:00.1234567Z", {("issued_before", "format")}),
    "before 1970": ("issued_after=1969-12-31T23:59:59Z", {("issued_after", "range")}),
    "before 1970 by its offset": ("issued_after=1970-01-01T00:00:00%2B00:01", {("issued_after", "range")}),
    "the year 0": ("issued_after=0000-01-01T00:00:00Z", {("issued_after", "range")}),
    "after 9999 by its offset": ("issued_before=9999-12-31T23:59:59-00:01", {("issued_before", "range")}),
    "the year 10000": ("issued_before=10000-01-01T00:00:00Z", {("issued_before", "format")}),
    "a period backwards": (f"issued_after={LATE}&issued_before={EARLY}", {("issued_before", "range")}),
    "a period of nothing": (f"issued_after={LATE}&issued_before={LATE}", {("issued_before", "range")}),
    "a cursor for a file": ("cursor=AAAA&format=csv", {("cursor", "not-allowed")}),
    "a limit for a file": ("limit=5&format=jsonl", {("limit", "not-allowed")}),
    "a bad limit for a file": ("limit=0&format=jsonl", {("limit", "range"), ("limit", "not-allowed")}),
    "too many parameters": ("&".join(["limit=5"] * 33), {("", "too-many")}),
    "all of it": (
        f"route=x&limit=0&order=&colour=crimson&issued_after={LATE}&issued_before={EARLY}&principal=x&weight_band=99",
        {
            *(("route", "format"), ("limit", "range"), ("order", "choice"), ("colour", "unknown")),
            *(("issued_before", "range"), ("principal", "format"), ("weight_band", "range")),
        },
    ),
}
GOOD = {
    "the first and the last moment": "issued_after=1970-01-01T00:00:00Z&issued_before=9999-12-31T23:59:59.999999Z",
    "an escape in a name": "lim%69t=5",
    "leading zeros": "limit=0005",
    "the largest limit": "limit=1000",
    "a period of a microsecond": "issued_after=2026-11-22T00:00:00Z&issued_before=2026-11-22T00:00:00.000001Z",
    "a route and an origin that exclude each other": "route=MY-ID&origin_country_id=SG",
    "Kosovo": "origin_country_id=xk",
}
ID = "de619854-b59b-425e-9db4-943979e1bd49"


@pytest.mark.parametrize(("query", "flaws"), BAD.values(), ids=BAD)
def test_a_bad_query_is_refused_with_every_flaw_by_name(
    port: int, auditor: str, query: str, flaws: set[tuple[str, str]]
) -> None:
    answer = ask(port, f"{PATH}?{query.format(id=ID)}", **bearer(auditor))
    assert problem(answer) == (400, "invalid-parameters")
    errors = answer.json()["errors"]
    assert {(error["parameter"], error["code"]) for error in errors} == flaws
    assert len(errors) == len(flaws)
    said = "".join(error["detail"] for error in errors)
    for value in ("crimson", "heavy", "xml", ID, "MYS", "QQ"):
        assert value not in said, "no message repeats a value"


@pytest.mark.parametrize("query", GOOD.values(), ids=GOOD)
def test_a_good_query_is_answered(port: int, auditor: str, query: str) -> None:
    answer = ask(port, f"{PATH}?{query}&customer_id={uuid4()}", **bearer(auditor))
    assert (answer.status_code, answer.json()["results"]) == (200, [])


def test_a_list_needs_an_auditors_key(database: Database, port: int) -> None:
    assert problem(ask(port, PATH)) == (401, "unauthorized")
    assert problem(ask(port, PATH, Authorization="Bearer nobody")) == (401, "unauthorized")
    for scopes in (("issue",), ("reports", "operate")):
        assert problem(ask(port, PATH, **bearer(make_key(database, *scopes)))) == (403, "missing-scope")


def test_a_list_is_only_read_and_issuing_there_is_not_for_auditors(port: int, auditor: str) -> None:
    everything = {"GET", "POST", "HEAD", "OPTIONS"}
    for method in ("PUT", "PATCH", "DELETE"):
        answer = ask(port, PATH, method, **bearer(auditor))
        assert problem(answer) == (405, "method-not-allowed")
        assert set(answer.headers["allow"].split(", ")) == everything
    assert problem(ask(port, PATH, "POST", **bearer(auditor))) == (403, "missing-scope")
    options = ask(port, PATH, "OPTIONS")
    assert (options.status_code, set(options.headers["allow"].split(", ")), options.content) == (204, everything, b"")
    head = ask(port, PATH, "HEAD", **bearer(auditor))
    assert (head.status_code, head.content) == (200, b"")


def test_there_is_no_list_below_another_path(port: int, auditor: str) -> None:
    for path in (f"{PATH}/", "/v1/tracking-number", "/v1"):
        answer = ask(port, path, **bearer(auditor))
        assert problem(answer) == (404, "not-found")
