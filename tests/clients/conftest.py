"""The running service for clients that are made of its schema, and the tools that make them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin import Database
from tests.support import node as tools
from tests.support.keys import make_key
from tests.support.sealing import Sealer
from tests.support.service import ServiceFactory


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """What npm installs; where it can't be had, the test is left out and says so, unless all are asked for."""
    try:
        tools.install()
    except tools.NoNodeError as error:
        if request.config.getoption("--require-node"):
            pytest.fail(str(error))
        pytest.skip(f"left out, since {error}")
    return tools.MODULES


@pytest.fixture(scope="module")
def environment(database: Database, service: ServiceFactory) -> Iterator[dict[str, str]]:
    """Where the service is, and a key that may do everything."""
    running = service(database, WEB_CONCURRENCY="1")
    with Sealer(database):
        key = make_key(database, "issue", "audit", "reports", "operate")
        yield {"BASE_URL": running.base_url, "API_KEY": key}
