"""A service that may not issue does not start, and says in a sentence what it lacks."""

import os
import runpy
import subprocess
import sys
from unittest.mock import patch

import pytest

from tests.plugin import ROOT, Database
from tests.support.processes.ports import free_port
from tests.support.processes.secret_keys import OLD, key

AT_ONCE = [
    ({"NUMBER_KEY": ""}, "needs NUMBER_KEY"),
    ({"LEDGER_KEY": ""}, "needs LEDGER_KEY"),
    ({"SECRET_KEY": "", "CUSTOMER_TAG_KEYS": ""}, "needs SECRET_KEY, CUSTOMER_TAG_KEYS"),
    ({"NUMBER_KEY": "abc"}, "Setting NUMBER_KEY"),
    ({"DEBUG": "1"}, "Setting DEBUG"),
    ({"ALLOWED_HOSTS": "tracking.example, *"}, "Setting ALLOWED_HOSTS"),
    ({"SECRET_KEY": "change-me-" * 7}, "Setting SECRET_KEY: this is no random key"),
    ({"SECRET_KEY": "django-insecure-" + key("SECRET_KEY")}, "Setting SECRET_KEY: this is no random key"),
    ({"NUMBER_KEY": "1f" * 32}, "Setting NUMBER_KEY: this is no random key"),
    ({"CUSTOMER_TAG_KEYS": f"{OLD},2:{'00' * 32}"}, "Setting CUSTOMER_TAG_KEYS: this is no random key"),
    ({"METRICS_TOKEN": "secret" * 6}, "Setting METRICS_TOKEN: this is no random key"),
    ({"THROTTLE_PER_KEY": "1000000000"}, "Setting THROTTLE_PER_KEY"),
]
"""Refused as gunicorn reads its configuration."""
LATER = [
    ({"FENCE": ""}, "Production needs FENCE"),
    ({"PUBLICATION": ""}, "Production needs PUBLICATION"),
    ({"LEDGER_KEY": "log.test+00000000+" + "A" * 44}, "Setting LEDGER_KEY"),
    ({"CUSTOMER_TAG_KEYS": f"{OLD},{OLD}"}, "Customer key 1 is given twice"),
    ({"THROTTLE_PER_ADDRESS": "60"}, "need REDIS_URL"),
    ({"THROTTLE_PER_KEY": "60"}, "need REDIS_URL"),
    ({"THROTTLE_PER_KEY": "60", "REDIS_URL": "redis.example"}, "Setting REDIS_URL"),
]
"""Refused by the first process that would serve."""


@pytest.mark.parametrize(("settings", "sentence"), AT_ONCE)
def test_a_wrong_setting_ends_the_service_before_it_begins(
    database: Database, settings: dict[str, str], sentence: str
) -> None:
    with patch.dict(os.environ, database.settings | settings), pytest.raises(SystemExit) as refused:
        runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    assert sentence in str(refused.value)


@pytest.mark.parametrize(("settings", "sentence"), [AT_ONCE[0], *LATER])
def test_a_wrong_setting_keeps_the_service_from_starting(
    database: Database, settings: dict[str, str], sentence: str
) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "core.asgi:application"]
    given = {**os.environ, **database.settings, "PORT": str(free_port()), **settings}
    ended = subprocess.run(command, check=False, env=given, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert sentence in ended.stderr
