"""The running service for clients that are made of its schema."""

from collections.abc import Iterator

import pytest

from tests.plugin import Database
from tests.support.clients.api_keys import make_key
from tests.support.processes.sealers import Sealer
from tests.support.processes.service import ServiceFactory


@pytest.fixture(scope="module")
def environment(database: Database, service: ServiceFactory) -> Iterator[dict[str, str]]:
    """Where the service is, and a key that may do everything."""
    running = service(database, WEB_CONCURRENCY="1")
    with Sealer(database):
        key = make_key(database, "issue", "audit", "reports", "operate")
        yield {"BASE_URL": running.base_url, "API_KEY": key}
