"""A customer's statistics: what is counted, for whom, and what is said about a request that is wrong."""

from uuid import uuid4

import pytest

from tests.plugin import Database
from tests.support.clients import stats
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem
from tests.support.clients.orders import PATH, query
from tests.support.clients.stats import ask_stats
from tests.support.database import ledger
from tests.support.processes.clocks import Clock
from tests.support.processes.sealers import seal

OWN, OTHER = str(uuid4()), str(uuid4())
ORDERS = (
    ("2026-02-28T23:59:59.999999Z", {"weight": "0.1"}),
    ("2026-03-01T00:00:00.000000Z", {"weight": "0.1", "destination_country_id": "SG"}),
    ("2026-03-01T23:59:59.999999Z", {"weight": "0.101"}),
    ("2026-03-03T00:00:00.000000Z", {"weight": "1000", "origin_country_id": "SG", "destination_country_id": "MY"}),
)
DAYS = [("2026-02-28", 1), ("2026-03-01", 2), ("2026-03-03", 1)]
UNKNOWN = "There is no such parameter; these are: from, to, by, format."
REPEATED = "This parameter is given more than once."
DAY = "A day is expected, such as 2026-11-22."
YEARS = "The day must lie in the years 1970 to 9999."
NO_SUCH_DAY = "There is no such day."
ORDER = "This day is not counted itself, so it must come after the one in `from`."
CHOICE = "One of these is expected: day, route, weight_band."
FORM = "One of these is expected: json, csv."
NOT_IN_A_FILE = "A file has every count: leave this out, or ask for JSON."
EMPTY = "A value is required; leave the parameter out where none is meant."


@pytest.fixture(scope="module")
def history(database: Database, lane_port: int, clock: Clock) -> int:
    """How many leaves there are: one of another customer beside each of the customer's own."""
    for moment, order in ORDERS:
        clock.stop(moment)
        for customer in (OWN, OTHER):
            made = ask(lane_port, f"{PATH}?{query(customer_id=customer, **order).decode()}")
            assert made.json()["created_at"] == moment
    clock.release()
    size = ledger.count(database.owner_url)
    seal(database, size)
    return size


@pytest.fixture(scope="module")
def reporter(database: Database, history: int) -> str:
    """A key that may see every customer's reports."""
    assert history
    return make_key(database, "reports")


@pytest.fixture(scope="module")
def own_key(database: Database, history: int) -> str:
    """A key of the one customer's."""
    assert history
    return make_key(database, "reports", customer=OWN)


def rows(port: int, key: str, query: str) -> list[tuple[str | int, ...]]:
    answer = ask_stats(port, OWN, key, query).json()
    assert answer["total"] == sum(row["count"] for row in answer["rows"])
    return [tuple(row.values()) for row in answer["rows"]]


def test_numbers_are_counted_by_day_of_utc_up_to_the_sealed_head(port: int, reporter: str, history: int) -> None:
    response = ask_stats(port, OWN, reporter)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert "etag" not in response.headers
    assert list(response.json().items()) == [
        ("customer_id", OWN),
        ("from", None),
        ("to", None),
        ("time_zone", "UTC"),
        ("by", "day"),
        ("size", history),
        ("total", 4),
        ("rows", [{"day": day, "count": count} for day, count in DAYS]),
    ]
    assert ask_stats(port, OWN, reporter, "by=day").json() == response.json()


def test_a_file_has_every_count_by_day_route_and_weight_band(port: int, reporter: str, history: int) -> None:
    lines = [
        "day,origin_country_id,destination_country_id,weight_band,weight_band_code,count",
        "2026-02-28,MY,ID,up to 0.1 kg,0,1",
        "2026-03-01,MY,ID,over 0.1 to 0.25 kg,1,1",
        "2026-03-01,MY,SG,up to 0.1 kg,0,1",
        "2026-03-03,SG,MY,over 70 kg,10,1",
    ]
    response = ask_stats(port, OWN, reporter, "format=csv")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["content-disposition"] == f'attachment; filename="customer-usage-{history}.csv"'
    assert (response.headers["cache-control"], response.headers["vary"]) == ("no-store", "Accept")
    assert response.text == "".join(f"{line}\r\n" for line in lines)
    accepted = ask(port, stats.path(OWN), **bearer(reporter), Accept="text/csv, application/json;q=0.5")
    assert accepted.text == response.text
    period = ask_stats(port, OWN, reporter, "from=2026-03-01&to=2026-03-02&format=csv")
    assert period.text.splitlines() == [lines[0], *lines[2:4]]
    assert ask_stats(port, str(uuid4()), reporter, "format=csv").text.splitlines() == lines[:1]
    head = ask(port, stats.path(OWN, "format=csv"), "HEAD", **bearer(reporter))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == response.headers["content-type"]


def test_what_is_no_form_of_the_answer_is_refused_and_the_query_wins(port: int, reporter: str) -> None:
    asked = stats.path(OWN)
    assert problem(ask(port, asked, **bearer(reporter), Accept="text/html")) == (406, "not-acceptable")
    assert ask(port, f"{asked}?format=json", **bearer(reporter), Accept="text/csv").json()["total"] == 4


