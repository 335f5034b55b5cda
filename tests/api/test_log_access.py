"""Who may read what: bundles are for auditors, the rest for everybody unless LOG_ACCESS says otherwise."""

import gzip
from hashlib import sha256

import httpx
import pytest

from ledger.domain import bundle, proof
from ledger.domain.note import SignerKey
from ledger.domain.tiles import WIDTH
from tests.logs import Heard
from tests.plugin import LEDGER_KEY, Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, ask_proof, problem
from tests.support.clients.raw_http import exchange, raw_request
from tests.support.log.history import History
from tests.support.processes.service import ServiceFactory

SHARES = True

KEY = SignerKey.parse(LEDGER_KEY).verifier
BUNDLE = "/tile/entries/000"
UNAUTHORIZED = (401, "unauthorized")
CUSTOMER = "de619854-b59b-425e-9db4-943979e1bd49"


@pytest.mark.parametrize(
    "given",
    [
        *("Bearer", "Bearer {short}", "Bearer {key}x", "Bearer {loud}", "Basic {key}", "{key}", "Bearer{key}"),
        *("Bearer {key} {key}", 'Bearer "{key}"', "Bearer None", "Bearer {other}", "Bearer {same_id}"),
    ],
)
def test_a_bundle_needs_an_auditors_key(lane_port: int, auditor: str, given: str) -> None:
    start, _, secret = auditor.rpartition("_")
    wrong = given.format(
        key=auditor,
        short=auditor[:-1],
        loud=auditor.upper(),
        other=f"tna_1_{secret}",
        same_id=f"{start}_{'0' * 32}",
    )
    for path in (BUNDLE, "/tile/entries/000.p/3", "/tile/entries/x999/999"):
        response = ask(lane_port, path, Authorization=wrong)
        assert problem(response) == UNAUTHORIZED
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scopes", [("issue",), ("reports", "operate")])
def test_a_bundle_is_not_for_keys_of_other_scopes(
    database: Database, lane_port: int, history: History, scopes: tuple[str, ...]
) -> None:
    assert history.published
    key = make_key(database, *scopes)
    assert problem(ask(lane_port, BUNDLE, **bearer(key))) == (403, "missing-scope")


def test_a_bundle_holds_all_customers_so_it_is_not_for_an_auditor_of_one(
    database: Database, lane_port: int, history: History
) -> None:
    assert history.published
    key = make_key(database, "audit", customer=CUSTOMER)
    assert problem(ask(lane_port, BUNDLE, **bearer(key))) == (403, "other-customer")


def test_a_bundle_needs_a_key_even_of_whoever_sends_none(port: int, history: History) -> None:
    assert history.published
    assert problem(ask(port, BUNDLE)) == UNAUTHORIZED
    assert problem(ask(port, BUNDLE, Authorization="")) == UNAUTHORIZED


@pytest.mark.parametrize("token", [b"caf\xe9", b"\xc3\xa9" * 20, b"\xff\xfe", b"\x80" * 40])
def test_a_key_beyond_ascii_is_a_wrong_key(port: int, token: bytes) -> None:
    headers = (b"Authorization: Bearer " + token,)
    reply = exchange(port, raw_request(b"", path=BUNDLE.encode(), headers=headers))
    assert (reply.status, reply.document["type"]) == (401, "/problems/unauthorized")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_an_auditor_gets_the_entries_that_the_tile_is_hashed_from(
    lane_port: int, auditor: str, history: History, scheme: str
) -> None:
    response = ask(lane_port, BUNDLE, Authorization=f"{scheme} {auditor}")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/octet-stream")
    assert set(response.headers["cache-control"].split(", ")) == {"private", "max-age=31536000", "immutable"}
    hashes = [sha256(b"\0" + entry).digest() for entry in bundle.read(response.content)]
    assert hashes == history.leaves[:WIDTH]
    assert b"".join(hashes) == ask(lane_port, "/tile/0/000").content


