"""A service that may not issue does not start, and says in a sentence what it lacks."""

import os
import subprocess
import sys

import pytest

from tests.plugin import ROOT, Database
from tests.support.processes.ports import free_port
from tests.support.processes.secret_keys import OLD, key


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"FENCE": ""}, "Production needs FENCE"),
        ({"PUBLICATION": ""}, "Production needs PUBLICATION"),
        ({"NUMBER_KEY": ""}, "needs NUMBER_KEY"),
        ({"LEDGER_KEY": ""}, "needs LEDGER_KEY"),
        ({"LEDGER_KEY": "log.test+00000000+" + "A" * 44}, "Setting LEDGER_KEY"),
        ({"SECRET_KEY": "", "CUSTOMER_TAG_KEYS": ""}, "needs SECRET_KEY, CUSTOMER_TAG_KEYS"),
        ({"CUSTOMER_TAG_KEYS": f"{OLD},{OLD}"}, "Customer key 1 is given twice"),
        ({"NUMBER_KEY": "abc"}, "Setting NUMBER_KEY"),
        ({"DEBUG": "1"}, "Setting DEBUG"),
        ({"ALLOWED_HOSTS": "tracking.example, *"}, "Setting ALLOWED_HOSTS"),
        ({"SECRET_KEY": "change-me-" * 7}, "Setting SECRET_KEY: this is no random key"),
        ({"SECRET_KEY": "django-insecure-" + key("SECRET_KEY")}, "Setting SECRET_KEY: this is no random key"),
        ({"NUMBER_KEY": "1f" * 32}, "Setting NUMBER_KEY: this is no random key"),
        ({"CUSTOMER_TAG_KEYS": f"{OLD},2:{'00' * 32}"}, "Setting CUSTOMER_TAG_KEYS: this is no random key"),
        ({"METRICS_TOKEN": "secret" * 6}, "Setting METRICS_TOKEN: this is no random key"),
        ({"THROTTLE_PER_ADDRESS": "60"}, "need REDIS_URL"),
        ({"THROTTLE_PER_KEY": "60"}, "need REDIS_URL"),
        ({"THROTTLE_PER_KEY": "60", "REDIS_URL": "redis.example"}, "Setting REDIS_URL"),
        ({"THROTTLE_PER_KEY": "1000000000"}, "Setting THROTTLE_PER_KEY"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_keeps_the_service_from_starting(
    database: Database, settings: dict[str, str], sentence: str
) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "core.asgi:application"]
    given = {**os.environ, **database.settings, "PORT": str(free_port()), **settings}
    ended = subprocess.run(command, check=False, env=given, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert sentence in ended.stderr
