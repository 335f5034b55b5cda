"""What ships the service agrees with the service: its packages, its settings, its secrets, its time to drain."""

import json
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from core.databases import APPLICATION_ROLE, REPORTER_ROLE, SEALER_ROLE
from core.embedded import secrets
from core.embedded.__main__ import BEAT, WORKER
from core.env import Env, SettingsError, load
from ledger import runtime
from ledger.domain.note import SignerKey

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
RAILWAY: dict[str, Any] = json.loads((ROOT / "railway.json").read_text())
OURS = ("migrate", "web", "sealer", "worker", "beat")
PASSWORDS_AND_KEYS = (
    *("DB_OWNER_PASSWORD", "DB_SERVING_PASSWORD", "DB_SEALING_PASSWORD", "DB_REPORTING_PASSWORD"),
    *("SECRET_KEY", "NUMBER_KEY"),
)
SIGNER = SignerKey.make("tracking.example/log")
SETTINGS = {field.encode_name: field for field in msgspec.structs.fields(Env)}


@pytest.fixture(scope="module")
def packages() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [str(name) for name in project["tool"]["importlinter"]["root_packages"]]


def test_the_image_holds_every_package_and_the_context_lets_it_in(packages: list[str]) -> None:
    let_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    for package in packages:
        assert f"COPY {package} {package}\n" in DOCKERFILE
    assert let_in == {*packages, "manage.py", "gunicorn.conf.py", "requirements/base.txt"}


def test_every_file_that_the_image_copies_is_there() -> None:
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_image_serves_as_nobody_in_particular_and_installs_by_hash_only() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, flags=re.MULTILINE) == ["tracking"]
    assert "--require-hashes" in DOCKERFILE
    assert "--only-binary :all:" in DOCKERFILE


@pytest.mark.parametrize("service", OURS)
def test_compose_gives_settings_that_exist_and_the_secrets_that_production_needs(service: str) -> None:
    given = COMPOSE["services"][service]["environment"]
    assert set(given) <= set(SETTINGS)
    assert {"DATABASE_URL", "PUBLICATION", *(name.upper() for name in secrets.KINDS)} <= set(given)


def settings_of(service: str) -> Env:
    """The settings that a service of the compose file reads, given a file .env as its head asks for."""
    dotenv = dict.fromkeys(PASSWORDS_AND_KEYS, "5e" * 32)
    dotenv |= {"CUSTOMER_TAG_KEYS": f"1:{'5e' * 32}", "ALLOWED_HOSTS": "tracking.example"}
    dotenv |= {"LEDGER_KEY": SIGNER.export(), "LEDGER_VERIFIER_KEY": str(SIGNER.verifier)}

    def substitute(value: str) -> str:
        return re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", lambda found: dotenv.get(found[1]) or found[3], value)

    return load({name: substitute(value) for name, value in COMPOSE["services"][service]["environment"].items()})


def test_what_compose_gives_is_read_as_the_settings_of_a_production() -> None:
    env = settings_of("web")
    assert not env.embedded
    assert env.database_url == f"postgresql://tracking_web:{'5e' * 32}@db/tracking"
    assert env.https_only is True
    assert env.allowed_hosts == "tracking.example"


def test_the_sealers_sign_and_the_web_processes_only_verify() -> None:
    sealing, serving = settings_of("sealer"), settings_of("web")
    assert runtime.signer(sealing).verifier.id == runtime.verifier(serving).id == SIGNER.verifier.id
    assert sealing.database_sealer_url == f"postgresql://tracking_seal:{'5e' * 32}@db/tracking"
    for service in set(OURS) - {"sealer"}:
        with pytest.raises(SettingsError, match="signing half"):
            runtime.signer(settings_of(service))
        assert "SEALING" not in json.dumps(COMPOSE["services"][service])


def test_two_sealers_run_and_hear_that_they_are_told_to_stop() -> None:
    sealer = COMPOSE["services"]["sealer"]
    assert sealer["command"] == ["python", "manage.py", "seal_ledger"]
    assert sealer["deploy"] == {"replicas": 2}
    assert sealer["init"] is True
    assert sealer["healthcheck"] == {"disable": True}, "the image's asks a web process"


