"""Medians, the ratios to reach, and how both are shown."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from benchmarks import targets
from benchmarks.run import SETTINGS, Figure

_MEASURED = ("rate", "p50", "p99", "longest", "server", "database")
TITLES = {target.name: target.title for target in targets.TARGETS} | {targets.PGBENCH: "pgbench, one row at a time"}


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a session of runs.

    Attributes:
        machine: fact and value.
        seconds: length of each load.
        rounds: how many runs each figure is the median of.
        figures: the medians.
    """

    machine: dict[str, str]
    generator: str
    seconds: int
    rounds: int
    figures: list[Figure]


class Goal(NamedTuple):
    """A ratio to reach: the service's CPU per issuance, or its rate, against a peer's."""

    connections: int
    peer: str
    measure: str
    limit: float
    wording: str


GOALS = (
    Goal(64, "drf", "cpu", 1 / 12, "≤ 1/12"),
    Goal(64, "fastapi", "cpu", 1 / 4, "≤ 1/4"),
    Goal(64, "fastify", "cpu", 1 / 2, "≤ 1/2"),
    Goal(64, "bare", "cpu", 3, "≤ 3"),
    Goal(512, "fastapi", "cpu", 1 / 6, "≤ 1/6"),
    Goal(512, "bare", "cpu", 2, "≤ 2"),
    Goal(512, targets.PGBENCH, "rate", 0.8, "≥ 0.8"),
)


def medians(figures: Iterable[Figure]) -> list[Figure]:
    """One figure per target, connections and mix: each measure the median of its runs, errors the sum."""
    runs: dict[tuple[str, int, str], list[Figure]] = {}
    for figure in figures:
        runs.setdefault((figure.target, figure.connections, figure.mix), []).append(figure)
    return [
        msgspec.structs.replace(
            same[0],
            errors=sum(figure.errors for figure in same),
            **{name: median(getattr(figure, name) for figure in same) for name in _MEASURED},
        )
        for same in runs.values()
    ]


def line(figure: Figure) -> str:
    """One run in one line."""
    p50, p99, longest = map(_milliseconds, (figure.p50, figure.p99, figure.longest))
    return (
        f"{figure.target:12}{figure.connections:5} {figure.mix:9}{figure.rate:8.0f}/s"
        f"  p50 {p50:>7} ms  p99 {p99:>7} ms  max {longest:>7} ms"
        f"  CPU {figure.server:6.0f} + {figure.database:5.0f} = {figure.cpu:6.0f} µs  errors {figure.errors}"
    )


def table(figures: Sequence[Figure]) -> str:
    """The medians as a Markdown table."""
    head = (
        "| target | connections | customers | requests/s | p50 ms | p99 ms | longest ms | errors "
        "| server µs | PostgreSQL µs | **CPU µs** |\n|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    rows = [
        f"| {TITLES[f.target]} | {f.connections} | {'2,000' if f.mix == 'repeated' else 'each new'} | {f.rate:,.0f} "
        f"| {_milliseconds(f.p50)} | {_milliseconds(f.p99)} | {_milliseconds(f.longest)} | {f.errors} "
        f"| {f.server:,.0f} | {f.database:,.0f} | **{f.cpu:,.0f}** |"
        for setting in SETTINGS
        for f in figures
        if (f.connections, f.mix) == setting
    ]
    return "\n".join([head, *rows])


def goals(figures: Sequence[Figure]) -> str:
    """Each goal, what was measured, and whether it is reached, as a Markdown table."""
    found = {(figure.target, figure.connections): figure for figure in figures if figure.mix == "repeated"}
    rows = ["| connections | service against | goal | measured | reached |", "|--:|---|--:|--:|---|"]
    for goal in GOALS:
        ours, theirs = found.get((targets.SERVICE.name, goal.connections)), found.get((goal.peer, goal.connections))
        if ours is None or theirs is None:
            measured, verdict = "not measured", "unknown"
        else:
            ratio = getattr(ours, goal.measure) / getattr(theirs, goal.measure)
            measured = f"1/{1 / ratio:.1f}" if goal.limit < 0.8 else f"{ratio:.2f}"  # noqa: PLR2004 - worded as the goal
            verdict = "yes" if (ratio >= goal.limit if goal.measure == "rate" else ratio <= goal.limit) else "**no**"
        what = "rate" if goal.measure == "rate" else "CPU"
        rows.append(f"| {goal.connections} | {TITLES[goal.peer]}, {what} | {goal.wording} | {measured} | {verdict} |")
    return "\n".join(rows)


def _milliseconds(microseconds: float) -> str:
    return "-" if microseconds != microseconds else f"{microseconds / 1000:,.1f}"  # noqa: PLR0124 - NaN
