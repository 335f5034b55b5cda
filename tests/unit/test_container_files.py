"""What ships the service agrees with the service: its packages, its settings, its secrets, its time to drain."""

import json
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.databases import APPLICATION_ROLE, REPORTER_ROLE, SEALER_ROLE
from core.embedded import secrets
from core.embedded.__main__ import BEAT, WORKER
from core.env import Env, SettingsError, load
from ledger import runtime
from tests.support.processes.shipped_files import HOST, ROOT, compose_config, dotenv

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
OURS = ("migrate", "web", "sealer", "worker", "beat")
SETTINGS = {field.encode_name: field for field in msgspec.structs.fields(Env)}

type Services = dict[str, Any]


@pytest.fixture(scope="module")
def composed(project: Path) -> dict[str, Any]:
    """What Docker Compose makes of both."""
    return compose_config(project)


@pytest.fixture(scope="module")
def services(composed: dict[str, Any]) -> Services:
    found: Services = composed["services"]
    return found


@pytest.fixture(scope="module")
def settings_of(services: Services) -> Callable[[str], Env]:
    """The settings that a service is given, as it reads them."""
    return lambda service: load(services[service]["environment"])


# The image.


def test_the_image_holds_every_package_and_the_context_lets_it_in() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
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
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, flags=re.MULTILINE) == ["10001"]  # a number, which Kubernetes wants
    assert "useradd --uid 10001 " in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE
    assert "--only-binary :all:" in DOCKERFILE


def test_the_image_stops_in_order_and_says_what_it_is() -> None:
    assert "\nSTOPSIGNAL SIGTERM\n" in DOCKERFILE
    for label in ("title", "description", "licenses", "version", "revision", "created"):
        assert f"org.opencontainers.image.{label}=" in DOCKERFILE


IMPORTS = """
import importlib, importlib.metadata as metadata, pkgutil, re, sys
normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()
shipped = {normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", open("requirements/base.txt").read(), re.M)}

missing = {module for module, of in metadata.packages_distributions().items() if not shipped & {normal(d) for d in of}}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r} in the image", name=name)

sys.meta_path.insert(0, Missing())
import django
django.setup()
for package in sys.argv[1:]:
    for module in pkgutil.walk_packages([package], f"{package}."):
        importlib.import_module(module.name)
from core.celery import app
app.connection_for_write().transport
"""


def test_all_that_the_service_imports_is_installed_in_the_image() -> None:
    """The tests run where much more is installed; the first image that was built had no working worker."""
    roots = [line.split()[1] for line in re.findall(r"^COPY (\w+ \w+)$", DOCKERFILE, flags=re.MULTILINE)]
    assert len(roots) > 4
    environment = {"DJANGO_SETTINGS_MODULE": "core.settings", "REDIS_URL": "redis://localhost:1/0"}
    command = [sys.executable, "-c", IMPORTS, *roots]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]


# The services.


def test_no_service_can_gain_power_or_write_to_its_own_image(services: Services) -> None:
    for name in (*OURS, "valkey", "proxy"):
        service = services[name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_no_logs_fill_the_disk(services: Services) -> None:
    for name, service in services.items():
        assert service["logging"] == {"driver": "local"}, name


@pytest.mark.parametrize("service", OURS)
def test_compose_gives_settings_that_exist_and_the_secrets_that_production_needs(
    services: Services, service: str
) -> None:
    given = services[service]["environment"]
    assert set(given) <= set(SETTINGS)
    assert {"DATABASE_URL", "PUBLICATION", *(name.upper() for name in secrets.KINDS)} <= set(given)


def test_what_compose_gives_is_read_as_the_settings_of_a_production(
    project: Path, settings_of: Callable[[str], Env]
) -> None:
    env = settings_of("web")
    assert not env.embedded
    assert env.database_url == f"postgresql://tracking_web:{dotenv(project)['DB_SERVING_PASSWORD']}@db/tracking"
    assert env.https_only is True
    assert env.allowed_hosts == HOST


def test_all_that_an_env_may_say_is_in_the_guide_and_all_that_witnesses_need_is_passed_on(
    services: Services,
) -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+):-", COMPOSE_TEXT))
    guide = (ROOT / "docs/operations.md").read_text()
    assert "LOG_LEVEL" in asked
    assert [name for name in sorted(asked) if f"`{name}" not in guide and f"{name}=" not in guide] == []
    witnesses = {name for name in SETTINGS if name.startswith("WITNESS")}
    assert len(witnesses) >= 3
    for service in OURS:
        assert witnesses <= set(services[service]["environment"]), service