@pytest.mark.parametrize(("service", "program"), [("worker", WORKER), ("beat", BEAT)])
def test_what_counts_runs_as_under_make_run_with_a_login_and_a_queue_of_its_own(
    service: str, program: tuple[str, ...]
) -> None:
    given = COMPOSE["services"][service]
    assert tuple(given["command"]) == program
    assert given["init"] is True
    assert given["healthcheck"] == {"disable": True}, "the image's asks a web process"
    env = settings_of(service)
    assert env.database_reporter_url == f"postgresql://tracking_report:{'5e' * 32}@db/tracking"
    assert env.redis_url == "redis://valkey:6379/0"
    assert env.report_time_zone == settings_of("web").report_time_zone == "UTC"


def test_the_queue_is_no_ones_but_theirs_and_keeps_nothing() -> None:
    valkey = COMPOSE["services"]["valkey"]
    assert valkey["command"] == ["valkey-server", "--save", ""]
    assert not {"ports", "volumes"} & set(valkey)
    for service in ("web", "sealer", "migrate"):
        assert "REDIS_URL" not in COMPOSE["services"][service]["environment"]
        assert "REPORTING" not in json.dumps(COMPOSE["services"][service])


def test_each_login_is_made_with_the_role_that_it_takes_on() -> None:
    made = dict(re.findall(r"CREATE ROLE (\w+) LOGIN PASSWORD \S+ IN ROLE (\w+);", COMPOSE_TEXT))
    assert made == {
        "tracking_web": APPLICATION_ROLE,
        "tracking_seal": SEALER_ROLE,
        "tracking_report": REPORTER_ROLE,
    }
    for role in made.values():
        assert f"CREATE ROLE {role} NOLOGIN;" in COMPOSE_TEXT


def test_no_secret_has_a_default_or_a_value_in_the_file() -> None:
    pattern = r"[A-Z_]*(?:PASSWORD|KEYS?)\b"
    used = re.findall(rf"\$\{{({pattern})(:\?[^}}]+)?", COMPOSE_TEXT)
    assert {name for name, _ in used} == {
        *PASSWORDS_AND_KEYS,
        *("CUSTOMER_TAG_KEYS", "LEDGER_KEY", "LEDGER_VERIFIER_KEY"),
    }
    assert all(message for _, message in used)
    assert re.findall(rf"^ *{pattern}: (?!\$\{{)", COMPOSE_TEXT, flags=re.MULTILINE) == []


def test_only_migrations_are_given_the_owners_login() -> None:
    assert "DATABASE_OWNER_URL" in COMPOSE["services"]["migrate"]["environment"]
    for service in set(OURS) - {"migrate"}:
        assert "OWNER" not in json.dumps(COMPOSE["services"][service])


def test_fence_and_publication_live_on_a_volume_of_their_own_where_the_image_may_write() -> None:
    services = COMPOSE["services"]
    assert [services[name]["volumes"] for name in OURS] == [["fence:/var/lib/tracking"]] * len(OURS)
    assert services["db"]["volumes"] == ["database:/var/lib/postgresql"]
    assert "FENCE=/var/lib/tracking/fence" in DOCKERFILE
    assert "--owner tracking --mode 0700 /var/lib/tracking\n" in DOCKERFILE
    assert {services[name]["environment"]["PUBLICATION"] for name in OURS} == {"/var/lib/tracking/published"}
    assert set(COMPOSE["volumes"]) == {"database", "fence"}


def test_compose_starts_postgresql_18_with_checksums() -> None:
    assert COMPOSE["services"]["db"]["image"] == "postgres:18"
    assert "--data-checksums" in COMPOSE["services"]["db"]["environment"]["POSTGRES_INITDB_ARGS"]


def test_whoever_stops_the_service_waits_longer_than_it_drains() -> None:
    drains: int = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["graceful_timeout"]
    assert int(COMPOSE["services"]["web"]["stop_grace_period"].removesuffix("s")) > drains
    assert RAILWAY["deploy"]["drainingSeconds"] > drains  # a number: Railway refuses a string


def test_railway_starts_what_the_image_starts_once_the_fence_is_there() -> None:
    command = " ".join(json.loads(re.findall(r"^CMD (.+)$", DOCKERFILE, flags=re.MULTILINE)[0]))
    # Not before the deploy: Railway mounts no volume then.
    assert RAILWAY["deploy"]["startCommand"] == f'/bin/sh -c "python manage.py init_allocator && exec {command}"'
    assert RAILWAY["deploy"]["preDeployCommand"] == ["python manage.py migrate"]
    assert RAILWAY["build"] == {"builder": "DOCKERFILE", "dockerfilePath": "Dockerfile"}
