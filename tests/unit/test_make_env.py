"""The one command that makes .env: keys that the service takes, once, and for nobody else to read."""

import stat
from pathlib import Path

import pytest

from core.env import load
from ledger.domain.note import SignerKey, VerifierKey
from tests.support.processes.shipped_files import HOST, compose_config, dotenv, make_env

pytestmark = pytest.mark.usefixtures("openssl")


@pytest.mark.parametrize("_", range(5))  # a key whose bytes a shell would not survive shows in some of them
def test_the_logs_key_is_one_that_the_ledger_reads_and_writes(tmp_path: Path, _: int) -> None:
    make_env(tmp_path, HOST)
    made = dotenv(tmp_path)
    signer = SignerKey.parse(made["LEDGER_KEY"])
    assert signer.export() == made["LEDGER_KEY"]
    assert str(signer.verifier) == made["LEDGER_VERIFIER_KEY"]
    assert signer.verifier.name == f"{HOST}/log"
    VerifierKey.parse(made["LEDGER_VERIFIER_KEY"]).verify("checked\n", signer.sign("checked\n"))


def test_every_secret_is_another_one_and_all_of_them_are_settings(tmp_path: Path) -> None:
    assert make_env(tmp_path, HOST).returncode == 0
    made = dotenv(tmp_path)
    assert len(set(made.values())) == len(made)
    env = load(made)
    assert env.allowed_hosts == HOST
    assert env.https_only is True
    assert None not in (env.secret_key, env.number_key, env.customer_tag_keys, env.ledger_key, env.metrics_token)


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    make_env(tmp_path, HOST)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_an_env_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    make_env(tmp_path, HOST)
    before = (tmp_path / ".env").read_bytes()
    again = make_env(tmp_path, HOST)
    assert again.returncode == 1
    assert "Keep it" in again.stderr
    assert (tmp_path / ".env").read_bytes() == before


@pytest.mark.parametrize("wrong", [(), ("",), ("two words",), ("-x",), ("a+b",), ("https://tracking.example",)])
def test_what_is_no_host_name_is_asked_for_again_and_nothing_is_made(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    refused = make_env(tmp_path, *wrong)
    assert refused.returncode == 1
    assert "host name" in refused.stderr
    assert not (tmp_path / ".env").exists()


def test_only_a_service_at_localhost_goes_without_tls(tmp_path: Path) -> None:
    make_env(tmp_path, "localhost")
    assert load(dotenv(tmp_path)).https_only is False
    web = compose_config(tmp_path)["services"]["web"]["environment"]
    assert web["HTTPS_ONLY"] == "0"