def test_numbers_are_counted_by_route(port: int, reporter: str) -> None:
    answer = ask_stats(port, OWN, reporter, "by=route").json()
    assert (answer["by"], answer["total"]) == ("route", 4)
    assert answer["rows"] == [
        {"origin_country_id": "MY", "destination_country_id": "ID", "count": 2},
        {"origin_country_id": "MY", "destination_country_id": "SG", "count": 1},
        {"origin_country_id": "SG", "destination_country_id": "MY", "count": 1},
    ]


def test_numbers_are_counted_by_weight_band(port: int, reporter: str) -> None:
    answer = ask_stats(port, OWN, reporter, "by=weight_band").json()
    assert (answer["by"], answer["total"]) == ("weight_band", 4)
    assert answer["rows"] == [
        {"weight_band": "up to 0.1 kg", "weight_band_code": 0, "count": 2},
        {"weight_band": "over 0.1 to 0.25 kg", "weight_band_code": 1, "count": 1},
        {"weight_band": "over 70 kg", "weight_band_code": 10, "count": 1},
    ]


PERIODS = {
    "": DAYS,
    "from=2026-03-01": DAYS[1:],
    "to=2026-03-01": DAYS[:1],
    "from=2026-03-01&to=2026-03-02": DAYS[1:2],
    "from=2026-03-02&to=2026-03-03": [],
    "from=2026-03-02&to=2026-03-04": DAYS[2:],
    "from=1970-01-01&to=9999-12-31": DAYS,
    "to=2026-03-03&from=2026-02-28&by=day": DAYS[:2],
}


@pytest.mark.parametrize("period", PERIODS)
def test_a_period_begins_with_its_first_day_and_ends_before_its_last(port: int, reporter: str, period: str) -> None:
    assert rows(port, reporter, period) == PERIODS[period]
    answer = ask_stats(port, OWN, reporter, period).json()
    given = dict(pair.split("=") for pair in period.split("&") if pair)
    assert (answer["from"], answer["to"]) == (given.get("from"), given.get("to"))


def test_routes_and_weight_bands_are_counted_in_a_period_too(lane_port: int, reporter: str) -> None:
    period = "from=2026-03-01&to=2026-03-02"
    assert rows(lane_port, reporter, f"by=route&{period}") == [("MY", "ID", 1), ("MY", "SG", 1)]
    assert rows(lane_port, reporter, f"by=weight_band&{period}") == [
        ("up to 0.1 kg", 0, 1),
        ("over 0.1 to 0.25 kg", 1, 1),
    ]


@pytest.mark.parametrize("by", ["day", "route", "weight_band"])
def test_nobody_learns_whether_a_customer_without_numbers_exists(
    port: int, reporter: str, history: int, by: str
) -> None:
    nobody = str(uuid4())
    response = ask_stats(port, nobody, reporter, f"by={by}")
    assert (response.status_code, response.json()) == (
        200,
        {
            "customer_id": nobody,
            "from": None,
            "to": None,
            "time_zone": "UTC",
            "by": by,
            "size": history,
            "total": 0,
            "rows": [],
        },
    )


def test_an_id_in_capitals_is_the_same_customer(port: int, reporter: str) -> None:
    assert ask_stats(port, OWN.upper(), reporter).json() == ask_stats(port, OWN, reporter).json()


def test_a_key_that_is_bound_to_a_customer_sees_it_and_no_other(port: int, own_key: str, reporter: str) -> None:
    own = ask_stats(port, OWN, own_key)
    assert (own.status_code, own.json()) == (200, ask_stats(port, OWN, reporter).json())
    assert problem(ask_stats(port, OTHER, own_key)) == (404, "not-found")
    assert ask_stats(port, OTHER, reporter).status_code == 200


def test_another_customer_is_answered_as_one_that_cannot_be_and_before_anything_else_is_said(
    port: int, own_key: str
) -> None:
    answers = [ask_stats(port, customer, own_key, "by=colour") for customer in (OTHER, str(uuid4()), "nobody")]
    for answer in answers:
        assert problem(answer) == (404, "not-found")
    documents = [answer.json() for answer in answers]
    for document in documents:
        del document["instance"], document["request_id"]
    assert documents[0] == documents[1] == documents[2]
    ignored = {"date", "x-request-id", "content-length"}
    headers = [{k: v for k, v in answer.headers.items() if k not in ignored} for answer in answers]
    assert headers[0] == headers[1] == headers[2]


MALFORMED = [
    *("nobody", "0", "urn:uuid:de619854-b59b-425e-9db4-943979e1bd49", "de619854b59b425e9db4943979e1bd49"),
    *("de619854-b59b-425e-9db4-943979e1bd4", "de619854-b59b-425e-9db4-943979e1bd4g", "%00", "%20", "caf%C3%A9", "%FF"),
    *("de619854-b59b-425e-9db4-943979e1bd49%0A", "%EF%BD%84e619854-b59b-425e-9db4-943979e1bd49", "x" * 2000),
]


