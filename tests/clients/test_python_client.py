"""A Python client is made of the schema, type-checked where it is used, and does its work on the running service."""

import sys
from pathlib import Path

import pytest

from tests.support.clients.generated_clients import CLIENTS, READY, SCHEMA, STEPS, copy_programs, execute

pytestmark = pytest.mark.timeout(900)
LANGUAGE = "python"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the client, and of the programs that use it; the generator must have no reservation."""
    folder = tmp_path_factory.mktemp(LANGUAGE)
    copy_programs(LANGUAGE, folder)
    generator = str(Path(sys.executable).with_name("openapi-python-client"))
    options = ["--path", str(SCHEMA), "--config", str(folder / "generator.yaml"), "--meta", "none", "--fail-on-warning"]
    execute(generator, "generate", *options, "--output-path", "tracking_client", folder=folder)
    return folder


def test_there_is_a_program_for_each_step() -> None:
    assert {file.stem for file in (CLIENTS / LANGUAGE).glob("*.py")} == {"order", *STEPS}


def test_its_types_fit_how_it_is_used(client: Path) -> None:
    execute(sys.executable, "-m", "mypy", "--strict", "--config-file=", ".", folder=client)


@pytest.mark.parametrize("step", READY)
def test_it_does_its_work(client: Path, environment: dict[str, str], step: str) -> None:
    execute(sys.executable, f"{step}.py", folder=client, **environment)