def test_the_sealers_sign_and_everybody_else_only_verifies(
    project: Path, services: Services, settings_of: Callable[[str], Env]
) -> None:
    made = dotenv(project)
    sealing, serving = settings_of("sealer"), settings_of("web")
    assert runtime.signer(sealing).verifier.id == runtime.verifier(serving).id
    assert sealing.database_sealer_url == f"postgresql://tracking_seal:{made['DB_SEALING_PASSWORD']}@db/tracking"
    for service in set(services) - {"sealer"}:
        assert made["LEDGER_KEY"] not in json.dumps(services[service])
        assert service == "db" or made["DB_SEALING_PASSWORD"] not in json.dumps(services[service])
    for service in set(OURS) - {"sealer"}:
        with pytest.raises(SettingsError, match="signing half"):
            runtime.signer(settings_of(service))


def test_two_sealers_run_and_hear_that_they_are_told_to_stop(services: Services) -> None:
    sealer = services["sealer"]
    assert sealer["command"] == ["python", "manage.py", "seal_ledger"]
    assert sealer["deploy"]["replicas"] == 2
    assert sealer["init"] is True
    assert sealer["healthcheck"] == {"disable": True}, "the image's asks a web process"


@pytest.mark.parametrize(("service", "program"), [("worker", WORKER), ("beat", BEAT)])
def test_what_counts_runs_as_under_make_run_with_a_login_and_a_queue_of_its_own(
    project: Path, services: Services, settings_of: Callable[[str], Env], service: str, program: tuple[str, ...]
) -> None:
    given = services[service]
    assert tuple(given["command"]) == program
    assert given["init"] is True
    assert given["healthcheck"] == {"disable": True}, "the image's asks a web process"
    env = settings_of(service)
    password = dotenv(project)["DB_REPORTING_PASSWORD"]
    assert env.database_reporter_url == f"postgresql://tracking_report:{password}@db/tracking"
    assert env.redis_url == "redis://valkey:6379/0"
    assert env.report_time_zone == settings_of("web").report_time_zone == "UTC"


def test_two_web_containers_stand_behind_one_proxy_that_alone_is_reached_from_outside(
    services: Services, settings_of: Callable[[str], Env]
) -> None:
    assert services["web"]["deploy"]["replicas"] == 2
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"proxy"}
    assert {port["host_ip"] for port in published["proxy"]} == {"127.0.0.1"}
    assert settings_of("web").trusted_proxies == 1


def test_numbers_are_throttled_by_address_and_metrics_need_a_token(settings_of: Callable[[str], Env]) -> None:
    env = settings_of("web")
    assert env.redis_url == "redis://valkey:6379/0"
    assert env.throttle_per_address == 600
    assert env.metrics_token is not None


def test_web_serves_without_valkey(services: Services) -> None:
    assert "valkey" not in services["web"]["depends_on"], "the throttle lets everybody in when it is away"


def test_valkey_is_no_ones_but_theirs_and_keeps_nothing(services: Services) -> None:
    valkey = services["valkey"]
    assert valkey["command"] == ["valkey-server", "--save", ""]
    assert not {"ports", "volumes"} & set(valkey)
    for service in ("sealer", "migrate"):
        assert "REDIS_URL" not in services[service]["environment"]
    for service in ("web", "sealer", "migrate"):
        assert "DATABASE_REPORTER_URL" not in services[service]["environment"]


def test_each_waits_for_what_it_cannot_do_without(services: Services) -> None:
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    migrated = {"db": "service_healthy", "migrate": "service_completed_successfully"}
    assert waits["migrate"] == {"db": "service_healthy"}
    assert waits["web"] == waits["sealer"] == migrated
    assert waits["worker"] == {**migrated, "valkey": "service_healthy"}
    assert waits["proxy"] == {"web": "service_healthy"}
    for name in ("db", "valkey", "proxy"):
        assert services[name]["healthcheck"]["test"], name


def test_each_login_is_made_with_the_role_that_it_takes_on() -> None:
    made = dict(re.findall(r"CREATE ROLE (\w+) LOGIN PASSWORD \S+ IN ROLE (\w+);", COMPOSE_TEXT))
    assert made == {
        "tracking_web": APPLICATION_ROLE,
        "tracking_seal": SEALER_ROLE,
        "tracking_report": REPORTER_ROLE,
    }
    for role in made.values():
        assert f"CREATE ROLE {role} NOLOGIN;" in COMPOSE_TEXT