def test_a_partial_bundle_goes_as_far_as_is_published(lane_port: int, auditor: str, history: History) -> None:
    begin = 2 * WIDTH
    width = history.published - begin
    for wanted in (1, 2, width):
        response = ask(lane_port, f"/tile/entries/002.p/{wanted}", Authorization=f"Bearer {auditor}")
        assert [sha256(b"\0" + entry).digest() for entry in bundle.read(response.content)] == (
            history.leaves[begin : begin + wanted]
        )
        assert set(response.headers["cache-control"].split(", ")) == {"private", "max-age=1"}
    for path in (f"entries/002.p/{width + 1}", "entries/002", "entries/003.p/1"):
        assert problem(ask(lane_port, f"/tile/{path}", Authorization=f"Bearer {auditor}")) == (404, "beyond-the-tree")


def test_a_bundle_is_gzipped_for_whoever_takes_it(lane_port: int, auditor: str, history: History) -> None:
    assert history.published
    plain, zipped = (
        exchange(
            lane_port,
            raw_request(
                b"",
                path=BUNDLE.encode(),
                headers=(f"Authorization: Bearer {auditor}".encode(), b"Accept-Encoding: " + coding),
            ),
        )
        for coding in (b"identity", b"gzip")
    )
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert plain.headers["vary"] == zipped.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(zipped.body) == plain.body
    assert len(zipped.body) < len(plain.body) / 2
    etag = zipped.headers["etag"]
    again = ask(lane_port, BUNDLE, Authorization=f"Bearer {auditor}", If_None_Match=etag, Accept_Encoding="gzip")
    assert (again.status_code, again.content) == (304, b"")


def test_the_log_can_be_closed_to_all_but_auditors(closed_port: int, auditor: str, history: History) -> None:
    for path in ("/checkpoint", "/tile/0/000", "/tile/0/001.p/2", "/tile/1/000.p/1", "/tile/0/x999/999", BUNDLE):
        response = ask(closed_port, path)
        assert problem(response) == UNAUTHORIZED, path
        assert response.headers["www-authenticate"] == "Bearer"
        head = ask(closed_port, path, "HEAD")
        assert (head.status_code, head.content) == (401, b"")
    for path in ("/checkpoint", "/tile/0/000", "/tile/0/001.p/2", "/tile/1/000.p/1", BUNDLE):
        response = ask(closed_port, path, Authorization=f"Bearer {auditor}")
        assert response.status_code == 200, path
        directives = response.headers["cache-control"].split(", ")
        assert "private" in directives
        assert "public" not in directives, "no shared cache may keep it"
    index = history.published - 1
    proven = ask_proof(closed_port, history.numbers[index])
    assert proof.verify(proven.text, KEY, history.leaves[index])[0] == index, "whoever has the number may have it"


def test_logs_hold_no_query_and_a_number_only_in_its_path(
    database: Database, history: History, auditor: str, service: ServiceFactory, heard: Heard
) -> None:
    running = service(database, initialise=False, WEB_CONCURRENCY="1", LOG_LEVEL="DEBUG")
    sealed, fresh = history.numbers[0], history.numbers[-1]
    base = f"http://127.0.0.1:{running.port}"
    with httpx.Client(headers=bearer(auditor), timeout=90) as client:
        for number in (sealed, fresh, "3K9M7QX2PZ4MYIDT"):
            client.get(f"{base}/v1/tracking-numbers/{number}/proof?customer_name=RedBox")
            client.post(f"{base}/v1/tracking-numbers/{number}/proof?customer_name=RedBox")
        for path in ("/checkpoint", "/tile/0/000", "/tile/0", BUNDLE, "/tile/0/x999/999", "/tile/entries/000/"):
            client.get(f"{base}{path}?customer_name=RedBox")
    running.stop()
    lines = heard.read().splitlines()
    assert any("Started server process" in line for line in lines), "this is the service's log"
    assert any(f"/v1/tracking-numbers/{fresh}/proof" in line for line in lines)
    for line in lines:
        for secret in ("RedBox", "customer_name", auditor, KEY.name + "+"):
            assert secret not in line
        for number in (sealed, fresh):
            assert line.count(number) == line.count(f"/v1/tracking-numbers/{number}/proof")
