"""``python -m benchmarks``: what an issuance costs, beside what it costs elsewhere."""

import argparse
import sys
from pathlib import Path

from benchmarks import (
    bulk,
    console,
    flat,
    instances,
    lists,
    log,
    lookup,
    machine,
    provable,
    record,
    recovery,
    report,
    reports,
    shards,
    stages,
    targets,
    throttle,
)
from benchmarks.database import ROOT, Cluster
from benchmarks.load import LoadError, generator
from benchmarks.pgbench import PgbenchError
from benchmarks.report import Results
from benchmarks.run import Bench, Figure, NotCountedError
from benchmarks.running import TargetError

FOLDER = ROOT / ".data"


def say(line: str) -> None:
    """Tell the person at the terminal."""
    print(line, flush=True)


def compare(options: argparse.Namespace) -> int:
    """The service and its peers; the exit code says whether every figure could be taken."""
    figures: list[Figure] = []
    failures = 0
    with Cluster(options.folder) as cluster:
        bench = Bench(cluster, seconds=options.seconds, say=say)
        chosen = bench.prepare([target for target in targets.TARGETS if target.name in options.targets])
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}, {generator()}, {options.seconds} s a run")
            runs = [bench.target(target) for target in chosen]
            runs += [bench.pgbench()] if targets.PGBENCH in options.targets else []
            for run in runs:
                try:
                    for figure in run:
                        figures.append(figure)
                        say(report.line(figure))
                except (LoadError, NotCountedError, PgbenchError, TargetError) as error:
                    failures += 1
                    say(f"NOT COUNTED: {error}")
    results = Results(
        machine=machine.facts(),
        generator=generator(),
        seconds=options.seconds,
        rounds=options.rounds,
        figures=report.medians(figures),
    )
    say(f"\n{report.table(results.figures)}\n\n{report.goals(results.figures)}")
    record.keep(results, for_good=options.record)
    return 1 if failures else 0


def main() -> int:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where PostgreSQL works meanwhile (default .data)")
    parser.set_defaults(measure=compare)
    _compare_options(parser)
    commands = parser.add_subparsers(title="other measurements (without one: the service beside its peers)")
    others = {
        "flat": flat,
        "stages": stages,
        "bulk": bulk,
        "instances": instances,
        "console": console,
        "provable": provable,
        "log": log,
        "recovery": recovery,
        "lookup": lookup,
        "lists": lists,
        "reports": reports,
        "throttle": throttle,
        "shards": shards,
    }
    for name, module in others.items():
        command = commands.add_parser(name, description=module.__doc__, help=(module.__doc__ or "").splitlines()[0])
        module.add_options(command)
        command.set_defaults(measure=module.measure)
    options = parser.parse_args()
    return int(options.measure(options))


def _compare_options(parser: argparse.ArgumentParser) -> None:
    names = [*(target.name for target in targets.TARGETS), targets.PGBENCH]
    parser.add_argument("--seconds", type=int, default=10, help="length of each load")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each target; the median counts")
    parser.add_argument("--targets", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument(
        "--record", action="store_true", help="write the results into benchmarks/README.md and its chart"
    )


if __name__ == "__main__":
    sys.exit(main())
