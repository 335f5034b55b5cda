"""Rounds of witnesses over a real log: what they cosign is kept, what they refuse told apart, and no one waited for."""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, override

import psycopg
import pytest

from ledger import standby
from ledger.domain import cosignature, merkle, note
from ledger.domain.cosignature import Policy
from ledger.domain.note import SignerKey
from ledger.domain.serial import first_block
from ledger.domain.witnessing import Answer
from ledger.log import Connection
from ledger.publication import WITNESSED, Folder
from ledger.sealer import Sealer
from ledger.witness_http import Asker
from ledger.witnesses import Rounds, Witnesses, prove
from tests.plugin import LEDGER_KEY, Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.log import naive_log
from tests.support.log.tampering import caught, tamper, verify
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import published, sealing
from tests.support.processes.service import Service, ServiceFactory
from tests.support.servers.witness import LOG, Fault, Witness

PATIENCE = 4.0
"""Seconds for one that does not answer, and for those beside it."""
PATIENT = 60.0


class Log(NamedTuple):
    """A log that grows when it is told to."""

    database: Database
    grow: Callable[[int], int]
    """Issues so many more, seals and publishes them; returns the published size."""


@pytest.fixture(scope="module")
def log(database: Database, service: ServiceFactory) -> Iterator[Log]:
    running: Service = service(database, WEB_CONCURRENCY="1")
    with sealing(database) as active:
        yield Log(database, lambda count: grow(running, active, database, count))


def grow(running: Service, active: Sealer, database: Database, count: int) -> int:
    if count:
        asyncio.run(load(running.port, count))
    active.tick()
    return published(database)


@contextmanager
def witnesses(*names: str, **given: str) -> Iterator[list[Witness]]:
    made = [Witness(f"witness.test/{name}", ord(name), **given) for name in names]
    for each in made:
        each.__enter__()
    try:
        yield made
    finally:
        for each in made:
            each.__exit__()


def rounds(database: Database, *them: Witness, quorum: int | None = None, asker: Asker | None = None) -> Rounds:
    policy = Policy.of([each.key for each in them], quorum)
    given = Witnesses(policy, tuple(each.address for each in them), 0.1)
    return Rounds(given, LOG, Folder(database.publication), asker or Asker(PATIENT))


def one_round(database: Database, asked: Rounds) -> None:
    work = standby.Work(
        database.sealer_url,
        SignerKey.parse(LEDGER_KEY),
        Folder(database.publication),
        first_block(0),
        allow_unsafe=True,
    )
    with standby._session(work) as connection:
        connection.execute("SET idle_session_timeout = 0")  # a round takes the time that it takes
        asked.round(connection)


def cosigned(database: Database, witness: Witness) -> list[int]:
    """The sizes that are kept of a witness."""
    with ledger.reading(database.owner_url) as session:
        return [
            size
            for (size,) in session.execute(
                "SELECT size FROM cosignature WHERE witness = %s ORDER BY size", [str(witness.key)]
            )
        ]


def told(database: Database, witness: Witness) -> tuple[int, int, str | None, str | None]:
    """What is noted down of a witness: asked, failed, trouble, alarm."""
    with ledger.reading(database.owner_url) as session:
        row = session.execute(
            "SELECT asked, failed, trouble, alarm FROM witness WHERE witness = %s", [str(witness.key)]
        ).fetchone()
        assert row is not None
        return row


def witnessed(database: Database) -> str | None:
    file = database.publication / WITNESSED
    return file.read_text() if file.exists() else None


