"""How long the console's overview takes over millions of events of the last month, as one browser sees it."""

import argparse
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import httpx

from benchmarks import record, targets
from benchmarks.database import Cluster
from benchmarks.log import Ledger
from benchmarks.reports import roll_up
from benchmarks.running import Running, TargetError
from benchmarks.targets import PORT
from reports.session import session

LIMIT = 300.0
"""Milliseconds."""
_DATABASE = "console"
_MONTH = 30 * 86_400 * 1_000_000
_TAIL = 100_000
"""Leaves of a busy minute, which the roll-up has not reached yet."""
_PASSWORD = "only-for-this-benchmark"  # noqa: S105  # of a database that is thrown away


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("--large", type=int, default=5_000_000, help="events")
    parser.add_argument("--pages", type=int, default=30, help="times that the page is asked for")
    parser.add_argument("--record", action="store_true", help="write the result into benchmarks/README.md")


def measure(options: argparse.Namespace) -> int:
    """Measure and print; the exit code says whether the limit holds while the roll-up is a minute behind."""
    with Cluster(options.folder) as cluster:
        cluster.create(_DATABASE)
        cluster.manage(_DATABASE, "init_allocator")
        start = time.time_ns() // 1000 - _MONTH
        ledger = Ledger(cluster, _DATABASE, start=start, pace=_MONTH // options.large)
        with session(cluster.reporting_url(_DATABASE)) as reporter:
            ledger.fill(options.large - _TAIL)
            ledger.catch_up()
            roll_up(reporter)
            ledger.fill(options.large)
            ledger.catch_up()
            ledger.close()
            with cluster.session(_DATABASE) as superuser:
                superuser.execute("VACUUM (ANALYZE)")
            environment = cluster.environment(_DATABASE) | {"PORT": str(PORT), "WEB_CONCURRENCY": "2"}
            with Running(targets.SERVICE, environment, cluster.folder / "service.log"), _staff(cluster) as browser:
                behind = _times(browser, options.pages)
                roll_up(reporter)
                ready = _times(browser, options.pages)
    text = "\n".join(
        (
            f"| the overview over {ledger.count:,} events of 30 days | median | longest | goal |",
            "|---|--:|--:|--:|",
            f"| all of them rolled up | {median(ready):.0f} ms | {max(ready):.0f} ms | < {LIMIT:.0f} ms |",
            f"| the last {_TAIL:,} not yet | {median(behind):.0f} ms | {max(behind):.0f} ms | < {LIMIT:.0f} ms |",
        )
    )
    print(text)
    if options.record:
        record.section("console", text)
    return 0 if median(behind) < LIMIT else 1


def _times(browser: httpx.Client, pages: int) -> list[float]:
    """Milliseconds from request to answer, each time; the first few, which warm both processes, are left out."""
    found = []
    for _ in range(pages + 4):
        begun = time.perf_counter()
        browser.get("/console/").raise_for_status()
        found.append((time.perf_counter() - begun) * 1000)
    return found[4:]


@contextmanager
def _staff(cluster: Cluster) -> Iterator[httpx.Client]:
    """Somebody who has logged in."""
    once = cluster.manage(_DATABASE, "create_staff_user", "benchmark").strip()
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as browser:
        _fill_in(browser, "/console/login/", username="benchmark", password=once)
        _fill_in(browser, "/console/password/", old_password=once, new_password1=_PASSWORD, new_password2=_PASSWORD)
        yield browser


def _fill_in(browser: httpx.Client, path: str, **fields: str) -> None:
    found = re.search('name="csrfmiddlewaretoken" value="([^"]*)"', browser.get(path).text)
    if found is None:
        raise TargetError(f"{path} has no form.")
    answer = browser.post(
        path, data={"csrfmiddlewaretoken": found[1], **fields}, headers={"Origin": str(browser.base_url)}
    )
    if not answer.is_redirect:
        raise TargetError(f"{path} was answered with {answer.status_code}.")
