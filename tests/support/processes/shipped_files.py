"""What docker-compose.yml and .railway/railway.py come to for the programs that read them; no engine is asked."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from railway_sdk import create_railway_context  # type: ignore[import-untyped]  # it has no types

ROOT: Final = Path(__file__).resolve().parents[3]
COMPOSE: Final = Path(sys.executable).with_name("docker-compose")
HOST: Final = "tracking.example"

# What Railway's own resources tell those who refer to them.
OUTPUTS: Final[Mapping[str, Mapping[str, str]]] = {
    "db": {"DATABASE_URL": "postgresql://postgres:pw@db.railway.internal:5432/railway"},
    "log": {
        "BUCKET": "log-jdhhd8oe18xi",
        "ACCESS_KEY_ID": "tid_key",
        "SECRET_ACCESS_KEY": "tsec_secret",
        "REGION": "auto",
        "ENDPOINT": "https://storage.railway.app",
    },
}

type Graph = dict[str, dict[str, Any]]


def make_env(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/make-env.sh as if the checkout were ``folder``, which gets the .env."""
    script = folder / "scripts/make-env.sh"
    script.parent.mkdir(exist_ok=True)
    shutil.copy(ROOT / "scripts/make-env.sh", script)
    command = ["/bin/sh", str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


def dotenv(folder: Path) -> dict[str, str]:
    """The variables of its .env."""
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose_config(folder: Path, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What Docker Compose makes of docker-compose.yml and the .env of ``folder``; AssertionError: what it refuses."""
    command = [str(COMPOSE), "--project-directory", str(folder), "--file", str(ROOT / "docker-compose.yml")]
    ended = subprocess.run(
        [*command, "config", "--format", "json"],
        env=dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    config: dict[str, Any] = json.loads(ended.stdout)
    return config


def railway_graph() -> Graph:
    """The resources of .railway/railway.py by name, as Railway's CLI is given them."""
    program = runpy.run_path(str(ROOT / ".railway/railway.py"))["main"]
    graph = program(create_railway_context(environment="production")).to_graph()
    return {resource["name"]: resource for resource in graph["resources"]}


class Railway:
    """Fills in variables as Railway does, with what the environment shares."""

    def __init__(self, graph: Graph, shared: Mapping[str, str]) -> None:
        self._graph = graph
        self._shared = shared

    def variables(self, service: str) -> dict[str, str]:
        """All that a service is given."""
        return {name: self._value(service, name) for name in self._graph[service]["variables"]}

    def _value(self, resource: str, name: str) -> str:
        own = {"RAILWAY_PRIVATE_DOMAIN": f"{resource}.railway.internal", "RAILWAY_PUBLIC_DOMAIN": HOST}
        if name in (told := {**own, **OUTPUTS.get(resource, {})}):
            return told[name]
        variable = self._graph[resource]["variables"][name]
        match variable["type"]:
            case "sharedReference":
                return self._shared[variable["name"]]
            case "reference":
                return self._value(variable["resource"].partition(".")[2], variable["output"])
            case _:
                template = r"\$\{\{(?:(\w+)\.)?(\w+)\}\}"
                return re.sub(template, lambda of: self._value(of[1] or resource, of[2]), variable["value"])
