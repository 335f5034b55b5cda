"""The running service as the tests in a browser know it."""

from typing import NamedTuple

import httpx

from tests.plugin import Database
from tests.support.clients.api_keys import bearer
from tests.support.clients.orders import GOOD, PATH


class Site(NamedTuple):
    """The running service, without a sealer, and a key that may do everything."""

    base_url: str
    database: Database
    key: str

    @property
    def port(self) -> int:
        """Where the service listens."""
        return int(self.base_url.rpartition(":")[2])

    def issue(self, **changes: str) -> str:
        """Issue a number to the good order, or to one that differs from it; returns it."""
        answer = httpx.get(f"{self.base_url}{PATH}", params=GOOD | changes, timeout=90).raise_for_status()
        number: str = answer.json()["tracking_number"]
        return number

    def entry(self, number: str) -> tuple[str, str]:
        """A number's entry and its leaf hash, as an auditor is told them."""
        url = f"{self.base_url}/v1/tracking-numbers/{number}"
        found = httpx.get(url, headers=bearer(self.key), timeout=90).raise_for_status().json()
        return found["entry"], found["leaf_hash"]
