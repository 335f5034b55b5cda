"""Railway's project is that of docker-compose.yml, and what Railway is known to trip over is seen to."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from core.env import Env, load
from ledger import runtime
from tests.support.processes.shipped_files import HOST, ROOT, Graph, Railway, compose_config, dotenv, railway_graph

RAILWAY_JSON: dict[str, Any] = json.loads((ROOT / "railway.json").read_text())
PROGRAMS = ("web", "sealer", "worker", "beat")


@pytest.fixture(scope="module")
def graph() -> Graph:
    return railway_graph()


@pytest.fixture(scope="module")
def composed(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = compose_config(project)["services"]
    return found


@pytest.fixture(scope="module")
def railway(project: Path, graph: Graph) -> Railway:
    """Railway, whose shared variables were taken from the .env."""
    return Railway(graph, dotenv(project))


def test_the_services_are_those_of_compose(graph: Graph, composed: dict[str, Any]) -> None:
    services = {name for name, resource in graph.items() if resource["type"] in {"service", "database"}}
    # Railway's edge is the proxy, and a deployment of web migrates first.
    assert services == set(composed) - {"proxy", "migrate"}
    assert {name for name in graph if name not in services} == {"fence", "log"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_starts_what_it_starts_in_compose_in_as_many_containers(
    graph: Graph, composed: dict[str, Any], name: str
) -> None:
    deploy = graph[name]["deploy"]
    command = re.findall(r"^CMD (.+)$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)[0]
    assert shlex.split(deploy["startCommand"]) == (composed[name]["command"] or json.loads(command))
    assert deploy["numReplicas"] == composed[name].get("deploy", {}).get("replicas", 1)
    assert deploy["restartPolicyType"] == "ALWAYS"
    assert graph[name]["build"] == {"builder": "DOCKERFILE", "dockerfilePath": "Dockerfile"}


def test_what_a_shell_would_have_to_expand_has_a_shell(graph: Graph) -> None:
    for name in (*PROGRAMS, "valkey"):
        deploy = graph[name]["deploy"]
        for command in (deploy["startCommand"], *deploy.get("preDeployCommand", ())):
            words = shlex.split(command)
            assert words[:2] == ["/bin/sh", "-c"] or not re.search(r"[$&|;<>]", command), command
            assert len(words) == 3 or words[0] != "/bin/sh", command


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_has_the_settings_that_it_has_in_compose_but_for_what_railway_does_another_way(
    composed: dict[str, Any], railway: Railway, name: str
) -> None:
    here = railway.variables(name)
    there = {key for key, value in composed[name]["environment"].items() if not is_default(key, value)}
    bucket = {f"AWS_{key}" for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION", "ENDPOINT_URL_S3")}
    bucket |= {"AWS_S3_ADDRESSING_STYLE"}
    listening = {"HOST", "PORT"} if name == "web" else set()  # elsewhere the image says it
    by_name = set() if name == "web" else {"ALLOWED_HOSTS"}  # only web is asked by one
    assert set(here) - there == bucket | listening | {"FENCE"}
    assert there - set(here) - {"DATABASE_SEALER_URL", "DATABASE_REPORTER_URL"} == by_name


def is_default(key: str, value: str) -> bool:
    """Whether a setting that compose gives is what the service takes by itself in production."""
    return (
        load({key: value}) == load({})
        or {"HTTPS_ONLY": "1", "LOG_FORMAT": "json", "DRAIN_SECONDS": "5"}.get(key) == value
    )


def test_the_fence_is_in_a_valkey_that_writes_before_it_answers_and_the_log_in_a_bucket(
    graph: Graph, railway: Railway
) -> None:
    for name in PROGRAMS:
        env = load(railway.variables(name))
        assert re.fullmatch("redis://default:[0-9a-f]{64}@valkey.railway.internal:6379/0", str(env.fence))
        assert env.publication == "s3://log-jdhhd8oe18xi/log"
    command = graph["valkey"]["deploy"]["startCommand"]
    for flag in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction", "--dir /data"):
        assert flag in command
    [mounted] = graph["valkey"]["volumeAttachments"].values()
    assert (mounted["volume"], mounted["mountPath"]) == ("volume.fence", "/data")
    assert not [name for name in PROGRAMS if graph[name].get("volumeAttachments")], "no two services share a volume"


def test_the_same_valkey_and_the_same_major_version_of_postgresql_as_in_compose(
    graph: Graph, composed: dict[str, Any]
) -> None:
    assert graph["valkey"]["source"]["image"] == composed["valkey"]["image"]
    assert graph["db"]["image"].rpartition(":")[2] == composed["db"]["image"].rpartition(":")[2]


def test_only_the_sealers_can_sign(railway: Railway) -> None:
    assert runtime.signer(load(railway.variables("sealer"))).verifier.name == f"{HOST}/log"
    for name in set(PROGRAMS) - {"sealer"}:
        assert "PRIVATE" not in json.dumps(railway.variables(name))


def test_no_secret_stands_in_the_file(graph: Graph) -> None:
    for name in (*PROGRAMS, "valkey"):
        for key, variable in graph[name]["variables"].items():
            if re.search("SECRET|PASSWORD|TOKEN|NUMBER_KEY|KEYS|LEDGER|ACCESS_KEY", key):
                assert variable["type"] in {"sharedReference", "reference"}, key


def test_every_shared_variable_is_one_that_make_env_makes(project: Path, graph: Graph) -> None:
    variables = [variable for name in (*PROGRAMS, "valkey") for variable in graph[name]["variables"].values()]
    shared = {variable["name"] for variable in variables if variable["type"] == "sharedReference"}
    assert shared <= set(dotenv(project))


def test_the_health_check_is_ready_and_reaches_the_port_by_either_protocol(graph: Graph, railway: Railway) -> None:
    assert graph["web"]["deploy"]["healthcheckPath"] == "/readyz"
    env = load(railway.variables("web"))
    assert (env.host, env.port) == ("::", 8000)
    assert env.web_concurrency == 2, "a container there sees all cores of its machine"


def test_a_deployment_migrates_first_and_lets_the_old_one_drain(graph: Graph, composed: dict[str, Any]) -> None:
    deploy = graph["web"]["deploy"]
    assert [shlex.split(command)[-1] for command in deploy["preDeployCommand"]] == [composed["migrate"]["command"][-1]]
    assert composed["web"]["stop_grace_period"] == "1m40s"
    assert deploy["drainingSeconds"] == 100
    assert deploy["overlapSeconds"] > 0
    for name in (*PROGRAMS, "valkey"):
        assert graph[name]["deploy"]["drainingSeconds"] >= 30, "unset, it is killed at once"


def test_railway_json_says_of_web_what_the_project_says(graph: Graph) -> None:
    web = graph["web"]
    assert RAILWAY_JSON["build"] == web["build"]
    assert RAILWAY_JSON["deploy"] == {key: value for key, value in web["deploy"].items() if key != "numReplicas"}
    for key in ("healthcheckTimeout", "overlapSeconds", "drainingSeconds"):
        assert type(RAILWAY_JSON["deploy"][key]) is int, "Railway refuses a string"


def test_env_is_a_production(railway: Railway) -> None:
    env: Env = load(railway.variables("web"))
    assert not env.embedded
    assert env.https_only is None
    assert env.allowed_hosts == HOST
    assert env.trusted_proxies == 1
    assert env.throttle_per_address == 600
