"""A TypeScript client is made of the schema, type-checked by tsc, and does its work under node."""

import re
from pathlib import Path

import pytest

from tests.support.browser.node import run
from tests.support.clients.generated_clients import CLIENTS, READY, SCHEMA, STEPS, copy_programs, execute

pytestmark = pytest.mark.timeout(900)
LANGUAGE = "typescript"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, node_modules: Path) -> Path:
    """The folder of the client, and of the programs that use it."""
    folder = tmp_path_factory.mktemp(LANGUAGE)
    copy_programs(LANGUAGE, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(node_modules)
    run("openapi-typescript", str(SCHEMA), "--output", "schema.d.ts", folder=folder)
    run("tsc", folder=folder)
    return folder


def test_there_is_a_program_for_each_step_and_none_looks_past_the_types() -> None:
    programs = list((CLIENTS / LANGUAGE).glob("*.ts"))
    assert {file.stem for file in programs} == {"client", *STEPS}
    past = re.compile(r"[)\w] as (?!const)[\w<{]+[;,)]|[:<] ?any\b|@ts-ignore|@ts-nocheck")
    assert not any(past.search(file.read_text()) for file in programs)


@pytest.mark.parametrize("step", READY)
def test_it_does_its_work(client: Path, environment: dict[str, str], step: str) -> None:
    execute("node", f"built/{step}.js", folder=client, **environment)
