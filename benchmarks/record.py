"""Keeps results: the latest beside the code for whoever ran them, and those for good in README.md."""

import re
from pathlib import Path

import msgspec

from benchmarks import chart, report
from benchmarks.report import Results

_HERE = Path(__file__).parent
README = _HERE / "README.md"
CHART = _HERE / "cpu-per-issuance.svg"
LATEST = _HERE / "results" / "latest.json"
RECORDED = _HERE / "recorded.json"


def keep(results: Results, *, for_good: bool) -> None:
    """Write ``results`` as the latest; ``for_good`` makes them the ones that README.md shows."""
    data = msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_bytes(data)
    if for_good:
        RECORDED.write_bytes(data)
        chart.draw(results.figures, CHART)
        section("machine", ", ".join(f"{name} {value}" for name, value in results.machine.items()) + ".")
        how = f"Medians of {results.rounds} runs of {results.seconds} s each; load by {results.generator}."
        section("figures", f"{how}\n\n{report.table(results.figures)}")
        section("goals", report.goals(results.figures))


def section(name: str, text: str) -> None:
    """Put ``text`` between README.md's markers ``<!-- name -->`` and ``<!-- /name -->``."""
    marked = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    README.write_text(marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", README.read_text()))
