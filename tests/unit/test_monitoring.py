"""Dashboard and alert rules know the metrics that there are, and the rules fire when they should and only then."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core import metrics

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
RULES, DASHBOARD = (MONITORING / name for name in ("alerts.yml", "grafana-dashboard.json"))
CASES = sorted(MONITORING.glob("*_test.yml"))
METRIC = re.compile(r"\btracking_[a-z_]+")
OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def sampled() -> set[str]:
    """The names that a query may use: a histogram has three."""
    found: set[str] = set()
    for name, kind, _ in metrics.declared():
        found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found


def named(text: str) -> set[str]:
    """The metrics that a text names."""
    return set(METRIC.findall(text))


def expressions(node: Any) -> Iterator[str]:
    """The queries of the dashboard."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "expr")
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from expressions(each)


def rules() -> list[dict[str, Any]]:
    """All alert rules."""
    document = yaml.safe_load(RULES.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_the_rules_name_only_metrics_that_there_are() -> None:
    used = set().union(*(named(rule["expr"]) for rule in rules()))
    assert len(used) > 10
    assert used <= sampled()
    assert named("".join(file.read_text() for file in CASES)) <= sampled() | {name for name, *_ in metrics.declared()}


def test_the_dashboard_names_only_metrics_that_there_are_and_shows_all_of_them() -> None:
    queries = list(expressions(json.loads(DASHBOARD.read_text())))
    used = set().union(*map(named, queries))
    assert used <= sampled()
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in used}
    assert shown == {name for name, *_ in metrics.declared()}


def test_the_dashboard_is_one_that_grafana_can_lay_out() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [(panel["gridPos"], panel["title"]) for panel in panels]
    cells = [
        (x, y) for at, _ in taken for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells)), "no panel lies upon another"
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("query", sorted(set(expressions(json.loads(DASHBOARD.read_text())))))
def test_a_query_of_the_dashboard_sums_no_readings(query: str) -> None:
    """Each instance says the same of the database; a sum over instances would multiply it."""
    readings = {reading.name for reading in metrics.READINGS}
    if named(query) & readings:
        assert query.startswith(("max(", "min("))


def test_metrics_have_names_and_help_as_prometheus_wants_them() -> None:
    for name, kind, documentation in metrics.declared():
        assert re.fullmatch("tracking_[a-z_]+", name)
        assert (kind == "counter") == name.endswith("_total")
        assert documentation.endswith("."), name


def test_every_alert_has_a_severity_and_says_what_to_do_and_is_tested() -> None:
    cases = [case for file in CASES for case in yaml.safe_load(file.read_text())["tests"]]
    tried = {rule["alertname"] for case in cases for rule in case["alert_rule_test"] if "exp_alerts" in rule}
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["alert"] in tried, rule["alert"]
        assert f"`{rule['alert']}`" in OPERATIONS.read_text(), rule["alert"]


def test_promtool_takes_the_rules_and_they_do_as_they_should(tool: Callable[[str, str], Path]) -> None:
    promtool = tool("promtool", "prometheus")
    for command in (["check", "rules", RULES.name], ["test", "rules", *(file.name for file in CASES)]):
        ended = subprocess.run(
            [promtool, *command], cwd=MONITORING, check=False, text=True, stdout=subprocess.PIPE, timeout=120
        )
        assert ended.returncode == 0, ended.stdout
