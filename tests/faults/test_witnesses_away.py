"""Sealers whose witnesses hang, lose answers or know better: sealing goes on, and what is wrong is said and told."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.domain import note
from ledger.publication import WITNESSED
from tests.plugin import CLUSTER, Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.bulk import numbers, orders, post
from tests.support.clients.http import ask
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.database_copies import duplicate
from tests.support.log import naive_log
from tests.support.log.tampering import verify
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published, until_published
from tests.support.processes.secret_keys import key as secret_key
from tests.support.processes.service import Service, ServiceFactory
from tests.support.programs.patient_sealer import COMMAND as PATIENT
from tests.support.programs.patient_sealer import PATIENCE
from tests.support.servers.witness import LOG, Fault, Witness, settings

TOKEN = secret_key("METRICS_TOKEN")


@pytest.fixture
def own() -> Iterator[Database]:
    made = CLUSTER.create()
    yield made
    CLUSTER.drop(made)


def issue(running: Service, count: int) -> None:
    assert len(asyncio.run(load(running.port, count)).numbers) == count


def cosigned(database: Database, witness: Witness) -> int:
    """The largest size that is kept of a witness."""
    with ledger.reading(database.owner_url) as session:
        row = session.execute("SELECT coalesce(max(size), 0) FROM cosignature WHERE witness = %s", [str(witness.key)])
        found = row.fetchone()
        assert found is not None
        return int(found[0])


def witnessed(database: Database) -> int:
    """The size of the published witnessed checkpoint."""
    file = database.publication / WITNESSED
    return note.read(file.read_text(), LOG)[0].size if file.exists() else 0


def test_a_witness_that_hangs_delays_neither_publication_nor_the_others_nor_the_end(
    own: Database, service: ServiceFactory, tmp_path: Path
) -> None:
    running, log = service(own, WEB_CONCURRENCY="1"), tmp_path / "log"
    with Witness("witness.test/bad", 1) as bad, Witness("witness.test/good", 2) as good:
        bad.fault = Fault.DRIPS
        with Sealer(own, log=log, command=PATIENT, **settings(bad, good, quorum=1)) as sealer:
            issue(running, 20)
            assert eventually(lambda: bool(bad.bodies))
            for _ in range(3):  # while the question hangs, its twenty seconds are not over yet
                issue(running, 20)
                until_published(own, ledger.count(own.owner_url), PATIENCE - 2)
            assert len(bad.bodies) == 1
            assert eventually(lambda: witnessed(own) == 80)
            assert len(bad.bodies) == 1, "whoever has not ended its last answer is not asked"
            sealer.stop()
            assert sealer.wait() == 0
        assert cosigned(own, bad) == 0
        said = [line for line in log.read_text().splitlines() if "witness.test/bad" in line]
        assert [line.partition("witness.test/bad ")[2] for line in said] == [
            f"did not answer within {PATIENCE} seconds.",
            "still has not ended its last answer.",
        ]
        assert all("WARNING" in line for line in said)
    running.stop()


def test_sealers_killed_while_they_ask_are_followed_by_one_that_goes_on(own: Database, service: ServiceFactory) -> None:
    running = service(own, WEB_CONCURRENCY="1")
    with Witness("witness.test/a", 1) as witness:
        given = settings(witness)
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(Sealer(own, log=None, **given))
            issue(running, 10)
            assert eventually(lambda: witnessed(own) == 10)
            stack.enter_context(Sealer(own, log=None, **given))
            asked = len(witness.bodies)
            time.sleep(1.0)
            assert len(witness.bodies) == asked, (
                "what is cosigned is not asked for again, nor by the one that stands by"
            )
            witness.fault = Fault.MUTE
            # All at once: half of them published and told to the witness would be all that it knows from then on.
            assert len(numbers(post(running.port, make_key(own, "issue"), orders(10)))) == 10
            assert eventually(lambda: witness.known[0] == 20)
            os.kill(first.pid, signal.SIGKILL)
            witness.fault = None
            issue(running, 10)
            assert eventually(lambda: cosigned(own, witness) == 30)
            assert eventually(lambda: witnessed(own) == 30)
    assert 409 in witness.statuses
    assert verify(own).code == 0
    naive_log.check_published(own, naive_log.check(own))
    running.stop()


def test_a_database_set_back_together_with_its_publication_is_told_by_a_witness_alone(
    own: Database, service: ServiceFactory, tmp_path: Path
) -> None:
    running, log = service(own, WEB_CONCURRENCY="1"), tmp_path / "log"
    restored = CLUSTER.database(f"{own.name}_restored")
    with Witness("witness.test/a", 1) as witness:
        given = settings(witness)
        issue(running, 10)
        with Sealer(own, log=None, **given):
            assert eventually(lambda: witnessed(own) == 10)
        running.stop()
        shutil.copytree(own.publication, restored.publication)
        duplicate(own, restored)
        shutil.copy(own.fence, restored.fence)
        running = service(own, initialise=False, WEB_CONCURRENCY="1")
        with Sealer(own, log=None, **given):
            issue(running, 20)
            assert eventually(lambda: witnessed(own) == 30)
        running.stop()
        running = service(restored, initialise=False, WEB_CONCURRENCY="1", METRICS_TOKEN=TOKEN, **given)
        issue(running, 5)
        with Sealer(restored, log=log, **given):
            until_published(restored, 15)
            assert eventually(lambda: "published 15" in log.read_text())
            assert eventually(lambda: scrape(running.port).get("tracking_witness_alarms") == 1)
            issue(running, 5)
            until_published(restored, 20)
            assert eventually(lambda: scrape(running.port).get("tracking_published_leaves") == 20)
        (said,) = {line.partition(": ")[2] for line in log.read_text().splitlines() if "published 15" in line}
        assert said.startswith(
            "The witness witness.test/a has cosigned 30 leaves of this log, but the database has published 15: the "
            "database was set back, or somebody else signs with LEDGER_KEY."
        )
        assert (witnessed(restored), cosigned(restored, witness)) == (10, 10)
        found: dict[str, float] = {}

        def failed() -> float:
            found.update(scrape(running.port))
            return found.get("tracking_witness_failures", 0)

        assert eventually(lambda: failed() >= 2)
        assert (found["tracking_witnesses"], found["tracking_witnesses_answering"]) == (1, 0)
        assert found["tracking_witnessed_leaves"] == 10
        assert found["tracking_witness_lag_seconds"] > 0
        # It issues on, past what the witness knows: what it is shown then is another history, and it says so.
        issue(running, 20)
        with Sealer(restored, log=log, **given):
            assert eventually(lambda: "refuses the proof that the log of 40 leaves" in log.read_text())
        assert published(restored) == 40
        assert cosigned(restored, witness) == 10
        running.stop()
    CLUSTER.drop(restored)


def scrape(port: int) -> dict[str, float]:
    """The readings; none where the database took too long this time."""
    text = ask(port, "/metrics", **bearer(TOKEN)).text
    return {name: float(value) for name, value in re.findall(r"^(tracking_\w+) (\S+)$", text, re.MULTILINE)}
