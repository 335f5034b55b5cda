"""What the throttle costs: CPU of an issuance with quotas that refuse nobody, beside one without them."""

import argparse
from statistics import median
from typing import Final, NamedTuple

from benchmarks import cpu, load, orders, record, targets
from benchmarks.database import Cluster
from benchmarks.run import NotCountedError
from benchmarks.running import Running
from benchmarks.targets import PORT, WORKERS
from core.embedded.valkey import Valkey

CONNECTIONS: Final = 64
ADDRESSES: Final = 1_000
GOAL: Final = 0.15
_WARM_UP: Final = 6
"""Seconds, so that most of the callers have been seen by both processes."""
_DATABASE: Final = "throttle"


class Kind(NamedTuple):
    """A load, and what the service is set to."""

    title: str
    addresses: int
    settings: dict[str, str]


class Cost(NamedTuple):
    """What one issuance took; CPU in microseconds."""

    rate: float
    server: float
    database: float
    valkey: float

    @property
    def cpu(self) -> float:
        """CPU of all three."""
        return self.server + self.database + self.valkey


PAIRS: Final = (
    (Kind("one address, no throttle", 0, {}), Kind("one address", 0, {"THROTTLE_PER_ADDRESS": "10000000"})),
    (
        Kind(f"{ADDRESSES:,} addresses, no throttle", ADDRESSES, {}),
        Kind(
            f"{ADDRESSES:,} addresses behind a proxy",
            ADDRESSES,
            {"THROTTLE_PER_ADDRESS": "3000", "TRUSTED_PROXIES": "1"},
        ),
    ),
)
"""Each with what it is measured by: the same requests, X-Forwarded-For too."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--seconds", type=int, default=6, help="length of each load")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind, in turns; the median counts")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print; the exit code says whether the goal is reached."""
    found: dict[str, list[Cost]] = {}
    with Cluster(options.folder) as cluster, Valkey(cluster.folder / "valkey") as valkey:
        for number in range(options.rounds):
            for kind in (kind for pair in PAIRS for kind in pair):
                cost = _run(cluster, valkey, kind, options.seconds)
                found.setdefault(kind.title, []).append(cost)
                print(f"round {number + 1}: {kind.title}: {cost.cpu:.0f} µs at {cost.rate:,.0f}/s", flush=True)
    text = _table({title: sorted(each, key=lambda cost: cost.cpu)[len(each) // 2] for title, each in found.items()})
    ratios = [_ratio(found, *pair) for pair in PAIRS]
    text += "\n\n" + "\n".join(
        f"- {on.title}: {ratio:+.1%}, the median of {options.rounds} rounds (goal: at most {GOAL:.0%})"
        for (_, on), ratio in zip(PAIRS, ratios, strict=True)
    )
    print(text)
    if options.record:
        record.section("throttle", text)
    return 0 if max(ratios) <= GOAL else 1


def _run(cluster: Cluster, valkey: Valkey, kind: Kind, seconds: int) -> Cost:
    work = cluster.folder / "orders"
    orders.write(work)
    cluster.create(_DATABASE)
    cluster.manage(_DATABASE, "init_allocator")
    given = {"WEB_CONCURRENCY": str(WORKERS), "PORT": str(PORT), "REDIS_URL": valkey.url}
    environment = cluster.environment(_DATABASE) | given | kind.settings
    log = cluster.folder / "service.log"
    with Running(targets.SERVICE, environment, log) as running:
        load.run(PORT, CONNECTIONS, _WARM_UP, work, "repeated", addresses=kind.addresses)
        rows = cluster.rows(_DATABASE)
        roots = [running.pid, cluster.server.pid, valkey.pid]
        before = [cpu.used(pid or 0) for pid in roots]
        seen = load.run(PORT, CONNECTIONS, seconds, work, "repeated", addresses=kind.addresses)
        used = [cpu.used(pid or 0) - earlier for pid, earlier in zip(roots, before, strict=True)]
        rows = cluster.rows(_DATABASE) - rows
    if rows != seen.answered or seen.refused:
        raise NotCountedError(f"{kind.title}: {seen.answered} answers, {seen.refused} refused, {rows} rows")
    if "has lost Redis" in log.read_text():
        raise NotCountedError(f"{kind.title}: the throttle lost Valkey, and did not count")
    server, database, store = (each / seen.answered for each in used)
    return Cost(seen.answered / seen.seconds, server, database, store)


def _ratio(found: dict[str, list[Cost]], off: Kind, on: Kind) -> float:
    """How much dearer an issuance is; each round by itself, since the machine is not the same for long."""
    pairs = zip(found[off.title], found[on.title], strict=True)
    return median(dearer.cpu / cheaper.cpu - 1 for cheaper, dearer in pairs)


def _table(costs: dict[str, Cost]) -> str:
    rows = ["| callers | a second | server µs | PostgreSQL µs | Valkey µs | **CPU µs** |", "|---|--:|--:|--:|--:|--:|"]
    rows += [
        f"| {title} | {each.rate:,.0f} | {each.server:.1f} | {each.database:.1f} | {each.valkey:.1f} "
        f"| **{each.cpu:.1f}** |"
        for title, each in costs.items()
    ]
    return "\n".join(rows)
