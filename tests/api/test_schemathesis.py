"""Whatever the schema allows, and what it doesn't, is answered as the schema says; schemathesis asks on its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.plugin import ROOT, Database
from tests.support.clients.api_keys import make_key
from tests.support.clients.operations import OPERATIONS, PENDING, WITNESSED
from tests.support.clients.orders import GOOD
from tests.support.processes.sealers import Sealer, until_published
from tests.support.processes.service import ServiceFactory

pytestmark = pytest.mark.timeout(1800)  # each test asks some thousand times
CONFIG = ROOT / "tests" / "api" / "schemathesis.toml"
SCHEMA = ROOT / "schema" / "openapi.yaml"
FIRST_PHASES, WALK = "examples,coverage,fuzzing", "stateful"
WITHOUT_LIST = ("--exclude-operation-id", "list_tracking_numbers")
BOUNDED = {FIRST_PHASES: 30, WALK: 40}
CAMPAIGN = {FIRST_PHASES: 30, WALK: 100}
"""How much is drawn for each operation, and how many walks are taken."""
RUNS = {"asked": (FIRST_PHASES, ()), "walked": (WALK, ()), "walked from what is issued": (WALK, WITHOUT_LIST)}


class Target(NamedTuple):
    """The service, a number of its log, and how much is drawn in which phases."""

    url: str
    number: str
    bounds: dict[str, int]


@pytest.fixture(scope="module")
def target(request: pytest.FixtureRequest, database: Database, service: ServiceFactory) -> Iterator[Target]:
    bounds = CAMPAIGN if request.config.getoption("--campaign", default=False) else BOUNDED
    running = service(database, WEB_CONCURRENCY="1", LOG_LEVEL="ERROR", WRONG_KEYS_PER_ADDRESS="0")  # it guesses
    with Sealer(database):
        url = f"{running.base_url}/next-tracking-number"
        issued = httpx.get(url, params=GOOD, timeout=90).raise_for_status().json()
        until_published(database, 1)
        yield Target(running.base_url, issued["tracking_number"], bounds)


def ask(target: Target, folder: Path, *options: str) -> list[dict[str, Any]]:
    """Ask all operations in all phases; what was asked and answered is in the folder, and the reports are returned.

    Links are walked in a run of their own: after other phases schemathesis draws on what those were answered, finds
    that its own draws can't be repeated, and gives up on links without a word (FlakyStrategyDefinition). And in two:
    where there is the list, it begins no walk elsewhere.
    """
    (folder / "schemathesis.toml").write_text(CONFIG.read_text().replace("${NUMBER}", target.number))
    reports = [run(target, folder, name, phases, *options, *more) for name, (phases, more) in RUNS.items()]
    assert reports[0]["operations"]["tested"] == len(OPERATIONS)
    return reports


def run(target: Target, folder: Path, name: str, phases: str, *options: str) -> dict[str, Any]:
    """Ask in some phases; the files of the run are called by its name."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    reports = ["--report-json-path", f"{name}.json", "--report-ndjson-path", f"{name}.ndjson"]
    bounds = ["--phases", phases, "--max-examples", str(target.bounds[phases])]
    command = [program, "run", str(SCHEMA), "--url", target.url, *bounds, *reports, *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    report: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    assert report["complete"]
    succeeded = {phase for phase, outcome in report["phases"].items() if outcome["status"] == "success"}
    assert succeeded == set(phases.split(","))
    return report


def cases(folder: Path) -> Iterator[tuple[str, int, str | None]]:
    """Of each request the operation, the status that it got, and the link that was followed to it."""
    lines = (line for name in RUNS for line in (folder / f"{name}.ndjson").read_text().splitlines())
    for line in lines:
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for identity, case in recorder.get("cases", {}).items():
            response = recorder["interactions"][identity]["response"]
            followed = case["transition"]["id"] if case.get("is_transition_applied") else None
            yield f"{case['value']['method']} {case['value']['path']}", response["status_code"], followed


def test_a_key_for_everything_is_answered_as_the_schema_says(
    target: Target, database: Database, tmp_path: Path
) -> None:
    key = make_key(database, "issue", "audit", "reports", "operate")
    reports = ask(target, tmp_path, "--header", f"Authorization: Bearer {key}")
    waiting = {"unmatched_filter"} if PENDING else set()
    warnings = [warning for report in reports for warning in report["warnings"].items()]
    assert {text for name, texts in warnings for text in texts if name not in waiting} <= {WITNESSED}
    asked = list(cases(tmp_path))
    succeeded = {label for label, status, _ in asked if 200 <= status < 300}
    assert set(OPERATIONS) - {WITNESSED} <= succeeded, "these were refused throughout"
    linked = {
        link["operationId"]
        for operation in OPERATIONS.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    }
    assert linked <= {OPERATIONS[label]["operationId"] for label, _, followed in asked if followed}


def test_nobody_in_particular_is_answered_as_the_schema_says(target: Target, tmp_path: Path) -> None:
    ask(target, tmp_path)
