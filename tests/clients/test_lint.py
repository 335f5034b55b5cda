"""The schema has nothing that a linter complains of."""

import pytest

from tests.support.clients import SCHEMA
from tests.support.node import run


@pytest.mark.usefixtures("node_modules")
def test_a_linter_finds_nothing_in_the_schema() -> None:
    run("redocly", "lint", "--config", "redocly.yaml", str(SCHEMA))