def test_each_checkpoint_is_cosigned_from_the_size_before_and_published(log: Log) -> None:
    with witnesses(*"abc") as them:
        asked = rounds(log.database, *them)
        sizes = [log.grow(3)]
        one_round(log.database, asked)
        for more in (1, 300, 17):
            one_round(log.database, asked)  # nothing is new, so nobody is asked
            sizes.append(log.grow(more))
            one_round(log.database, rounds(log.database, *them))  # as after a restart
        for each in them:
            assert [body.split("\n")[0] for body in each.bodies] == [f"old {old}" for old in (0, *sizes[:-1])]
            assert each.statuses == [200] * 4
            assert cosigned(log.database, each) == sizes
            assert told(log.database, each) == (4, 0, None, None)
        text = witnessed(log.database)
        assert text is not None
        tree, _ = note.read(text, LOG)
        assert tree.size == sizes[-1]
        assert set(cosignature.found(text, [each.key for each in them])) == {each.key.name for each in them}
        naive_log.check_published(log.database, naive_log.check(log.database))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault.HANGS, "did not answer within 4 seconds"),
        (Fault.DRIPS, "did not answer within 4 seconds"),
        (Fault.BREAKS, "answered 500"),
        (Fault.TOO_MANY, "answered 429"),
        (Fault.RUBBISH, "answered with what is no cosignature"),
        (Fault.ANOTHERS, "answered with what is no cosignature"),
        (Fault.OF_ANOTHER_LOG, "answered with what is no cosignature"),
        (Fault.MUTE, "can't be asked"),
        (Fault.NO_SIZE, "answered 409 without the size"),
    ],
)
def test_a_witness_that_fails_costs_no_other_ones_word_and_is_no_alarm(
    log: Log, fault: Fault, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    with witnesses(*"de") as (bad, good):
        bad.known = good.known = (0, merkle.EMPTY_ROOT)
        patience = PATIENCE if fault in {Fault.HANGS, Fault.DRIPS} else PATIENT
        asked = rounds(log.database, bad, good, quorum=1, asker=Asker(patience))
        log.grow(1)
        one_round(log.database, asked)
        before, kept = told(log.database, bad), cosigned(log.database, bad)
        bad.fault = fault
        for _ in range(2):
            size = log.grow(1)
            one_round(log.database, asked)
        assert cosigned(log.database, good)[-1] == size
        assert cosigned(log.database, bad) == kept
        asks, failed, trouble, alarm = told(log.database, bad)
        assert (asks, failed, alarm) == (before[0] + 2, before[1] + 2, None)
        assert trouble is not None
        lines = [record for record in caplog.records if bad.key.name in record.message]
        assert [record.levelno for record in lines] == [logging.WARNING] * len(lines)
        assert sum(says in record.message for record in lines) == 1
        bad.fault = None
        one_round(log.database, rounds(log.database, bad, good, quorum=1))
        assert cosigned(log.database, bad)[-1] == size, "and goes on as if nothing had been"
        assert told(log.database, bad)[2:] == (None, None)


def test_a_witness_that_still_answers_the_last_question_is_not_asked_the_next_one() -> None:
    with witnesses("f") as (bad,):
        bad.fault = Fault.DRIPS
        asker = Asker(PATIENCE)
        assert asker.ask({bad.address: b"x"}) == {bad.address: "did not answer within 4 seconds"}
        assert asker.ask({bad.address: b"x"}) == {bad.address: "still has not ended its last answer"}
        assert eventually(lambda: len(bad.bodies) == 1)


class Slow(queue.SimpleQueue[object]):
    """Whoever puts something into it needs a while to end."""

    @override
    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        time.sleep(2.0)


def test_a_witness_that_has_answered_can_be_asked_at_once_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "SimpleQueue", Slow)
    with witnesses("r") as (witness,):
        witness.fault = Fault.BREAKS
        asker = Asker(PATIENT)
        for _ in range(2):
            answer = asker.ask({witness.address: b"x"})[witness.address]
            assert isinstance(answer, Answer), answer


