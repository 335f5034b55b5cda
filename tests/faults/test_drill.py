"""Each part of a service under load is killed, stopped, starved: nothing answered is lost or twice, and it goes on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Length
from tests.support.database import ledger
from tests.support.drills import faults
from tests.support.drills.drill import Drill, drill
from tests.support.drills.faults import FAULTS
from tests.support.processes.clocks import LIBFAKETIME, faketime
from tests.support.programs.endless_clients import PAUSE

pytestmark = pytest.mark.timeout(900)  # each waits for a recovery, and then until all is sealed and counted

SEED = 20261128
AWAY = {"/problems/database-unavailable"}
CLOCKS = [faults.set_the_clock_back, faults.set_the_clock_forward]


@pytest.fixture(scope="module")
def running(length: Length) -> Iterator[Drill]:
    with drill(SEED, faketime(), pause=length(0.08, PAUSE)) as made:
        yield made


@pytest.mark.parametrize("fault", [fault for fault in FAULTS.values() if fault not in CLOCKS])
def test_the_service_goes_on_by_itself_and_nothing_answered_is_lost_or_twice(
    running: Drill, fault: Callable[[Drill], None]
) -> None:
    if fault is faults.fill_the_disk and running.wal is None:
        pytest.skip("left out, since only root can mount a small file system")
    outcome = running.run(fault)
    assert outcome.answered
    assert running.crowd.problems <= AWAY
    if fault in {faults.kill_both_sealers, faults.kill_valkey, faults.stop_postgresql}:
        assert outcome.failed == 0, "nobody who asks for a number can tell"
    if fault is faults.fill_the_disk:
        assert running.crowd.problems == AWAY
        assert "No space left on device" in (running.server.home / "log").read_text()


@pytest.mark.parametrize("fault", CLOCKS)
def test_a_clock_that_is_wrong_does_no_harm_but_to_the_times_that_are_told(
    running: Drill, fault: Callable[[Drill], None], shared_library: Callable[[str, str], Path]
) -> None:
    shared_library(*LIBFAKETIME)
    assert running.run(fault).failed == 0
    with ledger.reading(running.database.owner_url) as session:
        wrong = "requested_at NOT BETWEEN clock_timestamp() - interval '10 min' AND clock_timestamp()"
        events = session.execute(f"SELECT count(*) FROM issuance_event WHERE {wrong}").fetchone()
        assert events is not None
        assert events[0] > 0, "`created_at` is what the clock said"
        # In the first hour after midnight, what a slow clock has told is of the day before, which is over.
        early = "day >= (clock_timestamp() AT TIME ZONE 'UTC')::date"
        reports = session.execute(f"SELECT count(*) FROM daily_report WHERE {early}").fetchone()
        assert reports == (0,), "its day is not over"


def test_in_the_end_everything_fits(running: Drill) -> None:
    running.finish()
