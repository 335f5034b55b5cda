"""Daily reports: days of a period, one day by route and weight band, open and closed, and what corrects it."""

import json
from base64 import b64encode
from datetime import date, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import rfc8785

from ledger.domain.weight import LABELS
from tests.logs import Heard
from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.daily_reports import PATH, ask_reports, close
from tests.support.clients.http import ask, problem
from tests.support.clients.orders import PATH as ISSUE
from tests.support.clients.orders import query
from tests.support.database import ledger
from tests.support.database.report_counts import roll_up
from tests.support.processes.clocks import Clock, of_one_day
from tests.support.processes.sealers import Sealer, seal, until_published
from tests.support.processes.service import ServiceFactory

ORDERS = (
    ("2026-02-28T23:59:59.999999Z", {"weight": "0.1"}),
    ("2026-03-01T00:00:00.000000Z", {"weight": "0.1", "destination_country_id": "SG"}),
    ("2026-03-01T12:00:00.000000Z", {"weight": "0.1"}),
    ("2026-03-01T23:59:59.999999Z", {"weight": "0.101"}),
    ("2026-03-03T00:00:00.000000Z", {"weight": "1000", "origin_country_id": "SG", "destination_country_id": "MY"}),
)
CLOSED, QUIET, OPEN = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
PERIOD = "?from=2026-02-01&to=2026-03-04"
HEAD = "day,origin_country_id,destination_country_id,weight_band,weight_band_code,count"
LINES = [
    "2026-02-28,MY,ID,up to 0.1 kg,0,1",
    "2026-03-01,MY,ID,up to 0.1 kg,0,1",
    "2026-03-01,MY,ID,over 0.1 to 0.25 kg,1,1",
    "2026-03-01,MY,SG,up to 0.1 kg,0,1",
    "2026-03-03,SG,MY,over 70 kg,10,1",
]


def issue(port: int, clock: Clock, moment: str, **order: str) -> None:
    clock.stop(moment)
    made = ask(port, f"{ISSUE}?{query(customer_id=str(uuid4()), **order).decode()}")
    assert made.json()["created_at"] == moment
    clock.release()


@pytest.fixture(scope="module")
def reports(database: Database, lane_port: int, clock: Clock) -> dict[date, bytes]:
    """A history whose days are closed but for the last one, whose event is not rolled up."""
    with Sealer(database):
        for moment, order in ORDERS:
            if moment.startswith(OPEN.isoformat()):
                until_published(database, ledger.count(database.owner_url))
                closed = close(database, "2026-03-03T00:00:00Z")
            issue(lane_port, clock, moment, **order)
        until_published(database, len(ORDERS))
    return closed


@pytest.fixture(scope="module")
def key(database: Database, reports: dict[date, bytes]) -> str:
    """A key that may see the reports."""
    assert reports
    return make_key(database, "reports")


def links(day: str, *, closed: bool) -> dict[str, str | None]:
    return {"self": f"{PATH}/{day}", "corrections": f"{PATH}/{day}/corrections" if closed else None}


def test_a_day_with_numbers_or_a_report_is_listed_up_to_the_sealed_head(port: int, key: str) -> None:
    response = ask_reports(port, key, PERIOD)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert list(response.json().items()) == [
        ("from", "2026-02-01"),
        ("to", "2026-03-04"),
        ("time_zone", "UTC"),
        ("size", 5),
        ("total", 5),
        (
            "days",
            [
                {"day": day, "total": total, "closed": closed, "corrections": 0, "links": links(day, closed=closed)}
                for day, total, closed in (
                    ("2026-02-28", 1, True),
                    ("2026-03-01", 3, True),
                    ("2026-03-02", 0, True),
                    ("2026-03-03", 1, False),
                )
            ],
        ),
    ]
    within = ask_reports(port, key, "?from=2026-03-01&to=2026-03-02").json()
    assert (within["total"], [day["day"] for day in within["days"]]) == (3, ["2026-03-01"])


def test_without_a_period_the_last_thirty_days_are_listed(port: int, key: str) -> None:
    tomorrow = of_one_day() + timedelta(days=1)
    answer = ask_reports(port, key).json()
    assert (answer["from"], answer["to"]) == ((tomorrow - timedelta(days=30)).isoformat(), tomorrow.isoformat())
    answer = ask_reports(port, key, "?to=2026-03-04").json()
    assert (answer["from"], answer["total"]) == ("2026-02-02", 5)
    answer = ask_reports(port, key, f"?from={tomorrow - timedelta(days=399)}").json()
    assert answer["to"] == tomorrow.isoformat()


