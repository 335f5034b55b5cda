"""A customer key's life by the commands: made known, used, retired, destroyed; the log, its proofs and reports stay."""

from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
import pytest

from ledger.domain import proof
from ledger.domain.note import SignerKey
from tests.logs import Heard
from tests.plugin import LEDGER_KEY, Database
from tests.support.clients.daily_reports import ask_reports, close
from tests.support.clients.http import ask, ask_proof
from tests.support.log.tampering import verify
from tests.support.processes.customer_key_life import EACH, Life
from tests.support.processes.key_rotation import fingerprint
from tests.support.processes.proc import eventually
from tests.support.processes.secret_keys import OLD, key
from tests.support.processes.service import ServiceFactory

pytestmark = pytest.mark.timeout(900)  # its services and commands are many, and begin slowly where all is slow
KEY = SignerKey.parse(LEDGER_KEY).verifier
DESTROY = ("destroy_customer_key", "1")
YES = (*DESTROY, "--yes", fingerprint())


class Kept(NamedTuple):
    """What there was before key 1 was ended."""

    rows: list[Any]
    proofs: list[str]
    checkpoint: str
    size: int
    report: bytes


@pytest.fixture(scope="module")
def life(database: Database, service: ServiceFactory) -> Life:
    """Key 1 is followed by key 2 and ended; each service runs beside the one before it, and no longer."""
    life = Life(database, service)
    first = life.start("first")
    life.refused("in use", *YES)
    life.manage("made", "rotate_customer_key")
    settings = life.settings
    life.manage("made twice", "rotate_customer_key")
    assert life.settings == settings
    life.refused("used too early", "rotate_customer_key", "--use")
    known = life.start("known")
    life.find("first, beside one that knows", first)
    life.find("known", known)
    life.stop(first)
    life.manage("used", "rotate_customer_key", "--use")
    used = life.start("used")
    life.find("known, beside one that uses", known)
    life.find("used", used)
    life.stop(known)
    return life


@pytest.fixture(scope="module")
def kept(life: Life) -> Kept:
    """All that must stay; then key 1 is ended."""
    used = life.running["used"]
    ((_, report),) = close(life.database, f"{life.day + timedelta(days=1)}T00:00:01Z").items()
    kept = Kept(
        life.rows(),
        [ask_proof(used.port, each["tracking_number"]).text for each in life.numbers],
        ask(used.port, "/checkpoint").text,
        len(life.numbers) // EACH * (EACH + 1),
        report,
    )
    before = life.facts()
    life.manage("asked", *DESTROY)
    life.refused("mistaken", *DESTROY, "--yes", "0" * 16)
    assert life.facts() == before
    life.manage("retired", *YES)
    ended = life.start("ended")
    life.find("used, beside one without key 1", used)
    life.find("ended", ended)
    life.refused("destroyed too early", *YES)
    life.stop(used)
    life.manage("destroyed", *YES)
    life.refused("destroyed twice", *YES)
    return kept


def test_every_way_finds_all_of_a_customers_numbers_at_each_step_of_a_rotation(life: Life) -> None:
    assert life.found == life.found | {
        "first, beside one that knows": {2 * EACH},
        "known": {2 * EACH},
        "known, beside one that uses": {3 * EACH},
        "used": {3 * EACH},
    }


def test_after_its_end_no_way_finds_what_a_key_has_tagged(life: Life, kept: Kept) -> None:
    assert len(kept.rows) == kept.size
    assert life.found["used, beside one without key 1"] == {4 * EACH}
    assert life.found["ended"] == {2 * EACH}


@pytest.mark.usefixtures("kept")
def test_the_ledger_remembers_what_happened_to_each_key(life: Life) -> None:
    assert life.facts() == [
        *((1, "introduced"), (1, "used"), (2, "introduced"), (2, "used")),
        *((1, "retired"), (1, "destroyed")),
    ]


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ("in use", "Key 1 is in use. Begin another first"),
        ("made", "Key 2 is made (fingerprint "),
        ("made twice", "Key 2 is made (fingerprint "),
        ("used too early", "1 sessions of web processes began before key 2 was introduced"),
        ("used", "new events are tagged with key 2"),
        ("asked", f"8 events were tagged with key 1 (fingerprint {fingerprint()}), the first on {{day}}"),
        ("asked", f"Nothing is changed. To go on: destroy_customer_key 1 --yes {fingerprint()}"),
        ("mistaken", "Key 1 has another fingerprint. Nothing is changed."),
        ("retired", "Key 1 is retired: CUSTOMER_TAG_KEYS need it no longer."),
        ("destroyed too early", "1 sessions of web processes began before key 1 was retired"),
        ("destroyed", "Destroy the copies now"),
        ("destroyed twice", "Key 1 is destroyed already."),
    ],
)
def test_the_commands_say_what_is_lost_what_to_do_next_and_why_not(life: Life, when: str, sentence: str) -> None:
    assert sentence.format(day=life.day) in life.said[when]


def test_no_row_proof_checkpoint_or_report_is_another_than_before(life: Life, kept: Kept) -> None:
    assert life.rows()[: kept.size] == kept.rows
    port = life.running["ended"].port
    for each, text in zip(life.numbers, kept.proofs, strict=False):
        leaf = bytes.fromhex(each["leaf_hash"])
        index, checkpoint = proof.verify(text, KEY, leaf)
        again, newer = proof.verify(ask_proof(port, each["tracking_number"]).text, KEY, leaf)
        assert again == index
        assert newer.size >= checkpoint.size
    assert ask_reports(port, life.auditor, f"/{life.day}").content == kept.report
    outcome = verify(life.database)
    assert (outcome.code, outcome.faults) == (0, []), outcome
    with psycopg.connect(life.database.owner_url) as session:
        signed = session.execute("SELECT FROM checkpoint WHERE size = %s", [kept.size]).fetchall()
    assert len(signed) == 1, "and verify_ledger has compared each that was ever signed with the events"
    assert kept.checkpoint.splitlines()[1] == str(kept.size)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ("{old},{new}", "key 1 was destroyed, and may not come back"),
        ("9:{secret},{new}", "key 9 was destroyed as key 1, and may not come back"),
        ("2:{other}", "this is another secret, which would split the customers' history"),
        ("9:{other}", "CUSTOMER_TAG_KEYS lacks key 2, with which events were tagged"),
        ("{new},9:{other}", "CUSTOMER_TAG_KEYS ends with key 9, which no process knows yet"),
    ],
)
def test_keys_that_do_not_fit_are_refused_in_a_sentence(
    life: Life, service: ServiceFactory, heard: Heard, keys: str, sentence: str
) -> None:
    heard.read()
    parts = {"old": OLD, "secret": OLD.partition(":")[2], "new": life.settings, "other": key("another secret")}
    facts, rows = life.facts(), life.rows()
    with service(life.database, CUSTOMER_TAG_KEYS=keys.format(**parts), WEB_CONCURRENCY="1") as running:
        assert eventually(lambda: "don't fit the keys" in ask(running.port, "/readyz").text)
        assert life.order(running.port).status_code == 503
    told = heard.read()
    assert sentence in told
    assert not any(secret in told for secret in (parts["secret"], parts["other"], life.settings[2:]))
    assert (life.facts(), life.rows()) == (facts, rows)
