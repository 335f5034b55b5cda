"""The audit look-up: the event, its leaf byte for byte, and the checkpoint that first covered it."""

import json
import random
import re
from bisect import bisect_right
from hashlib import sha256
from typing import Any

import httpx
import pytest

from ledger.domain import note, proof
from ledger.domain.note import SignerKey
from tests.plugin import LEDGER_KEY, Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, ask_proof, problem
from tests.support.clients.labels import NEVER_ISSUED, forms, slip
from tests.support.clients.orders import PATH, query
from tests.support.database import ledger
from tests.support.log import history as histories
from tests.support.log.history import History

SHARES = True

KEY = SignerKey.parse(LEDGER_KEY).verifier
FIELDS = [
    *("tracking_number", "created_at", "order_created_at", "origin_country_id", "destination_country_id"),
    *("weight_band", "weight_band_code", "customer_key_id", "customer_tag", "principal", "request_id"),
    *("leaf_index", "leaf_hash", "entry", "sealed_in", "links"),
]


def checkpoints(database: Database) -> list[int]:
    """The sizes of all that were published."""
    with ledger.reading(database.owner_url) as session:
        return [size for (size,) in session.execute("SELECT size FROM checkpoint ORDER BY size")]


def look_up(port: int, number: str, key: str, method: str = "GET") -> httpx.Response:
    return ask(port, f"/v1/tracking-numbers/{number}", method, **bearer(key))


def test_every_number_is_found_with_its_leaf_and_the_first_checkpoint_over_it(
    database: Database, lane_port: int, history: History, auditor: str
) -> None:
    sizes = checkpoints(database)
    assert len(sizes) > 1
    every = list(enumerate(zip(history.numbers, history.leaves, strict=True)))
    for index, (number, leaf) in random.Random(1).sample(every, len(every)):
        response = look_up(lane_port, number, auditor)
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        found = response.json()
        assert found["tracking_number"] == number
        assert sha256(b"\0" + found["entry"].encode()).digest() == leaf
        assert found["leaf_hash"] == leaf.hex()
        if index >= history.published:
            assert (found["leaf_index"], found["sealed_in"]) == (None, None), "committed is not published"
            continue
        assert found["leaf_index"] == index
        checkpoint, _ = note.read(found["sealed_in"]["checkpoint"], KEY)
        assert found["sealed_in"]["size"] == checkpoint.size == sizes[bisect_right(sizes, index)]
        assert checkpoint.root == histories.root(history.leaves[: checkpoint.size])


def test_the_answer_says_what_the_entry_says(port: int, history: History, auditor: str) -> None:
    for number in history.numbers[::50]:
        response = look_up(port, number, auditor)
        assert response.headers["cache-control"] == "no-store"
        found: dict[str, Any] = response.json()
        assert list(found) == FIELDS
        entry = json.loads(found["entry"])
        same = ("order_created_at", "customer_key_id", "customer_tag", "principal", "request_id")
        assert {name: found[name] for name in same} == {name: entry[name] for name in same}
        assert (found["created_at"], found["weight_band_code"]) == (entry["requested_at"], entry["weight_band"])
        assert (found["origin_country_id"], found["destination_country_id"]) == (entry["origin"], entry["destination"])
        for time in ("created_at", "order_created_at"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", found[time])
        assert found["weight_band"].endswith(" kg")


def test_every_link_leads_somewhere(lane_port: int, history: History, auditor: str) -> None:
    number, leaf = history.numbers[7], history.leaves[7]
    links = look_up(lane_port, number, auditor).json()["links"]
    assert list(links) == ["self", "proof", "barcode_svg", "barcode_png", "checkpoint"]
    answers = {name: ask(lane_port, path, **bearer(auditor)) for name, path in links.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(links, 200)
    assert answers["self"].json()["tracking_number"] == number
    assert proof.verify(answers["proof"].text, KEY, leaf)[0] == 7
    assert note.read(answers["checkpoint"].text, KEY)[0].size == history.published


def test_the_link_of_the_answer_that_gave_the_number_leads_here(lane_port: int, auditor: str) -> None:
    issued = ask(lane_port, f"{PATH}?{query().decode()}").json()
    found = ask(lane_port, issued["links"]["self"], **bearer(auditor)).json()
    same = set(issued) & set(found) - {"links"}
    assert same >= {"tracking_number", "created_at", "weight_band", "request_id", "leaf_hash"}
    assert {name: found[name] for name in same} == {name: issued[name] for name in same}
    assert found["order_created_at"] == "2018-11-20T11:29:32.000000Z"
    assert found["principal"] is None


def test_a_number_that_a_key_asked_for_names_the_key(database: Database, lane_port: int, auditor: str) -> None:
    key = make_key(database, "issue")
    issued = ask(lane_port, f"{PATH}?{query().decode()}", **bearer(key)).json()
    found = look_up(lane_port, issued["tracking_number"], auditor).json()
    assert found["principal"] == int(key.split("_")[1])


def test_a_number_is_found_as_a_label_has_it(port: int, history: History, auditor: str) -> None:
    number = history.numbers[3]
    for written in forms(number):
        assert look_up(port, written, auditor).json() == look_up(port, number, auditor).json()


def test_a_wrong_check_character_is_told_with_the_right_one(port: int, history: History, auditor: str) -> None:
    number = history.numbers[0]
    for wrong in (slip(number), slip(number).lower()):
        response = look_up(port, wrong, auditor)
        assert problem(response) == (404, "check-character")
        assert f"end in {number[-1]}." in response.json()["detail"]
        assert wrong not in response.json()["detail"]


@pytest.mark.parametrize("number", NEVER_ISSUED.values(), ids=NEVER_ISSUED)
def test_a_number_that_was_never_issued_is_unknown(port: int, auditor: str, number: str) -> None:
    assert problem(look_up(port, number, auditor)) == (404, "unknown-number")


def test_nobody_looks_up_without_an_auditors_key(database: Database, port: int, history: History) -> None:
    path = f"/v1/tracking-numbers/{history.numbers[0]}"
    for headers in ({}, {"Authorization": "Bearer tna_1_" + "0" * 32}):
        response = ask(port, path, **headers)
        assert problem(response) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
    key = make_key(database, "issue", "reports", "operate")
    assert problem(ask(port, path, **bearer(key))) == (403, "missing-scope")
    assert problem(ask(port, f"/v1/tracking-numbers/{slip(history.numbers[0])}")) == (401, "unauthorized")


def test_every_parameter_is_refused_by_its_name(port: int, history: History, auditor: str) -> None:
    response = ask(port, f"/v1/tracking-numbers/{history.numbers[0]}?fields=entry&format=json", **bearer(auditor))
    assert problem(response) == (400, "invalid-parameters")
    assert [(each["parameter"], each["code"]) for each in response.json()["errors"]] == [
        ("fields", "unknown"),
        ("format", "unknown"),
    ]


def test_reading_is_all_that_can_be_done(port: int, history: History, auditor: str) -> None:
    number = history.numbers[0]
    head = look_up(port, number, auditor, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        response = look_up(port, number, auditor, method)
        assert problem(response) == (405, "method-not-allowed")
        assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    options = look_up(port, number, auditor, "OPTIONS")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_an_unsealed_number_has_no_proof_yet_either(lane_port: int, history: History, auditor: str) -> None:
    number = history.numbers[-1]
    assert look_up(lane_port, number, auditor).json()["sealed_in"] is None
    assert problem(ask_proof(lane_port, number)) == (404, "not-yet-sealed")