def test_a_log_that_a_witness_does_not_know_is_told_so(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    with witnesses("g", knows="another.example/log") as (stranger,):
        log.grow(1)
        one_round(log.database, rounds(log.database, stranger))
        assert stranger.statuses == [404]
        assert "The witness witness.test/g answered 404." in caplog.messages


def test_an_answer_that_got_lost_is_made_good_from_the_size_that_the_witness_gives(log: Log) -> None:
    with witnesses("h") as (witness,):
        asked = rounds(log.database, witness)
        first = log.grow(2)
        one_round(log.database, asked)
        witness.fault = Fault.MUTE
        lost = log.grow(2)
        one_round(log.database, asked)
        assert (witness.known[0], cosigned(log.database, witness)) == (lost, [first])
        witness.fault = None
        size = log.grow(5)
        one_round(log.database, asked)
        assert witness.statuses[-2:] == [409, 200]
        assert [body.split("\n")[0] for body in witness.bodies[-2:]] == [f"old {first}", f"old {lost}"]
        assert cosigned(log.database, witness) == [first, size]
        assert told(log.database, witness)[2:] == (None, None)


def test_a_witness_that_lost_what_it_knew_begins_anew(log: Log) -> None:
    with witnesses("i") as (witness,):
        asked = rounds(log.database, witness)
        log.grow(2)
        one_round(log.database, asked)
        witness.known = (0, merkle.EMPTY_ROOT)
        size = log.grow(2)
        one_round(log.database, asked)
        assert cosigned(log.database, witness)[-1] == size


@pytest.mark.parametrize(("name", "grown"), [("l", 0), ("q", 4)])
def test_a_witness_that_knows_another_history_is_an_alarm(
    log: Log, name: str, grown: int, caplog: pytest.LogCaptureFixture
) -> None:
    with witnesses(name) as (witness,):
        size = log.grow(3)
        witness.known = (size, merkle.leaf_hash(b"another history"))
        newest = log.grow(grown)
        one_round(log.database, rounds(log.database, witness))
        assert witness.statuses == ([409, 422] if grown else [409, 409])
        says = (
            f"refuses the proof that the log of {newest} leaves begins with the {size} it cosigned"
            if grown
            else f"knows another tree of {size} leaves"
        )
        (said,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
        assert said.message.startswith(f"The witness witness.test/{name} {says}.")
        assert told(log.database, witness)[2:] == (says, says)
        assert cosigned(log.database, witness) == []
        witness.fault = Fault.BREAKS
        one_round(log.database, rounds(log.database, witness))
        assert told(log.database, witness)[2:] == ("answered 500", says), "an alarm stays until it cosigns again"
        witness.fault = None
        witness.known = (0, merkle.EMPTY_ROOT)
        one_round(log.database, rounds(log.database, witness))
        assert told(log.database, witness)[2:] == (None, None)


class Late(Asker):
    """Somebody else publishes, and has it cosigned, before our question arrives."""

    def __init__(self, before: Callable[[], None]) -> None:
        super().__init__(PATIENT)
        self._before = before

    def ask(self, bodies: Mapping[str, bytes]) -> dict[str, Answer | str]:
        before, self._before = self._before, lambda: None
        before()
        return super().ask(bodies)


def test_a_witness_that_another_sealer_was_at_first_is_no_alarm(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    with witnesses("m") as (witness,):
        log.grow(2)
        one_round(log.database, rounds(log.database, witness))

        def meanwhile() -> None:
            log.grow(2)
            one_round(log.database, rounds(log.database, witness))

        log.grow(2)
        one_round(log.database, rounds(log.database, witness, asker=Late(meanwhile)))
        assert witness.statuses == [200, 200, 409]
        assert told(log.database, witness)[3] is None
        assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_without_a_quorum_nothing_is_published_and_the_last_stays(log: Log) -> None:
    with witnesses(*"no") as (one, two):
        asked = rounds(log.database, one, two, quorum=2)
        size = log.grow(1)
        one_round(log.database, asked)
        text = witnessed(log.database)
        assert text is not None
        assert text.startswith(f"{LOG.name}\n{size}\n")
        two.fault = Fault.BREAKS
        log.grow(1)
        one_round(log.database, asked)
        assert witnessed(log.database) == text
        two.fault = None
        newest = log.grow(1)
        one_round(log.database, asked)
        assert str(witnessed(log.database)).startswith(f"{LOG.name}\n{newest}\n")


def test_tiles_that_do_not_prove_it_are_not_shown_to_a_witness(log: Log) -> None:
    size = log.grow(600)
    with ledger.reading(log.database.owner_url) as session:
        tree = note.read(Folder(log.database.publication).read_checkpoint() or "", LOG)[0]
        assert tree.size == size
        assert prove(session, size - 300, tree)
        with pytest.raises(merkle.ProofError):
            prove(session, size - 300, tree._replace(root=merkle.leaf_hash(b"another")))


def test_verify_ledger_checks_what_witnesses_cosigned_and_blames_what_was_altered(log: Log) -> None:
    own = log.database
    with witnesses("p") as (witness,):
        size = log.grow(1)
        one_round(own, rounds(own, witness))
    outcome = verify(own)
    assert outcome.code == 0, outcome
    assert " cosignatures of witnesses checked." in outcome.summary
    where = f"WHERE size = {size} AND witness = '{witness.key}'"
    with psycopg.connect(own.owner_url) as session:
        row = session.execute(f"SELECT cosigned_at, root FROM cosignature {where}".encode()).fetchone()
        assert row is not None
    tamper(own, f"UPDATE cosignature SET cosigned_at = cosigned_at + 1 {where}")
    caught(own, (f"The cosignature of {size} leaves by {witness.key} was altered",))
    tamper(own, f"UPDATE cosignature SET cosigned_at = {row[0]}, root = sha256('x') {where}")
    caught(
        own,
        (f"The cosignature of {size} leaves by {witness.key} was altered",),
        (f"The checkpoint of {size} leaves that {witness.key} cosigned has the root",),
    )
    tamper(own, f"UPDATE cosignature SET root = decode('{row[1].hex()}', 'hex'), size = {size + 1} {where}")
    caught(own, ("1 cosignatures are of more than",))
    tamper(own, f"UPDATE cosignature SET size = {size} WHERE size = {size + 1} AND witness = '{witness.key}'")
    assert verify(own).code == 0


def test_a_round_that_fails_is_said_once_and_is_not_the_last(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    rounds_begun: list[int] = []

    def session() -> AbstractContextManager[Connection]:
        rounds_begun.append(len(rounds_begun))
        if len(rounds_begun) == 3:
            done.set()
        raise standby.UnfitDatabaseError("the login may not seal")

    with witnesses("r") as (witness,):
        rounds(log.database, witness).run(session, done)
    assert rounds_begun == [0, 1, 2]
    assert caplog.messages == ["Witnesses are not asked: the login may not seal"]
