"""Proofs over HTTP: they verify offline with the answer's leaf hash, and there is none for what is not published."""

import time

import pytest

from ledger.domain import proof
from ledger.domain.merkle import ProofError
from ledger.domain.note import SignerKey
from tests.plugin import CLUSTER, LEDGER_KEY, Database
from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask, ask_proof, problem
from tests.support.clients.labels import NEVER_ISSUED, forms, slip
from tests.support.database import ledger
from tests.support.log import history as histories
from tests.support.log.history import History
from tests.support.processes.sealers import Sealer
from tests.support.processes.service import ServiceFactory

SHARES = True

KEY = SignerKey.parse(LEDGER_KEY).verifier


def test_every_proof_verifies_with_the_leaf_hash_of_the_answer_and_no_other(
    lane_port: int, database: Database, history: History
) -> None:
    with ledger.reading(database.owner_url) as session:
        gaps = "SELECT leaves < last_serial - first_serial + 1 AS gaps, max(leaves) > 100 FROM run GROUP BY gaps"
        assert set(session.execute(gaps)) >= {(True, True)}, "leaves are counted, and found by arithmetic"
    for index, (number, leaf) in enumerate(zip(history.numbers, history.leaves, strict=True)):
        response = ask_proof(lane_port, number)
        if index >= history.published:
            assert problem(response) == (404, "not-yet-sealed"), "committed is not published"
            assert response.headers["retry-after"] == "1"
            continue
        found, checkpoint = proof.verify(response.text, KEY, leaf)
        assert (found, checkpoint.size) == (index, history.published)
        with pytest.raises(ProofError):
            proof.verify(response.text, KEY, history.leaves[index - 1])


@pytest.mark.parametrize("index", [0, 254, 255, 256, 257, 511, 512, 513])
def test_a_proof_is_a_text_that_nobody_keeps_for_others(port: int, history: History, index: int) -> None:
    response = ask_proof(port, history.numbers[index])
    assert (response.status_code, response.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert response.headers["cache-control"] == "no-store"
    assert proof.verify(response.content.decode(), KEY, history.leaves[index])[0] == index
    head = ask_proof(port, history.numbers[index], "HEAD")
    assert (head.status_code, head.content) == (200, b"")


def test_a_fresh_number_is_proven_within_a_second_of_its_sealing(service: ServiceFactory) -> None:
    fresh = CLUSTER.create()
    running = service(fresh, WEB_CONCURRENCY="1")
    ((number, leaf),) = histories.issue(running.port, 1).items()
    response = ask_proof(running.port, number)
    assert problem(response) == (404, "not-yet-sealed")
    assert response.headers["retry-after"] == "1"
    for path in ("/checkpoint", "/tile/0/000.p/1", "/tile/0/000"):
        assert problem(ask(running.port, path)) == (404, "beyond-the-tree"), "nothing is published yet"
    with Sealer(fresh):
        wait_for(running.port, number)
        assert proof.verify(ask_proof(running.port, number).text, KEY, leaf) == (0, (KEY.name, 1, leaf))
        for index in range(1, 40):  # a machine that is busy has several tries: issued when the last one was sealed
            ((number, leaf),) = histories.issue(running.port, 1).items()
            issued = time.monotonic()
            wait_for(running.port, number)
            took = time.monotonic() - issued
            assert proof.verify(ask_proof(running.port, number).text, KEY, leaf)[0] == index
            if took < 1:
                break
        assert took < 1, "as the problem's text promises"
    running.stop()
    CLUSTER.drop(fresh)


def wait_for(port: int, number: str) -> None:
    """Ask until there is a proof, as a client may, only faster."""
    deadline = time.monotonic() + 60
    while ask_proof(port, number).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", NEVER_ISSUED.values(), ids=NEVER_ISSUED)
def test_a_number_that_was_never_issued_is_unknown(port: int, number: str) -> None:
    assert problem(ask_proof(port, number)) == (404, "unknown-number")


def test_a_number_is_found_as_a_label_has_it(port: int, history: History) -> None:
    number = history.numbers[0]
    for written in forms(number):
        assert ask_proof(port, written).text == ask_proof(port, number).text


def test_a_wrong_check_character_is_told_from_an_unknown_number(port: int, history: History) -> None:
    number = history.numbers[0]
    response = ask_proof(port, slip(number))
    assert problem(response) == (404, "check-character")
    assert f"end in {number[-1]}." in response.json()["detail"]


def test_a_key_that_is_not_good_keeps_nobody_from_a_proof(port: int, history: History) -> None:
    path = f"/v1/tracking-numbers/{history.numbers[0]}/proof"
    assert ask(port, path, **bearer("tna_1_" + "0" * 32)).status_code == 200
