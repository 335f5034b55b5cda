"""What a reader gets of a log with witnesses: checkpoints and proofs that enough of them have cosigned."""

import asyncio
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from core import metrics
from ledger.domain import cosignature, note, proof
from ledger.domain.cosignature import Policy
from ledger.domain.merkle import ProofError
from ledger.publication import CHECKPOINT, WITNESSED
from tests.plugin import Database
from tests.support.clients.http import ask, ask_proof, problem, readings
from tests.support.clients.load import Answered, load
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, until_published
from tests.support.processes.secret_keys import key as secret_key
from tests.support.processes.service import ServiceFactory, runserver
from tests.support.servers.witness import LOG, Fault, Witness, settings

TOKEN = secret_key("METRICS_TOKEN")


class Log(NamedTuple):
    """A log that three witnesses cosigned once, and published more since."""

    port: int
    bare_port: int
    """Of an instance that is told of no witnesses."""
    policy: Policy
    witnessed: list[Answered]
    later: list[Answered]
    numbers: int


@pytest.fixture(scope="module")
def witnesses() -> Iterator[list[Witness]]:
    with Witness("witness.test/a", 1) as a, Witness("witness.test/b", 2) as b, Witness("witness.test/c", 3) as c:
        yield [a, b, c]


@pytest.fixture(scope="module")
def log(database: Database, service: ServiceFactory, witnesses: list[Witness]) -> Iterator[Log]:
    given = settings(*witnesses, quorum=2) | {"METRICS_TOKEN": TOKEN}
    port = service(database, initialise=True, WEB_CONCURRENCY="1", **given).port
    with runserver(database) as bare_port:
        assert problem(ask(port, "/witnessed-checkpoint")) == (404, "beyond-the-tree")
        early = asyncio.run(load(port, 300)).answers
        witnesses[2].fault = Fault.BREAKS
        with Sealer(database, log=None, **given):
            until_published(database, 300)
            assert eventually(
                lambda: (database.publication / WITNESSED).exists() and size_of(database, WITNESSED) == 300
            )
            witnesses[0].fault = Fault.TOO_MANY
            late = asyncio.run(load(port, 40)).answers
            until_published(database, 340)
            assert eventually(lambda: witnesses[1].known[0] == 340)
            assert eventually(lambda: len(names(ask(port, "/checkpoint").text, witnesses)) == 1)
        policy = Policy.of([each.key for each in witnesses], 2)
        yield Log(port, bare_port, policy, early, late, 340)


def size_of(database: Database, name: str) -> int:
    return note.read((database.publication / name).read_text(), LOG)[0].size


def names(text: str, witnesses: list[Witness]) -> set[str]:
    return set(cosignature.found(text, [each.key for each in witnesses]))


def leaf(answer: Answered) -> bytes:
    return bytes.fromhex(answer.document["leaf_hash"])


def test_the_witnessed_checkpoint_is_the_newest_that_enough_have_cosigned(
    log: Log, database: Database, witnesses: list[Witness]
) -> None:
    answer = ask(log.port, "/witnessed-checkpoint")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert set(answer.headers["cache-control"].split(", ")) == {"public", "max-age=1"}
    assert note.read(answer.text, LOG)[0].size == 300
    assert names(answer.text, witnesses) == {"witness.test/a", "witness.test/b"}
    assert (database.publication / WITNESSED).read_text() == answer.text, "the publication has the same"
    assert ask(log.port, "/witnessed-checkpoint", If_None_Match=answer.headers["etag"]).status_code == 304


def test_the_newest_checkpoint_has_whatever_cosignatures_there_are_of_it(
    log: Log, database: Database, witnesses: list[Witness]
) -> None:
    text = ask(log.port, "/checkpoint").text
    assert note.read(text, LOG)[0].size == log.numbers
    assert names(text, witnesses) == {"witness.test/b"}
    assert text.startswith((database.publication / CHECKPOINT).read_text())


def test_the_proof_of_what_is_witnessed_is_built_on_that_and_convinces_who_wants_a_quorum(log: Log) -> None:
    for answer in (*log.witnessed[:3], log.witnessed[255], *log.witnessed[-3:]):
        text = ask_proof(log.port, answer.document["tracking_number"]).text
        _, tree = proof.verify(text, LOG, leaf(answer), log.policy)
        assert tree.size == 300


def test_the_proof_of_what_is_not_witnessed_yet_is_built_on_the_newest_checkpoint(log: Log) -> None:
    for answer in log.later[:3]:
        text = ask_proof(log.port, answer.document["tracking_number"]).text
        _, tree = proof.verify(text, LOG, leaf(answer))
        assert tree.size == log.numbers
        with pytest.raises(ProofError, match="0 of the witnesses"):
            proof.verify(text, LOG, leaf(answer), log.policy)


def test_an_instance_without_witnesses_serves_the_log_as_ever(log: Log, database: Database) -> None:
    text = ask(log.bare_port, "/checkpoint").text
    assert text == (database.publication / CHECKPOINT).read_text()
    assert problem(ask(log.bare_port, "/witnessed-checkpoint")) == (404, "beyond-the-tree")
    answer = log.witnessed[0]
    _, tree = proof.verify(ask_proof(log.bare_port, answer.document["tracking_number"]).text, LOG, leaf(answer))
    assert tree.size == log.numbers


def test_a_scrape_tells_how_the_witnesses_do(log: Log) -> None:
    text = readings(log.port, TOKEN)
    found = dict(re.findall(r"^(tracking_witness\w+) (\S+)$", text, re.MULTILINE))
    declared = {reading.name for reading in metrics.READINGS if reading.name.startswith("tracking_witness")}
    assert found.keys() == declared
    figures = {name.removeprefix("tracking_"): float(value) for name, value in found.items()}
    assert (figures["witnesses"], figures["witnesses_answering"], figures["witness_alarms"]) == (3, 1, 0)
    assert figures["witnessed_leaves"] == 300
    assert figures["witness_failures"] >= 3, "two of one, one of another"
    assert 0 < figures["witness_lag_seconds"] < 3000
    assert 0 <= figures["witnessed_age_seconds"] < 3000