@pytest.mark.parametrize("customer", MALFORMED)
def test_what_is_no_customers_id_is_not_found(port: int, reporter: str, customer: str) -> None:
    assert problem(ask_stats(port, customer, reporter)) == (404, "not-found")


@pytest.mark.parametrize("path", ["", "/", "/stats/", "/stats/x"])
def test_there_is_nothing_beside_the_statistics(port: int, reporter: str, path: str) -> None:
    assert problem(ask(port, f"/v1/customers/{OWN}{path}", **bearer(reporter))) == (404, "not-found")


def test_it_needs_a_key_for_reports(port: int, database: Database, history: int) -> None:
    assert history
    for customer in (OWN, "nobody"):
        response = ask(port, stats.path(customer))
        assert problem(response) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
    for key in (make_key(database, "issue", "audit", "operate"), make_key(database, "issue", customer=OWN)):
        assert problem(ask_stats(port, OWN, key)) == (403, "missing-scope")
        assert problem(ask_stats(port, "nobody", key)) == (403, "missing-scope")


WRONG: dict[str, list[tuple[str, str, str]]] = {
    "by=colour": [("by", "choice", CHOICE)],
    "by=Day": [("by", "choice", CHOICE)],
    "by=": [("by", "empty", EMPTY)],
    "by": [("by", "empty", EMPTY)],
    "by=day&by=day": [("by", "repeated", REPEATED)],
    "from=": [("from", "empty", EMPTY)],
    "from=yesterday": [("from", "format", DAY)],
    "from=2026-3-1": [("from", "format", DAY)],
    "from=20260301": [("from", "format", DAY)],
    "from=2026-W09-7": [("from", "format", DAY)],
    "from=2026-03-01T00:00:00Z": [("from", "format", DAY)],
    "from=%202026-03-01": [("from", "format", DAY)],
    "from=2026-03-01%0A": [("from", "format", DAY)],
    "from=2026-03-01%00": [("from", "format", DAY)],
    "from=%EF%BC%92026-03-01": [("from", "format", DAY)],
    "from=-2026-03-01": [("from", "format", DAY)],
    "from=%FF": [("from", "format", DAY)],
    "to=2026-02-29": [("to", "format", NO_SUCH_DAY)],
    "to=2026-13-01": [("to", "format", NO_SUCH_DAY)],
    "to=2026-00-00": [("to", "format", NO_SUCH_DAY)],
    "from=0000-01-01": [("from", "range", YEARS)],
    "from=1969-12-31": [("from", "range", YEARS)],
    "to=1969-12-31": [("to", "range", YEARS)],
    "to=10000-01-01": [("to", "range", YEARS)],
    "from=999999-01-01": [("from", "range", YEARS)],
    "from=2026-03-02&to=2026-03-01": [("to", "range", ORDER)],
    "from=2026-03-01&to=2026-03-01": [("to", "range", ORDER)],
    "from=2026-03-01&from=2026-03-02": [("from", "repeated", REPEATED)],
    "format=CSV": [("format", "choice", FORM)],
    "format=csv&format=csv": [("format", "repeated", REPEATED)],
    "by=day&format=csv": [("by", "not-allowed", NOT_IN_A_FILE)],
    "page=2": [("page", "unknown", UNKNOWN)],
    "From=2026-03-01": [("From", "unknown", UNKNOWN)],
    "=x": [("", "unknown", UNKNOWN)],
    f"{'x' * 100}=1": [("x" * 64, "unknown", UNKNOWN)],
    "&".join(f"p{n}=1" for n in range(33)): [
        ("", "too-many", "There are 33 parameters; these are expected: from, to, by, format.")
    ],
    "by=colour&to=1969-01-01&from=x&page=2&page=3&format=xml": [
        ("by", "choice", CHOICE),
        ("to", "range", YEARS),
        ("from", "format", DAY),
        ("page", "unknown", UNKNOWN),
        ("format", "choice", FORM),
    ],
}


@pytest.mark.parametrize("query", WRONG)
def test_everything_that_is_wrong_with_a_request_is_said_at_once(port: int, reporter: str, query: str) -> None:
    response = ask_stats(port, OWN, reporter, query)
    assert problem(response) == (400, "invalid-parameters")
    keys = ("parameter", "code", "detail")
    assert response.json()["errors"] == [dict(zip(keys, flaw, strict=True)) for flaw in WRONG[query]]


def test_more_parameters_than_django_reads_are_a_bad_request(port: int, reporter: str) -> None:
    many = "&".join(f"p{n}" for n in range(1001))
    assert problem(ask_stats(port, OWN, reporter, many)) == (400, "bad-request")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_statistics_are_only_read(port: int, history: int, method: str) -> None:
    assert history
    response = ask(port, stats.path(OWN), method)
    assert problem(response) == (405, "method-not-allowed")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


def test_head_gives_the_headers_alone_and_options_the_methods(port: int, reporter: str) -> None:
    head = ask(port, stats.path(OWN), "HEAD", **bearer(reporter))
    assert (head.status_code, head.content, head.headers["cache-control"]) == (200, b"", "no-store")
    options = ask(port, stats.path(OWN), "OPTIONS")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
