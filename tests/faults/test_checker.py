"""The checker finds what is planted: duplicates, a loss, an altered event, a false checkpoint."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from uuid_utils import uuid7

from ledger.domain.note import Checkpoint, SignerKey, write
from ledger.publication import CHECKPOINT
from tests.plugin import LEDGER_KEY, ROOT, Database
from tests.support.clients.client_crowd import Crowd
from tests.support.database import ledger
from tests.support.log import naive_log
from tests.support.log.answer_record import Line, Reader, Writer
from tests.support.log.checker import Checker, check_checkpoints
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import seal
from tests.support.processes.service import ServiceFactory


@pytest.fixture(scope="module")
def record(database: Database, service: ServiceFactory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What clients of a sound service wrote down."""
    folder = tmp_path_factory.mktemp("crowd")
    with service(database, WEB_CONCURRENCY="1") as running, Crowd(running.port, folder, 1) as crowd:
        assert eventually(lambda: crowd.numbers_by_now() > 100)
    seal(database, ledger.count(database.owner_url))
    return crowd.record


@pytest.fixture(scope="module")
def lines(record: Path) -> list[Line]:
    return [line for line in Reader(record).fresh() if line.number]


def checked(database: Database, *lines: Line) -> Checker:
    checker = Checker(database.owner_url)
    checker.take(lines)
    checker.finish()
    return checker


def test_a_sound_record_has_no_fault(database: Database, lines: list[Line]) -> None:
    checker = checked(database, *lines)
    assert checker.answers == len(lines) > 100
    assert checker.faults == []


def test_a_number_that_two_requests_got_is_a_duplicate(database: Database, lines: list[Line]) -> None:
    thief = msgspec.structs.replace(lines[7], request_id=str(uuid7()))
    (found,) = checked(database, *lines, thief).duplicates
    assert found == f"Number {thief.number} was answered to requests {lines[7].request_id} and {thief.request_id}."


def test_a_request_that_got_two_numbers_is_a_duplicate(database: Database, lines: list[Line]) -> None:
    again = msgspec.structs.replace(lines[7], number=lines[8].number)
    assert any(lines[7].number in found for found in checked(database, *lines[:8], again).duplicates)


def test_an_answered_number_that_the_ledger_lacks_is_missing(database: Database, lines: list[Line]) -> None:
    lost = msgspec.structs.replace(lines[7], request_id=str(uuid7()), number=lines[7].number[::-1])
    (found,) = checked(database, *lines, lost).missing
    assert found == f"Number {lost.number}, answered to request {lost.request_id}, is not in the ledger."


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("leaf_hash", "00" * 32),
        ("created_at", "2020-01-01T00:00:00.000000Z"),
        ("origin", "ZW"),
        ("request_id", "01a205c5-3c48-7602-8000-0d0f0d63fe9d"),
    ],
)
def test_an_event_that_is_not_what_was_answered_is_found(
    database: Database, lines: list[Line], field: str, value: str
) -> None:
    (found,) = checked(database, msgspec.structs.replace(lines[7], **{field: value})).altered
    assert lines[7].number in found
    assert value in found


def test_a_request_that_the_ledger_holds_twice_is_found_though_it_was_answered_once(
    database: Database, lines: list[Line]
) -> None:
    with ledger.reading(database.owner_url) as session:
        columns = "customer_tag, customer_key_id, origin, destination, weight_band, order_created_at, requested_at"
        number = lines[7].number
        session.execute(
            f"INSERT INTO issuance_event (number, serial, request_id, {columns})"
            f" SELECT %s, serial + 500, request_id, {columns} FROM issuance_event WHERE number = %s",
            [f"{number[0]}{'B' if number[1] == 'A' else 'A'}{number[2:]}", number],
        )
    (found,) = checked(database, *lines).duplicates
    assert found == f"The ledger holds 2 events of request {lines[7].request_id}."


def test_checkpoints_of_another_history_and_a_head_that_goes_back_are_found(database: Database) -> None:
    key = SignerKey.parse(LEDGER_KEY)
    published = (database.publication / CHECKPOINT).read_text()
    size = int(published.splitlines()[1])
    false = Checkpoint(key.verifier.name, 50, bytes(32))
    forged = write(false, key.verifier, key.sign(false.text))
    assert check_checkpoints([published], database.owner_url, naive_log.KEY) == []
    assert check_checkpoints([published, forged], database.owner_url, naive_log.KEY) == [
        f"After the checkpoint of {size} leaves that of 50 was shown.",
        "The checkpoint of 50 leaves is not one of the ledger's log.",
    ]
    assert len(check_checkpoints([published.replace("\n", "\n\n", 1)], database.owner_url, naive_log.KEY)) == 1


def test_it_can_be_run_by_hand(database: Database, record: Path, tmp_path: Path, lines: list[Line]) -> None:
    def run(path: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.support.log.checker", str(path), database.owner_url]
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)

    planted = tmp_path / "record"
    planted.write_bytes(record.read_bytes())
    with Writer(planted) as writer:
        writer.write(msgspec.structs.replace(lines[7], number="0" * 16))
    done = run(planted)
    assert done.returncode == 1
    assert f"{len(lines) + 1} answers:" in done.stdout
    assert "1 missing" in done.stdout
