"""Proofs that the service answers are proven by the console's own check of them, run by node."""

import itertools

import httpx
import pytest

from ledger.domain.note import SignerKey
from tests.plugin import LEDGER_KEY, Database
from tests.support.browser.javascript import Claim, examine
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask_proof
from tests.support.log import history

PUBLISHED = 300
"""More than a tile."""


@pytest.mark.usefixtures("node")
def test_each_number_of_the_log_is_proven_and_none_by_anothers_proof(database: Database, lane_port: int) -> None:
    made = history.make(database, lane_port, published_events=PUBLISHED, committed_events=1)
    key, verifier = make_key(database, "audit"), str(SignerKey.parse(LEDGER_KEY).verifier)
    claims: list[Claim] = []
    with httpx.Client(base_url=f"http://127.0.0.1:{lane_port}", headers=bearer(key), timeout=90) as client:
        for number in made.numbers[: made.published]:
            entry = client.get(f"/v1/tracking-numbers/{number}").raise_for_status().json()["entry"]
            proof = ask_proof(lane_port, number).raise_for_status().content
            claims.append(Claim(entry, made.leaves[len(claims)], number, proof, verifier))
    assert len(claims) > PUBLISHED - 50
    assert [verdict.failed for verdict in examine(claims)] == [[]] * len(claims)

    others = [claim._replace(proof=other.proof) for claim, other in itertools.pairwise(claims)]
    assert [verdict.failed for verdict in examine(others)] == [["inclusion"]] * len(others)
