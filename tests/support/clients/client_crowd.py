"""The clients of tests.support.programs.endless_clients beside us, and what they have written down so far."""

import sys
from pathlib import Path

import msgspec

from core.embedded.process import Process
from tests.plugin import ROOT
from tests.support.log.answer_record import Line, Reader
from tests.support.programs.endless_clients import CLIENTS, PATIENCE, PAUSE

SLOW = 2.0
"""A number that took longer was waited for."""


class Crowd(Process):
    """Clients that ask without end, and a monitor of the log; stopping them lets who waits have an answer."""

    def __init__(self, port: int, folder: Path, seed: int, *, pause: float = PAUSE) -> None:
        self.record, self._seen = folder / "record", folder / "seen"
        asking = [
            "-m",
            "tests.support.programs.endless_clients",
            str(port),
            str(self.record),
            str(self._seen),
            str(seed),
            str(pause),
        ]
        super().__init__("the clients", [sys.executable, *asking], folder=ROOT, stop_seconds=PATIENCE + 60)
        self._reader = Reader(self.record)
        self._fresh: list[Line] = []
        self.lines: list[Line] = []
        """What ``look`` has read since it was told to forget."""

    def look(self, *, forget: bool = False) -> None:
        """Read what was written since the last time."""
        if forget:
            self.lines.clear()
        fresh = list(self._reader.fresh())
        self.lines += fresh
        self._fresh += fresh

    def unchecked(self) -> list[Line]:
        """Each line once."""
        self.look()
        lines, self._fresh = self._fresh, []
        return lines

    def last_failure(self) -> float:
        """When a request was refused, broke or was waited for last, by the monotonic clock; 0 if none was."""
        return max((line.answered for line in self.lines if _failed(line)), default=0.0)

    def all_served(self, since: float) -> bool:
        """Whether every client has asked since then and got a number, and none of them anything else."""
        self.look()
        return (
            since >= self.last_failure() and len({line.client for line in self.lines if line.asked > since}) == CLIENTS
        )

    def seen(self) -> list[str]:
        """The checkpoints that the monitor was shown, in this order."""
        return [msgspec.json.decode(line, type=str) for line in self._seen.read_bytes().splitlines()]

    @property
    def problems(self) -> set[str]:
        """The types of the problems among the lines."""
        return {line.problem for line in self.lines if line.problem}

    def refused_by_now(self) -> bool:
        """Whether anybody was, after a look."""
        self.look()
        return bool(self.problems)

    def numbers_by_now(self) -> int:
        """How many there are, after a look."""
        self.look()
        return self.numbers

    @property
    def numbers(self) -> int:
        """How many of the lines have a number."""
        return sum(bool(line.number) for line in self.lines)


def _failed(line: Line) -> bool:
    return not line.number or line.answered > line.asked + SLOW
