"""What issuing promises over HTTP, in both ways in where both can keep it."""

import hashlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest

from core.server import BODY_SECONDS, HEAD_SECONDS
from tests.api.conftest import Shared
from tests.logs import Heard
from tests.plugin import Database
from tests.support.clients.http import ask
from tests.support.clients.orders import GOOD, PATH, query
from tests.support.clients.raw_http import exchange, raw_request
from tests.support.database import ledger
from tests.support.processes.service import ServiceFactory

SHARES = True


def get(port: int, raw_query: bytes | None = None, *, path: str = PATH, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    text = (query() if raw_query is None else raw_query).decode()
    return httpx.get(f"http://127.0.0.1:{port}{path}?{text}", headers=given, timeout=90)


def test_an_order_is_answered_with_a_number_that_is_in_the_ledger(port: int, database: Database) -> None:
    before = datetime.now(UTC)
    response = get(port)
    assert response.status_code == 200
    answer = response.json()
    number = answer["tracking_number"]
    assert re.fullmatch("[A-Z0-9]{1,16}", number)
    assert number[11:15] == "MYID"
    assert list(answer) == [
        *("tracking_number", "created_at", "origin_country_id", "destination_country_id", "weight_band"),
        *("request_id", "leaf_hash", "links"),
    ]
    assert (answer["origin_country_id"], answer["destination_country_id"]) == ("MY", "ID")
    assert answer["weight_band"] == "over 1 to 2 kg"
    assert answer["links"] == {
        "self": f"/v1/tracking-numbers/{number}",
        "proof": f"/v1/tracking-numbers/{number}/proof",
    }
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z", answer["created_at"])
    assert before <= datetime.fromisoformat(answer["created_at"]) <= datetime.now(UTC)
    assert number in ledger.numbers(database.owner_url)


def test_the_leaf_hash_is_that_of_the_event_as_the_ledger_has_it(port: int, database: Database) -> None:
    answer = get(port).json()
    time_text = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')".format
    columns = {
        "customer_key_id": "customer_key_id",
        "customer_tag": "encode(customer_tag, 'hex')",
        "destination": "destination",
        "number": "number",
        "order_created_at": time_text("order_created_at"),
        "origin": "origin",
        "principal": "principal",
        "request_id": "request_id::text",
        "requested_at": time_text("requested_at"),
        "weight_band": "weight_band",
    }
    statement = f"SELECT {', '.join(columns.values())} FROM issuance_event WHERE number = %s"
    with ledger.reading(database.owner_url) as session:
        row = session.execute(statement.encode(), [answer["tracking_number"]]).fetchone()
    assert row is not None
    entry = dict(zip(columns, row, strict=True)) | {"type": "issued", "version": 1}
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(b"\0" + canonical).hexdigest() == answer["leaf_hash"]


def test_what_identifies_a_customer_is_nowhere_in_the_database(port: int, database: Database) -> None:
    customer = {
        "customer_id": str(uuid4()),
        "customer_name": "Zaphod Unmistakable",
        "customer_slug": "zaphod-unmistakable",
    }
    assert get(port, query(**customer), Idempotency_Key="towel").status_code == 200
    with ledger.reading(database.owner_url) as session:
        tables = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        everything = "\n".join(
            str(row) for (table,) in tables for row in session.execute(f'SELECT t::text FROM "{table}" t').fetchall()
        )
    assert "issued" not in everything
    for secret in (*customer.values(), customer["customer_id"].replace("-", ""), "towel"):
        assert secret not in everything


def test_a_request_id_that_is_a_uuid_is_kept_and_any_other_is_replaced(port: int) -> None:
    given = str(uuid4())
    response = get(port, X_Request_ID=given.upper())
    assert response.headers["x-request-id"] == response.json()["request_id"] == given
    made = get(port, X_Request_ID="Robert'); DROP TABLE").headers["x-request-id"]
    assert UUID(made).version == 7


def test_the_slash_at_the_end_makes_no_difference(port: int) -> None:
    assert get(port, path=f"{PATH}/").status_code == 200


def test_a_plus_sign_typed_unescaped_is_taken(port: int) -> None:
    assert get(port, query(created_at=b"2018-11-20T19:29:32+08:00")).status_code == 200


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_issue_nothing_and_name_those_allowed(port: int, database: Database, method: str) -> None:
    before = ledger.count(database.owner_url)
    response = ask(port, f"{PATH}?{query().decode()}", method)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, OPTIONS"
    assert ledger.count(database.owner_url) == before


def test_options_names_the_methods_and_allows_no_other_site(port: int, database: Database) -> None:
    before = ledger.count(database.owner_url)
    response = ask(port, PATH, "OPTIONS", Origin="https://elsewhere.example")
    assert (response.status_code, response.headers["allow"]) == (204, "GET, OPTIONS")
    assert not [name for name in response.headers if name.startswith("access-control-")]
    assert ledger.count(database.owner_url) == before


def test_the_same_idempotency_key_gives_the_same_answer(port: int, database: Database) -> None:
    key = str(uuid4())
    first = get(port, Idempotency_Key=key)
    count = ledger.count(database.owner_url)
    second = get(port, Idempotency_Key=key)
    assert first.json() == second.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert ledger.count(database.owner_url) == count


def test_an_idempotency_key_with_another_order_is_refused_and_with_another_customer_is_another_key(port: int) -> None:
    key = str(uuid4())
    assert get(port, Idempotency_Key=key).status_code == 200
    for change in ({"weight": "2"}, {"customer_name": "Someone else"}, {"origin_country_id": "SG"}):
        refused = get(port, query(**change), Idempotency_Key=key)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/idempotency-key-reused")
    other = get(port, query(customer_id=str(uuid4())), Idempotency_Key=key)
    assert other.status_code == 200
    assert "idempotency-replayed" not in other.headers


def test_an_idempotency_key_sent_many_times_at_once_over_several_processes_gives_one_number(
    database: Database, service: ServiceFactory
) -> None:
    running = service(database, WEB_CONCURRENCY="2")
    before = ledger.count(database.owner_url)
    with ThreadPoolExecutor(32) as threads:
        keys = [str(uuid4()) for _ in range(8)] * 8
        answers = list(threads.map(lambda key: (key, get(running.port, Idempotency_Key=key)), keys))
    assert {response.status_code for _, response in answers} == {200}
    by_key = {key: {r.json()["tracking_number"] for k, r in answers if k == key} for key in keys}
    assert {len(numbers) for numbers in by_key.values()} == {1}
    assert ledger.count(database.owner_url) - before == 8
    running.stop()


def test_a_top_level_navigation_from_another_site_is_somebody_who_clicked(port: int) -> None:
    clicked = get(port, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    assert clicked.status_code == 200


def test_every_answer_has_the_same_security_headers_in_both_ways_in(lane_port: int, wsgi_port: int) -> None:
    ignored = {"date", "server", "x-request-id", "content-length", "connection", "vary"}
    for raw_query in (query(), query(weight="0")):
        lane, view = get(lane_port, raw_query).headers, get(wsgi_port, raw_query).headers
        assert {k: v for k, v in lane.items() if k not in ignored} == {
            k: v for k, v in view.items() if k not in ignored
        }
        assert lane["x-content-type-options"] == "nosniff"
        assert lane["cache-control"] == "no-store"
        assert lane["x-robots-tag"] == "noindex, nofollow"
        assert "server" not in lane


@pytest.mark.parametrize(
    "path",
    [
        "/docs",
        "/openapi.yaml",
        "/robots.txt",
        "/problems/overloaded",
        "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css",
    ],
)
def test_the_pages_beside_the_lane_are_there(port: int, path: str) -> None:
    response = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=90)
    assert response.status_code == 200
    assert response.headers["x-content-type-options"] == "nosniff"


def test_every_problem_type_leads_to_its_description(lane_port: int) -> None:
    document = get(lane_port, query(weight="0")).json()
    described = ask(lane_port, document["type"])
    assert described.status_code == 200
    assert document["title"] in described.text


def test_https_only_redirects_plain_requests_before_anything_is_issued(
    database: Database, service: ServiceFactory
) -> None:
    running = service(database, WEB_CONCURRENCY="1", HTTPS_ONLY="1")
    before = ledger.count(database.owner_url)
    plain = get(running.port)
    assert plain.status_code == 301
    assert plain.headers["location"].startswith("https://")
    assert ledger.count(database.owner_url) == before
    forwarded = get(running.port, X_Forwarded_Proto="https")
    assert forwarded.status_code == 200
    assert forwarded.headers["strict-transport-security"].startswith("max-age=31536000")
    running.stop()


@pytest.fixture(scope="module", autouse=True)
def unfinished(shared: Shared) -> Iterator[Future[None]]:
    """Ten seconds are waited for while the other tests run."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(wait_for_a_head_that_does_not_arrive, shared.lane_port)


def wait_for_a_head_that_does_not_arrive(lane_port: int) -> None:
    begun = time.monotonic()
    with (
        socket.create_connection(("127.0.0.1", lane_port), timeout=90) as silent,
        socket.create_connection(("127.0.0.1", lane_port), timeout=90) as slow,
    ):
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        while not (reply := slow.recv(4096)):
            pass
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert b"/problems/request-timeout" in reply
        assert silent.recv(4096) == b"", "a connection that says nothing is closed without a word"
        assert HEAD_SECONDS - 1 < time.monotonic() - begun < BODY_SECONDS


def test_a_head_that_does_not_arrive_is_answered_after_ten_seconds(unfinished: Future[None]) -> None:
    unfinished.result()


def test_requests_that_follow_each_other_on_one_connection_are_all_answered(lane_port: int) -> None:
    pipelined = raw_request(query()).replace(b"Connection: close\r\n", b"") * 3 + raw_request(query())
    with socket.create_connection(("127.0.0.1", lane_port), timeout=90) as connection:
        connection.sendall(pipelined)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    assert received.count(b"HTTP/1.1 200 OK") == 4
    assert len(set(re.findall(rb'"tracking_number":"([A-Z0-9]+)"', received))) == 4


def test_a_large_query_that_fits_is_answered_as_any_other(lane_port: int) -> None:
    reply = exchange(lane_port, raw_request(query(customer_name="é" * 200), headers=(b"X-Filler: " + b"x" * 20_000,)))
    assert reply.status == 200


def test_logs_hold_no_customer_and_no_query(
    database: Database,
    service: ServiceFactory,
    wsgi_port: int,
    heard: Heard,
    count_events: Callable[[], int],
) -> None:
    running = service(database, WEB_CONCURRENCY="1", LOG_LEVEL="DEBUG")
    before = count_events()
    assert get(running.port).status_code == 200
    assert get(running.port, query(weight="0")).status_code == 400
    exchange(running.port, raw_request(query(), headers=(b"Host: x",)))
    exchange(running.port, raw_request(query() + "&ü".encode()))
    ask(running.port, "/nothing-here?customer_name=RedBox")
    running.stop()
    assert count_events() == before + 1
    assert get(wsgi_port).status_code == 200
    assert get(wsgi_port, query(weight="0")).status_code == 400
    log = heard.read()
    assert "Started server process" in log, "this is the service's log"
    for secret in (GOOD["customer_id"], "RedBox", "redbox", "customer_name", "origin_country_id"):
        assert secret not in log
