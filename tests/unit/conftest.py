"""A project as scripts/make-env.sh leaves it, for the tests of what ships the service; and time for every example."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.processes.shipped_files import HOST, make_env

# Hypothesis allows each example 200 ms, and has a few seconds to draw them: a busy machine needs more now and then.
settings.register_profile("unhurried", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def openssl(tool: Callable[[str, str], Path]) -> Path:
    """What the script needs."""
    return tool("openssl", "openssl")


@pytest.fixture(scope="session")
def project(openssl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an .env that the one command made."""
    assert openssl
    made = tmp_path_factory.mktemp("project")
    assert make_env(made, HOST).returncode == 0
    return made