def test_an_answer_that_can_be_kept_is_not_sent_again_until_it_changes(port: int, key: str) -> None:
    for path in (PERIOD, f"/{OPEN}", f"/{CLOSED}", f"/{CLOSED}?format=csv", f"/{CLOSED}/corrections"):
        answer = ask_reports(port, key, path)
        digest = sha256(answer.content)
        assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
        assert answer.headers["repr-digest"] == f"sha-256=:{b64encode(digest.digest()).decode()}:"
        again = ask_reports(port, key, path, If_None_Match=answer.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
        assert again.headers["cache-control"] == answer.headers["cache-control"]
        assert ask_reports(port, key, path, If_None_Match='"another"').content == answer.content
        for_ever = path.startswith(f"/{CLOSED}") and "corrections" not in path
        assert set(answer.headers["cache-control"].split(", ")) == (
            {"private", "max-age=31536000", "immutable"} if for_ever else {"private", "no-cache"}
        )


def test_a_closed_day_is_answered_with_its_document_byte_for_byte(
    port: int, key: str, reports: dict[date, bytes]
) -> None:
    assert list(reports) == [date(2026, 2, 28), CLOSED, QUIET]
    for day, report in reports.items():
        answer = ask_reports(port, key, f"/{day}")
        assert answer.content == report == rfc8785.dumps(answer.json())
        assert answer.headers["etag"] == f'"{sha256(report).hexdigest()}"'
    found = ask_reports(port, key, f"/{CLOSED}").json()
    assert (found["type"], found["version"], found["day"], found["time_zone"]) == (
        *("daily-report", 1),
        *("2026-03-01", "UTC"),
    )
    assert (found["total"], found["size"], found["origin"]) == (3, 4, "log.test/tracking")
    assert found["counts"] == [
        {"count": 1, "destination": "ID", "origin": "MY", "weight_band": 0},
        {"count": 1, "destination": "ID", "origin": "MY", "weight_band": 1},
        {"count": 1, "destination": "SG", "origin": "MY", "weight_band": 0},
    ]


def test_an_open_day_is_counted_up_to_the_sealed_head_in_the_same_form(port: int, key: str) -> None:
    closed, found = ask_reports(port, key, f"/{CLOSED}").json(), ask_reports(port, key, f"/{OPEN}").json()
    assert list(found) == list(closed)
    assert found == {
        "counts": [{"count": 1, "destination": "MY", "origin": "SG", "weight_band": 10}],
        "day": "2026-03-03",
        "origin": "log.test/tracking",
        "root": None,
        "signature": None,
        "size": 5,
        "time_zone": "UTC",
        "total": 1,
        "type": "open-day",
        "version": 1,
    }
    nothing = ask_reports(port, key, "/1970-01-01").json()
    assert (nothing["counts"], nothing["total"], nothing["type"]) == ([], 0, "open-day")


def test_a_day_can_be_had_as_csv(port: int, key: str) -> None:
    for day, lines in ((CLOSED, LINES[1:4]), (QUIET, []), (OPEN, LINES[4:])):
        answer = ask_reports(port, key, f"/{day}?format=csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
        assert answer.headers["content-disposition"] == f'attachment; filename="daily-{day}.csv"'
        assert answer.text == "".join(f"{line}\r\n" for line in [HEAD, *lines])
        assert ask_reports(port, key, f"/{day}", Accept="text/csv").content == answer.content
    json_again = ask_reports(port, key, f"/{CLOSED}?format=json", Accept="text/csv")
    assert json_again.headers["content-type"] == "application/json"
    assert json_again.headers["vary"] == "Accept"


def test_a_period_can_be_had_as_csv_of_any_length(port: int, key: str) -> None:
    for asked in (f"{PERIOD}&format=csv", "?from=1970-01-01&to=9999-12-31&format=csv"):
        answer = ask_reports(port, key, asked)
        assert answer.headers["content-disposition"] == 'attachment; filename="daily-5.csv"'
        assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Accept")
        assert answer.text == "".join(f"{line}\r\n" for line in [HEAD, *LINES])
    assert ask_reports(port, key, "?from=2026-01-01&to=2026-01-02&format=csv").text == f"{HEAD}\r\n"
    assert ask_reports(port, key, PERIOD, Accept="text/csv").text.splitlines() == [HEAD, *LINES]
    head = ask(port, f"{PATH}{PERIOD}&format=csv", "HEAD", **bearer(key))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/csv")


NOT_FOUND = [
    *("x", "2026-3-1", "20260301", "2026-02-29", "2026-13-01", "1969-12-31", "0000-01-01", "10000-01-01"),
    *("2026-03-01T00:00:00Z", "%EF%BC%92026-03-01", "2026-03-01%0A", "today", "9999-12-31"),
]


@pytest.mark.parametrize("rest", ["", "/corrections"])
def test_what_is_no_day_or_has_not_begun_is_not_found(port: int, key: str, rest: str) -> None:
    today = of_one_day()
    for day in (*NOT_FOUND, today + timedelta(days=1)):
        assert problem(ask_reports(port, key, f"/{day}{rest}")) == (404, "not-found")
    begun = ask_reports(port, key, f"/{today}{rest}")
    assert (begun.status_code, begun.json()["total"]) == (200, 0)


@pytest.mark.parametrize("rest", ["/", "/2026-03-01/", "/2026-03-01/x"])
def test_there_is_nothing_beside_them(port: int, key: str, rest: str) -> None:
    assert problem(ask_reports(port, key, rest)) == (404, "not-found")


ORDER = "This day is not counted itself, so it must come after the one in `from`."
KNOWN = "There is no such parameter; these are:"
LONG = "This is more than 400 days before the end; a file (text/csv) may have any number."
FORM = "One of these is expected: json, csv."
WRONG: dict[str, list[tuple[str, str, str]]] = {
    "?from=x": [("from", "format", "A day is expected, such as 2026-11-22.")],
    "?from=1969-12-31": [("from", "range", "The day must lie in the years 1970 to 9999.")],
    "?from=2026-03-01&to=2026-03-01": [("to", "range", ORDER)],
    "?from=9999-12-31": [("from", "range", "This day has not begun.")],
    "?from=2025-01-27&to=2026-03-04": [("from", "range", LONG)],
    "?from=1970-01-01": [("from", "range", LONG)],
    "?format=xml&by=day": [
        ("format", "choice", FORM),
        ("by", "unknown", f"{KNOWN} from, to, format."),
    ],
    "?to=2026-03-01&to=2026-03-02": [("to", "repeated", "This parameter is given more than once.")],
    "?to=": [("to", "empty", "A value is required; leave the parameter out where none is meant.")],
    "/2026-03-01?from=2026-03-01": [("from", "unknown", f"{KNOWN} format.")],
    "/2026-03-01?format=pdf": [("format", "choice", FORM)],
    "/2026-03-01/corrections?format=csv": [
        ("format", "unknown", "There is no such parameter; this operation takes none.")
    ],
}


@pytest.mark.parametrize("asked", WRONG)
def test_everything_that_is_wrong_with_a_request_is_said_at_once(port: int, key: str, asked: str) -> None:
    answer = ask_reports(port, key, asked)
    assert problem(answer) == (400, "invalid-parameters")
    names = ("parameter", "code", "detail")
    assert answer.json()["errors"] == [dict(zip(names, flaw, strict=True)) for flaw in WRONG[asked]]


def test_four_hundred_days_are_not_too_many(port: int, key: str) -> None:
    assert ask_reports(port, key, "?from=2025-01-28&to=2026-03-04").json()["total"] == 5


EVERY = ["", "/2026-03-01", "/2026-03-01/corrections"]


@pytest.mark.parametrize("path", EVERY)
def test_they_need_a_key_for_reports_of_all_customers(port: int, database: Database, path: str) -> None:
    answer = ask(port, PATH + path)
    assert problem(answer) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert problem(ask_reports(port, make_key(database, "audit", "issue"), path)) == (403, "missing-scope")
    own = make_key(database, "reports", customer=str(uuid4()))
    assert problem(ask_reports(port, own, path)) == (403, "other-customer")


@pytest.mark.parametrize("path", EVERY)
def test_they_are_only_read(port: int, key: str, path: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = ask(port, PATH + path, method, **bearer(key))
        assert problem(answer) == (405, "method-not-allowed")
    assert ask(port, PATH + path, "OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS"
    head = ask(port, PATH + path, "HEAD", **bearer(key))
    assert (head.status_code, head.content) == (200, b"")


def test_what_is_no_form_of_an_answer_is_refused(port: int, key: str) -> None:
    for path in EVERY[:2]:
        assert problem(ask_reports(port, key, path, Accept="text/html")) == (406, "not-acceptable")
    assert ask_reports(port, key, EVERY[2], Accept="text/html").status_code == 200, "it has one form"


def test_days_of_another_time_zone_are_not_counted_but_what_is_closed_stands(
    port: int, database: Database, key: str
) -> None:
    closed = ask_reports(port, key, f"/{CLOSED}").content
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute("UPDATE rollup_state SET time_zone = 'Asia/Tokyo'")
        try:
            for path in (PERIOD, f"{PERIOD}&format=csv", f"/{OPEN}", f"/{OPEN}?format=csv"):
                answer = ask_reports(port, key, path)
                assert problem(answer) == (503, "other-time-zone")
                assert answer.headers["retry-after"]
            assert ask_reports(port, key, f"/{CLOSED}").content == closed
        finally:
            session.execute("UPDATE rollup_state SET time_zone = 'UTC'")


def test_a_time_zone_that_there_is_not_is_named_in_the_log(
    database: Database, service: ServiceFactory, key: str, reports: dict[date, bytes], heard: Heard
) -> None:
    mistaken = service(database, initialise=False, WEB_CONCURRENCY="1", REPORT_TIME_ZONE="Europe/Pariss").port
    heard.read()
    for path in ("", PERIOD, f"{PERIOD}&format=csv", f"/{OPEN}"):
        assert problem(ask_reports(mistaken, key, path)) == (503, "other-time-zone")
    assert ask_reports(mistaken, key, f"/{CLOSED}").content == reports[CLOSED]
    said = heard.read()
    assert "REPORT_TIME_ZONE is Europe/Pariss, and there is no such time zone. Set it to one as Europe/Paris." in said
    assert "contradicts" not in said


def test_what_is_sealed_after_the_report_is_counted_and_corrects_it(
    lane_port: int, database: Database, clock: Clock, key: str, reports: dict[date, bytes]
) -> None:
    """The last test: it goes on with the history."""
    before = ask_reports(lane_port, key, f"/{CLOSED}/corrections")
    assert before.json() == {"day": "2026-03-01", "total": 0, "corrections": []}
    open_day = ask_reports(lane_port, key, f"/{OPEN}").headers["etag"]
    days = ask_reports(lane_port, key, PERIOD).headers["etag"]
    issue(lane_port, clock, "2026-03-01T08:00:00.000000Z", weight="0.1", destination_country_id="TH")
    assert ask_reports(lane_port, key, PERIOD, If_None_Match=days).status_code == 304, "it is not sealed yet"
    seal(database, 6)

    def listed() -> dict[str, Any]:
        return next(day for day in ask_reports(lane_port, key, PERIOD).json()["days"] if day["day"] == "2026-03-01")

    assert (listed()["total"], listed()["corrections"]) == (4, 1), "the roll-up has not reached it"
    assert ask_reports(lane_port, key, f"/{OPEN}", If_None_Match=open_day).status_code == 200, "the log has grown"
    roll_up(database)
    assert (listed()["total"], listed()["corrections"]) == (4, 1)
    after = ask_reports(lane_port, key, f"/{CLOSED}/corrections", If_None_Match=before.headers["etag"])
    assert after.status_code == 200
    (correction,) = after.json()["corrections"]
    assert after.json()["total"] == correction["document"]["total"] == 1
    assert correction["document"]["counts"] == [{"count": 1, "destination": "TH", "origin": "MY", "weight_band": 0}]
    assert (correction["document"]["first_leaf"], correction["document"]["end_leaf"]) == (4, 6)
    canonical = rfc8785.dumps(correction["document"])
    assert canonical in after.content
    assert correction["digest"] == sha256(canonical).hexdigest()
    assert ask_reports(lane_port, key, f"/{CLOSED}").content == reports[CLOSED]
    line = f"2026-03-01,MY,TH,{LABELS[0]},0,1"
    assert line in ask_reports(lane_port, key, f"{PERIOD}&format=csv").text
    assert line not in ask_reports(lane_port, key, f"/{CLOSED}?format=csv").text
    assert json.loads(reports[CLOSED])["total"] + 1 == listed()["total"]
