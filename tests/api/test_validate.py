"""Validation over HTTP: every text gets an answer, and no database is needed for it."""

from typing import Any
from urllib.parse import quote

import pytest

from issuance.domain.number import Numbering
from ledger.domain.serial import SHARD_CAPACITY
from tests.plugin import CLUSTER, Database
from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask, problem
from tests.support.clients.labels import NEVER_ISSUED, forms, slip
from tests.support.log import history as histories
from tests.support.processes.secret_keys import NUMBER_KEY
from tests.support.processes.service import ServiceFactory

SHARES = True

NUMBERS = Numbering(bytes.fromhex(NUMBER_KEY))
"""Under the service's key."""
FIELDS = ["tracking_number", "well_formed", "check_character", "possible", "origin", "destination", "reason"]


def validate(port: int, written: str) -> dict[str, Any]:
    response = ask(port, f"/v1/validate/{written}")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.headers["cache-control"] == "public, max-age=3600"
    found: dict[str, Any] = response.json()
    assert list(found) == FIELDS
    return found


@pytest.fixture(scope="module")
def issued(lane_port: int) -> str:
    return next(iter(histories.issue(lane_port, 1)))


def test_a_number_that_was_issued_is_possible_however_it_is_written(port: int, issued: str) -> None:
    for written in (issued, *forms(issued)):
        found = validate(port, written)
        assert found["tracking_number"] == issued
        assert (found["well_formed"], found["possible"], found["reason"]) == (True, True, None)
        assert found["check_character"] == {"given": issued[-1], "expected": issued[-1], "correct": True}
        assert (found["origin"]["code"], found["destination"]["code"]) == (issued[11:13], issued[13:15])


def test_possible_is_not_issued(port: int) -> None:
    number = NUMBERS.encode(SHARD_CAPACITY - 1, "XK", "DE")
    assert validate(port, number) == {
        "tracking_number": number,
        "well_formed": True,
        "check_character": {"given": number[-1], "expected": number[-1], "correct": True},
        "possible": True,
        "origin": {"code": "XK", "name": "Kosovo"},
        "destination": {"code": "DE", "name": "Germany"},
        "reason": None,
    }
    assert problem(ask(port, f"/v1/tracking-numbers/{number}/barcode.svg")) == (404, "unknown-number")


def test_a_slip_is_told_with_the_character_that_was_expected(port: int, issued: str) -> None:
    found = validate(port, slip(issued))
    assert found["check_character"] == {"given": slip(issued)[-1], "expected": issued[-1], "correct": False}
    assert found["possible"] is False
    assert f"end in {issued[-1]}." in found["reason"]


@pytest.mark.parametrize("text", NEVER_ISSUED.values(), ids=NEVER_ISSUED)
def test_what_was_never_issued_gets_an_answer_too(port: int, text: str) -> None:
    assert validate(port, text)["possible"] is False


@pytest.mark.parametrize(
    "text", ["a/b", "/", "//", "a\nb", "\r\n", "\t", "é", "😀", "\x7f", '"', "\\", "<script>", "..."]
)
def test_any_text_that_a_path_can_hold_gets_an_answer(port: int, text: str) -> None:
    found = validate(port, quote(text, safe=""))
    assert found == dict.fromkeys(FIELDS) | {
        "tracking_number": text.upper() if text.isascii() else text,
        "well_formed": False,
        "possible": False,
        "reason": found["reason"],
    }
    assert found["reason"].startswith("A tracking number has 16 characters")


def test_it_shows_no_serial_no_shard_and_nothing_that_tells_them(port: int) -> None:
    elsewhere = [NUMBERS.encode(shard * SHARD_CAPACITY + 5, "MY", "ID") for shard in (1, 2, 31)]
    forged = "3K9M7QX2PZ4MYIDT"
    told = [validate(port, number) for number in (*elsewhere, forged)]
    varying = {"tracking_number", "check_character"}
    assert all(
        {name: value for name, value in each.items() if name not in varying}
        == {name: value for name, value in told[0].items() if name not in varying}
        for each in told
    ), "another shard's number looks like one that was made up"
    assert told[0]["possible"] is False


def test_a_service_of_another_shard_takes_its_own_numbers_for_possible(service: ServiceFactory) -> None:
    own = CLUSTER.create()
    running = service(own, WEB_CONCURRENCY="1", SHARD="31")
    assert validate(running.port, NUMBERS.encode(31 * SHARD_CAPACITY, "MY", "ID"))["possible"] is True
    assert validate(running.port, NUMBERS.encode(0, "MY", "ID"))["possible"] is False
    running.stop()
    CLUSTER.drop(own)


def test_anybody_may_validate_and_nobodys_key_is_looked_at(database: Database, port: int, issued: str) -> None:
    assert database.name
    response = ask(port, f"/v1/validate/{issued}", **bearer("tna_1_" + "0" * 32))
    assert response.json() == validate(port, issued)


def test_every_parameter_is_refused_by_its_name(port: int, issued: str) -> None:
    response = ask(port, f"/v1/validate/{issued}?verbose=1")
    assert problem(response) == (400, "invalid-parameters")
    assert [each["parameter"] for each in response.json()["errors"]] == ["verbose"]


def test_reading_is_all_that_can_be_done(port: int, issued: str) -> None:
    head = ask(port, f"/v1/validate/{issued}", "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    refused = ask(port, f"/v1/validate/{issued}", "POST")
    assert problem(refused) == (405, "method-not-allowed")
    assert refused.headers["allow"] == "GET, HEAD, OPTIONS"
