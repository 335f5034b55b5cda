"""Settings: typed, with defaults, and a sentence for each way to get one wrong."""

from pathlib import Path

import msgspec
import pytest

from core.env import Env, SettingsError, load
from ledger.domain.note import SignerKey

KEY = SignerKey("tracking.example/log", bytes(range(32)))


def test_nothing_given_is_what_make_run_needs() -> None:
    env = load({})
    assert env.embedded
    assert (env.host, env.port, env.data_dir) == ("127.0.0.1", 8000, Path(".data"))
    assert env.https_only is None


def test_text_becomes_what_the_setting_is() -> None:
    env = load({"PORT": "8001", "DATA_DIR": "/srv/data", "DEADLINE": "2.5", "DEBUG": "1", "HTTPS_ONLY": "0"})
    assert (env.port, env.data_dir, env.deadline) == (8001, Path("/srv/data"), 2.5)
    assert env.debug is True
    assert env.https_only is False


@pytest.mark.parametrize("key", [KEY.export(), str(KEY.verifier)], ids=["signing", "verifying"])
def test_either_half_of_the_log_s_key_is_taken(key: str) -> None:
    assert load({"LEDGER_KEY": key}).ledger_key == key


def test_the_log_is_public_unless_somebody_says_otherwise() -> None:
    assert load({}).log_access == "public"
    assert load({"LOG_ACCESS": "auditors"}).log_access == "auditors"


def test_an_empty_value_counts_as_unset() -> None:
    assert load({"PORT": "", "DATABASE_URL": ""}) == load({})


def test_other_variables_are_none_of_our_business() -> None:
    assert load({"PATH": "/bin", "port": "1"}) == load({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("SECRET_KEY", "short"),
        ("NUMBER_KEY", "1f" * 31),
        ("NUMBER_KEY", "1F" * 32),
        ("CUSTOMER_TAG_KEYS", "2e" * 32),
        ("CUSTOMER_TAG_KEYS", f"0:{'2e' * 32}"),
        ("SHARD", "32"),
        ("DEBUG", "perhaps"),
        ("WEB_CONCURRENCY", "0"),
        ("DEADLINE", "-1"),
        ("LOG_LEVEL", "loud"),
        ("LEDGER_KEY", "tracking.example/log"),
        ("LEDGER_KEY", str(KEY.verifier).replace("+", " ")),
        ("LEDGER_KEY", f"{KEY.export()}="),
        ("LEDGER_KEY", KEY.export().replace("PRIVATE+", "SECRET+")),
        ("LOG_ACCESS", "private"),
        ("LOG_ACCESS", "Public"),
    ],
)
def test_a_wrong_value_is_a_sentence_that_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({name: value})
    message = str(refused.value)
    assert message.startswith(f"Setting {name}: ")
    assert message.endswith("README.md lists the settings.")


@pytest.mark.parametrize("name", ["SECRET_KEY", "NUMBER_KEY", "CUSTOMER_TAG_KEYS", "LEDGER_KEY"])
def test_a_wrong_secret_is_not_repeated(name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({name: "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_every_setting_says_what_it_is_for() -> None:
    for field in msgspec.structs.fields(Env):
        assert isinstance(field.type, object)
        described = msgspec.inspect.type_info(field.type)
        assert isinstance(described, msgspec.inspect.Metadata), field.encode_name
        assert str((described.extra_json_schema or {}).get("description", "")).endswith("."), field.encode_name


def test_a_web_process_pauses_before_it_stops_but_for_make_run() -> None:
    production = {"DATABASE_URL": "postgresql://tracking_web@db/tracking"}
    assert load({}).draining == 0
    assert load(production).draining == 5
    assert load({"DRAIN_SECONDS": "1.5"}).draining == 1.5
    assert load(production | {"DRAIN_SECONDS": "0"}).draining == 0
