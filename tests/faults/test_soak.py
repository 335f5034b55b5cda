"""The long drill, `make soak`: faults in random order, over and over, and a table of what they came to."""

import random
import time

import pytest

from tests.support.drills import faults
from tests.support.drills.drill import Outcome, drill
from tests.support.drills.faults import FAULTS
from tests.support.processes.clocks import faketime

HEAD: tuple[str, ...] = ("fault", "times", "longest recovery", "numbers", "not answered")


def table(outcomes: dict[str, list[Outcome]]) -> str:
    """One line a fault."""
    rows: list[tuple[str, ...]] = [HEAD]
    for name, each in outcomes.items():
        numbers = (sum(one.answered for one in each), sum(one.failed for one in each))
        rows.append((name, str(len(each)), f"{max(one.recovery for one in each):.1f} s", *map(str, numbers)))
    return "\n".join(["", *(f"{name:<34}{a:>6}{b:>18}{c:>10}{d:>14}" for name, a, b, c, d in rows), ""])


def test_soak(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    minutes: float = request.config.getoption("--soak-minutes")
    if not minutes:
        pytest.skip("left out, since it takes minutes: make soak")
    seed: int = request.config.getoption("--soak-seed") or random.randrange(1 << 32)
    outcomes: dict[str, list[Outcome]] = {}
    library = faketime()

    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)  # noqa: T201  # whoever waits wants to see it

    say(f"\nSeed {seed}.")
    with drill(seed, library) as running:
        possible = [
            name
            for name, fault in FAULTS.items()
            if (running.wal is not None or fault is not faults.fill_the_disk)
            and (library is not None or fault not in {faults.set_the_clock_back, faults.set_the_clock_forward})
        ]
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until:
            for name in running.chance.sample(possible, len(possible)):
                outcome = running.run(FAULTS[name])
                outcomes.setdefault(name, []).append(outcome)
                say(f"{name:<34}{outcome.recovery:>8.1f} s")
        running.finish()
        checker = running.checker
        say(table(dict(sorted(outcomes.items()))))
        say(f"{checker.answers} answers: {len(checker.duplicates)} duplicates, {len(checker.missing)} missing.")
