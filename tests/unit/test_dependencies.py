"""Each dependency has its reason, and what production is given is pinned by hash."""

import re
from pathlib import Path

import pytest

from tests.plugin import ROOT

PYPROJECT = (ROOT / "pyproject.toml").read_text()
_LINE = re.compile(r'^    "([a-z0-9-]+)(?:\[[a-z0-9,]+\])?[<>=0-9., a-z]*",(.*)$', re.MULTILINE)


def declared() -> list[tuple[str, str]]:
    """The name of each dependency, and what stands beside it."""
    lists = re.findall(r"^(?:dependencies|dev|bench) = \[\n(.*?)^\]", PYPROJECT, re.MULTILINE | re.DOTALL)
    assert len(lists) == 3
    return [found for each in lists for found in _LINE.findall(each)]


def test_all_dependencies_are_found_here() -> None:
    names = [name for name, _ in declared()]
    assert len(names) > 40
    assert {"django", "psycopg", "uvicorn", "pytest", "fastapi"} <= set(names)


@pytest.mark.parametrize("reason", [pytest.param(reason, id=name) for name, reason in declared()])
def test_a_dependency_says_what_it_is_for(reason: str) -> None:
    assert re.match(r" +# \S.{5,}", reason)


@pytest.mark.parametrize("file", sorted(Path(ROOT, "requirements").glob("*.txt")), ids=lambda file: file.name)
def test_what_is_installed_is_pinned_by_hash_and_names_no_place(file: Path) -> None:
    text = file.read_text()
    pinned = re.findall(r"^([a-z0-9._-]+)==\S+(?: ; .*)? \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z]", text, re.MULTILINE)) > 0
    assert "://" not in text
    assert "--index" not in text
