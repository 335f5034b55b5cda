"""Proofs that the service answers are proven by the console's own check of them, run by node."""

import itertools

import httpx
import pytest

from ledger.domain.note import SignerKey
from tests.plugin import LEDGER_KEY
from tests.support.browser.javascript import Claim, examine
from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask_proof
from tests.support.log.history import History

SHARES = True

PUBLISHED = 300
"""More than a tile."""


@pytest.mark.usefixtures("node")
def test_each_number_of_the_log_is_proven_and_none_by_anothers_proof(
    lane_port: int, auditor: str, history: History
) -> None:
    verifier = str(SignerKey.parse(LEDGER_KEY).verifier)
    claims: list[Claim] = []
    with httpx.Client(base_url=f"http://127.0.0.1:{lane_port}", headers=bearer(auditor), timeout=90) as client:
        for number in history.numbers[:PUBLISHED]:
            entry = client.get(f"/v1/tracking-numbers/{number}").raise_for_status().json()["entry"]
            proof = ask_proof(lane_port, number).raise_for_status().content
            claims.append(Claim(entry, history.leaves[len(claims)], number, proof, verifier))
    assert len(claims) == PUBLISHED
    assert [verdict.failed for verdict in examine(claims)] == [[]] * len(claims)

    others = [claim._replace(proof=other.proof) for claim, other in itertools.pairwise(claims)]
    assert [verdict.failed for verdict in examine(others)] == [["inclusion"]] * len(others)
