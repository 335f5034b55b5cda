"""The secrets of `make run`: made whole or not at all, kept private, never replaced, never shown."""

import stat
from pathlib import Path

import pytest

from core.embedded import secrets
from core.env import Env, SettingsError, load
from ledger.domain.note import SignerKey

PRODUCTION = {
    "DATABASE_URL": "postgresql://db/tracking",
    "SECRET_KEY": "s" * 50,
    "NUMBER_KEY": "1f" * 32,
    "CUSTOMER_TAG_KEYS": f"1:{'2e' * 32}",
    "LEDGER_KEY": SignerKey("log.test", bytes(32)).export(),
}


@pytest.fixture
def env(tmp_path: Path) -> Env:
    secrets.make(tmp_path)
    secrets.keep_ledger_key(tmp_path, SignerKey.make("log.test").export())
    return load({"DATA_DIR": str(tmp_path)})


def test_what_is_made_fits_its_settings_and_is_for_its_owner_only(env: Env) -> None:
    made = secrets.complete(env)
    again = load({"SECRET_KEY": str(made.secret_key), "NUMBER_KEY": str(made.number_key)})
    assert again.number_key == made.number_key
    assert len(str(made.secret_key)) == 64
    assert str(made.customer_tag_keys).startswith("1:")
    for path in (env.data_dir / "secrets", *(env.data_dir / "secrets").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_two_services_have_different_secrets(env: Env, tmp_path: Path) -> None:
    secrets.make(tmp_path / "other")
    secrets.keep_ledger_key(tmp_path / "other", SignerKey.make("log.test").export())
    other = secrets.complete(load({"DATA_DIR": str(tmp_path / "other")}))
    mine = secrets.complete(env)
    for name in secrets.KINDS:
        assert getattr(mine, name) != getattr(other, name)


def test_making_them_again_changes_nothing(env: Env) -> None:
    before = secrets.complete(env)
    secrets.make(env.data_dir)
    assert secrets.complete(env) == before


def test_a_start_that_was_interrupted_is_made_good(tmp_path: Path) -> None:
    (tmp_path / "secrets.new").mkdir()
    (tmp_path / "secrets.new/number_key").write_text("half")
    secrets.make(tmp_path)
    assert secrets.complete(load({"DATA_DIR": str(tmp_path)})).number_key != "half"


def test_what_the_operator_gives_has_precedence(env: Env) -> None:
    given = load({"DATA_DIR": str(env.data_dir), "NUMBER_KEY": "ab" * 32})
    assert secrets.complete(given).number_key == "ab" * 32
    assert secrets.complete(given).secret_key == secrets.complete(env).secret_key


def test_before_the_first_run_there_are_none(tmp_path: Path) -> None:
    assert secrets.complete(load({"DATA_DIR": str(tmp_path)})).number_key is None


@pytest.mark.parametrize("damage", ["", " \n", "1f" * 31, "1F" * 32, "\udcff"])
@pytest.mark.parametrize("name", ["number_key", "customer_tag_keys"])
def test_a_damaged_secret_is_refused_by_name_and_not_shown(env: Env, name: str, damage: str) -> None:
    path = env.data_dir / "secrets" / name
    path.write_text(damage, errors="surrogateescape")
    for use in (lambda: secrets.complete(env), lambda: secrets.make(env.data_dir)):
        with pytest.raises(SettingsError) as refused:
            use()
        assert str(refused.value) == f"{path} is empty or damaged. Put it back from a copy."


def test_an_empty_signing_key_is_refused(env: Env) -> None:
    (env.data_dir / "secrets/secret_key").write_text("")
    with pytest.raises(SettingsError, match="secret_key is empty or damaged"):
        secrets.complete(env)


@pytest.mark.parametrize("name", secrets.RANDOM)
def test_a_lost_secret_is_not_made_anew(env: Env, name: str) -> None:
    (env.data_dir / "secrets" / name).unlink()
    for use in (lambda: secrets.complete(env), lambda: secrets.make(env.data_dir)):
        with pytest.raises(SettingsError, match=f"{name} is missing. Put it back from a copy"):
            use()


def test_a_ledger_key_is_made_once(tmp_path: Path) -> None:
    secrets.make(tmp_path)
    assert secrets.lacks_ledger_key(tmp_path)
    secrets.keep_ledger_key(tmp_path, PRODUCTION["LEDGER_KEY"])
    assert not secrets.lacks_ledger_key(tmp_path)
    assert secrets.complete(load({"DATA_DIR": str(tmp_path)})).ledger_key == PRODUCTION["LEDGER_KEY"]


def test_a_lost_ledger_key_is_not_made_anew_once_a_log_was_published(env: Env) -> None:
    (env.data_dir / "secrets/ledger_key").unlink()
    secrets.publication(env.data_dir).mkdir()
    with pytest.raises(SettingsError, match=r"ledger_key is missing.*the log was signed"):
        secrets.lacks_ledger_key(env.data_dir)


def test_a_damaged_ledger_key_is_refused(env: Env) -> None:
    (env.data_dir / "secrets/ledger_key").write_text("PRIVATE+KEY+log.test")
    for use in (lambda: secrets.complete(env), lambda: secrets.lacks_ledger_key(env.data_dir)):
        with pytest.raises(SettingsError, match="ledger_key is empty or damaged"):
            use()


def test_a_secret_that_others_can_read_is_refused(env: Env) -> None:
    path = env.data_dir / "secrets/number_key"
    path.chmod(0o640)
    with pytest.raises(SettingsError, match=f"can be read by other users. Run: chmod 600 {path}"):
        secrets.complete(env)


@pytest.mark.parametrize("name", ["SECRET_KEY", "NUMBER_KEY", "CUSTOMER_TAG_KEYS", "LEDGER_KEY"])
def test_production_must_be_given_its_own(name: str) -> None:
    assert secrets.complete(load(PRODUCTION)) == load(PRODUCTION)
    given = {key: value for key, value in PRODUCTION.items() if key != name}
    with pytest.raises(SettingsError, match=f"needs {name}; see README.md"):
        secrets.complete(load(given))


def test_the_console_s_one_time_password_is_told_once_and_not_kept(tmp_path: Path) -> None:
    secrets.make(tmp_path)
    made = iter(("a one-time password", "another"))
    assert [secrets.console_login(tmp_path, lambda: next(made)) for _ in range(2)] == ["a one-time password", None]
    kept = tmp_path / "secrets/console_login"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "password" not in kept.read_text()


def test_the_demo_key_is_made_once_and_kept_as_a_secret(tmp_path: Path) -> None:
    secrets.make(tmp_path)
    made = iter((f"tna_1_{'ab' * 16}", f"tna_2_{'cd' * 16}"))
    assert [secrets.demo_key(tmp_path, lambda: next(made)) for _ in range(2)] == [f"tna_1_{'ab' * 16}"] * 2
    assert (tmp_path / "secrets/demo_key").stat().st_mode & 0o777 == 0o600
