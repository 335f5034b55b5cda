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

from core.env import Env, load

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
RAILWAY: dict[str, Any] = json.loads((ROOT / "railway.json").read_text())
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


@pytest.mark.parametrize("service", ["web", "migrate"])
def test_compose_gives_settings_that_exist_and_the_secrets_that_production_needs(service: str) -> None:
    given = COMPOSE["services"][service]["environment"]
    assert set(given) <= set(SETTINGS)
    assert {"DATABASE_URL", "SECRET_KEY", "NUMBER_KEY", "CUSTOMER_TAG_KEYS"} <= set(given)


def test_what_compose_gives_is_read_as_the_settings_of_a_production() -> None:
    dotenv = dict.fromkeys(("DB_SERVING_PASSWORD", "SECRET_KEY", "NUMBER_KEY"), "5e" * 32)
    dotenv |= {"CUSTOMER_TAG_KEYS": f"1:{'5e' * 32}", "ALLOWED_HOSTS": "tracking.example"}

    def substitute(value: str) -> str:
        return re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", lambda found: dotenv.get(found[1]) or found[3], value)

    env = load({name: substitute(value) for name, value in COMPOSE["services"]["web"]["environment"].items()})
    assert not env.embedded
    assert env.database_url == f"postgresql://tracking_web:{'5e' * 32}@db/tracking"
    assert env.https_only is True
    assert env.allowed_hosts == "tracking.example"


def test_no_secret_has_a_default_or_a_value_in_the_file() -> None:
    secrets = r"[A-Z_]*(?:PASSWORD|KEYS?)\b"
    used = re.findall(rf"\$\{{({secrets})(:\?[^}}]+)?", COMPOSE_TEXT)
    assert {name for name, _ in used} == {
        *("DB_OWNER_PASSWORD", "DB_SERVING_PASSWORD", "SECRET_KEY", "NUMBER_KEY", "CUSTOMER_TAG_KEYS")
    }
    assert all(message for _, message in used)
    assert re.findall(rf"^ *{secrets}: (?!\$\{{)", COMPOSE_TEXT, flags=re.MULTILINE) == []


def test_only_migrations_are_given_the_owners_login() -> None:
    assert "DATABASE_OWNER_URL" in COMPOSE["services"]["migrate"]["environment"]
    assert "OWNER" not in json.dumps(COMPOSE["services"]["web"])


def test_the_fence_lives_on_a_volume_of_its_own_where_the_image_expects_it() -> None:
    services = COMPOSE["services"]
    assert services["web"]["volumes"] == services["migrate"]["volumes"] == ["fence:/var/lib/tracking"]
    assert services["db"]["volumes"] == ["database:/var/lib/postgresql"]
    assert "FENCE=/var/lib/tracking/fence" in DOCKERFILE
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
