"""The operations of schema/openapi.yaml, and those that are still to come."""

from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import yaml

from tests.plugin import ROOT

PENDING: Final[frozenset[str]] = frozenset()
"""Whatever tests one of these comes into force with it: a test fails when it is there and stands here still."""

DOCUMENT: Final[dict[str, Any]] = yaml.load((ROOT / "schema" / "openapi.yaml").read_text(), yaml.CSafeLoader)
OPERATIONS: Final[dict[str, dict[str, Any]]] = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
"""By method and path."""
WITNESSED: Final = "GET /witnessed-checkpoint"
"""Not found where the log has no witnesses; tests/api/test_witnessed.py has some."""


class Sent(NamedTuple):
    """A request."""

    method: str
    target: str
    headers: dict[str, str]
    body: Any


def first_examples(label: str) -> Sent:
    """What Swagger UI fills in before anybody has typed: of each parameter and body the first example."""
    method, path = label.split()
    given: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
    for parameter in OPERATIONS[label].get("parameters", []):
        for example in list(parameter.get("examples", {}).values())[:1]:
            given[parameter["in"]][parameter["name"]] = example["value"]
    target = path.format(**{name: quote(str(value), safe="") for name, value in given["path"].items()})
    if given["query"]:
        target += f"?{urlencode(given['query'])}"
    contents = OPERATIONS[label].get("requestBody", {}).get("content", {})
    bodies = [next(iter(content["examples"].values()))["value"] for content in contents.values()]
    return Sent(
        method, target, {name: str(value) for name, value in given["header"].items()}, bodies[0] if bodies else None
    )