def test_no_secret_has_a_default_or_a_value_in_the_file(project: Path) -> None:
    made = set(dotenv(project)) - {"ALLOWED_HOSTS", "HTTPS_ONLY", "VALKEY_PASSWORD"}
    asked = re.findall(r"\$\{(\w+)([^}]*)\}", COMPOSE_TEXT)
    assert {name for name, _ in asked} >= made
    assert {more for name, more in asked if name in made} == {":?run scripts/make-env.sh"}
    set_here = re.findall(r"^ *([A-Z_]+): +(?!\S*\$)\S", COMPOSE_TEXT, flags=re.MULTILINE)
    assert not [name for name in set_here if re.search("PASSWORD|SECRET|TOKEN|NUMBER_KEY|TAG_KEYS|LEDGER", name)]


def test_without_an_env_compose_says_which_command_makes_it(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"run scripts/make-env\.sh"):
        compose_config(tmp_path)


def test_only_migrations_are_given_the_owners_login(project: Path, services: Services) -> None:
    password = dotenv(project)["DB_OWNER_PASSWORD"]
    assert password in services["migrate"]["environment"]["DATABASE_OWNER_URL"]
    for service in set(services) - {"migrate", "db"}:
        assert password not in json.dumps(services[service])


def test_fence_and_publication_live_on_a_volume_of_their_own_where_the_image_may_write(
    composed: dict[str, Any], services: Services
) -> None:
    mounted = {
        name: {
            volume["source"]: volume["target"] for volume in service.get("volumes", ()) if volume["type"] == "volume"
        }
        for name, service in services.items()
    }
    for name in OURS:
        assert mounted[name] == {"fence": "/var/lib/tracking"}
        assert services[name]["environment"]["PUBLICATION"] == "/var/lib/tracking/published"
    assert mounted["db"] == {"database": "/var/lib/postgresql", "backups": "/var/backups/tracking"}
    assert "FENCE=/var/lib/tracking/fence" in DOCKERFILE
    assert "--owner tracking --mode 0700 /var/lib/tracking\n" in DOCKERFILE
    assert set(composed["volumes"]) == {"database", "backups", "fence"}


def test_the_log_is_archived_where_somebody_says_so_by_the_scripts_that_are_tested(project: Path) -> None:
    db = compose_config(project)["services"]["db"]
    assert "--archive_mode=off" in db["command"], "an archive that nobody empties fills the disk"
    settings = {"ARCHIVE_MODE": "on", "BACKUPS": "/mnt/backups"}
    db = compose_config(project, settings)["services"]["db"]
    assert "--archive_mode=on" in db["command"]
    assert ("/mnt/backups", "/var/backups/tracking") in {(each["source"], each["target"]) for each in db["volumes"]}
    scripts = {each["source"]: each["target"] for each in db["configs"]}
    assert f'--archive_command=sh {scripts["archive-wal"]} /var/backups/tracking/wal "%p" "%f"' in db["command"]
    for name in ("archive-wal", "base-backup"):
        assert (ROOT / f"deploy/{name}.sh").is_file()
    assert db["entrypoint"][2].endswith('/var/backups/tracking/wal && exec docker-entrypoint.sh "$$@"')


def test_postgresql_18_has_checksums_and_its_flags_trade_no_durability(services: Services) -> None:
    db = services["db"]
    assert db["image"] == "postgres:18"
    assert "--data-checksums" in db["environment"]["POSTGRES_INITDB_ARGS"]
    flags = dict(flag.removeprefix("--").split("=") for flag in db["command"][1:])
    assert not {"fsync", "full_page_writes", "synchronous_commit", "wal_level"} & set(flags)
    assert int(flags["max_connections"]) >= 2 * 2 * 10 + 20  # containers, processes, sessions; the rest


def test_tls_needs_no_more_than_a_certificate(project: Path) -> None:
    without, given = (
        compose_config(project, which)["services"]["proxy"] for which in ({}, {"TLS_CERTIFICATE": "/c.pem"})
    )
    assert without["environment"]["TLS_CERTIFICATE"] == ""
    [mounted] = given["volumes"]
    assert (mounted["source"], mounted["read_only"]) == ("/c.pem", True)
    assert given["environment"]["TLS_CERTIFICATE"] == mounted["target"]


def test_whoever_stops_the_service_waits_longer_than_it_drains(services: Services) -> None:
    drains: int = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["graceful_timeout"]
    longest = 60  # DRAIN_SECONDS
    assert services["web"]["stop_grace_period"] == "1m40s"
    assert longest + min(drains, 30) < 100
