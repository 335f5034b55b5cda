"""The schema has nothing that a linter complains of."""

import json

import pytest

from tests.support.browser.node import run
from tests.support.clients.generated_clients import CLIENTS, SCHEMA


@pytest.mark.usefixtures("node_modules")
def test_a_linter_finds_nothing_in_the_schema() -> None:
    run("redocly", "lint", "--config", "redocly.yaml", str(SCHEMA))


def test_the_lock_pins_every_tool_by_hash_and_names_no_registry() -> None:
    lock = (CLIENTS / "package-lock.json").read_text()
    packages = [name for name in json.loads(lock)["packages"] if name]
    assert len(packages) == lock.count('"integrity": "sha512-')
    assert "resolved" not in lock
