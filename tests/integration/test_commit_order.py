"""Serials of a block become visible in increasing order only: what the sealer's cursors will rely on."""

import asyncio
import threading
from collections import defaultdict

import pytest

from ledger.domain.serial import block_of
from tests.plugin import Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.processes.service import ServiceFactory


@pytest.mark.timeout(600)
def test_no_serial_appears_below_one_of_its_block_that_was_seen_before(
    database: Database, service: ServiceFactory
) -> None:
    with ledger.reading(database.owner_url) as session:
        # The only way to a data error past the endpoint's checks: a rule that it does not know.
        session.execute("ALTER TABLE issuance_event ADD CHECK (destination <> 'ZW')")
    running = service(database, WEB_CONCURRENCY="4")
    seen: set[int] = set()
    highest: dict[int, int] = defaultdict(lambda: -1)
    late: list[int] = []
    polls = answers = 0
    done = threading.Event()

    def poll() -> None:
        nonlocal polls
        with ledger.reading(database.owner_url) as session:
            while True:
                last = done.is_set()
                visible = {row[0] for row in session.execute("SELECT serial FROM issuance_event")}
                fresh = visible - seen
                late.extend(serial for serial in fresh if serial <= highest[block_of(serial)])
                for serial in fresh:
                    highest[block_of(serial)] = max(highest[block_of(serial)], serial)
                seen.update(fresh)
                polls += 1
                if last:
                    return

    def count(answered: int) -> None:
        nonlocal answers
        answers = answered

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        outcome = asyncio.run(
            load(
                running.port,
                1_000_000,
                connections=64,
                poison=0.002,
                seconds=240,
                on_answer=count,
                until=lambda: answers >= 12_000 and polls > 20,
            )
        )
    finally:
        done.set()
        poller.join()

    assert late == []
    assert len(seen) == ledger.count(database.owner_url) == len(outcome.numbers)
    poisoned = [answer for answer in outcome.refused if answer.status == 500]
    assert len(poisoned) == len(outcome.refused) > 5, "each order that the database refuses fails, and no other"
