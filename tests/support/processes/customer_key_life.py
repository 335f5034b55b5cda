"""A database whose customer key is changed by the commands, and every way in which a customer's numbers are found."""

from typing import Any, Final
from uuid import uuid4

import httpx
import psycopg

from core.session import OPTIONS
from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.console import Browser, Page, staff
from tests.support.clients.http import ask
from tests.support.clients.orders import PATH, query
from tests.support.clients.stats import ask_stats
from tests.support.database import ledger
from tests.support.log import lists
from tests.support.processes.clocks import of_one_day
from tests.support.processes.commands import command
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, until_published
from tests.support.processes.secret_keys import OLD
from tests.support.processes.service import Service, ServiceFactory

CUSTOMER: Final = str(uuid4())
OTHER: Final = str(uuid4())
EACH: Final = 3
"""How many numbers the customer is issued by each service."""


class Life:
    """A database whose customer key is changed; what was said and found on the way."""

    def __init__(self, database: Database, service: ServiceFactory) -> None:
        self.database = database
        self.settings = OLD
        self.day = of_one_day(150)
        """Of all events."""
        self.numbers: list[dict[str, Any]] = []
        self.running: dict[str, Service] = {}
        self.said: dict[str, str] = {}
        self.found: dict[str, set[int]] = {}
        self._service = service
        self.auditor = make_key(database, "audit", "reports")
        self.bound = make_key(database, "audit", "reports", customer=CUSTOMER)
        self._browser: Browser | None = None

    def start(self, name: str) -> Service:
        """A service with the present settings, and some numbers that it issued, published."""
        running = self._service(self.database, CUSTOMER_TAG_KEYS=self.settings, WEB_CONCURRENCY="1")
        assert eventually(lambda: ask(running.port, "/readyz").status_code == 200), ask(running.port, "/readyz").text
        for customer in [CUSTOMER] * EACH + [OTHER]:
            answer = self.order(running.port, customer).raise_for_status()
            self.numbers += [answer.json()] if customer == CUSTOMER else []
        with Sealer(self.database):
            until_published(self.database, ledger.count(self.database.owner_url))
        self.running[name] = running
        return running

    def stop(self, running: Service) -> None:
        """Stop a service, and wait until PostgreSQL has noticed: commands look for its session."""
        running.stop()
        left = sum(each.running for each in self.running.values())
        writers = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
        with ledger.reading(self.database.owner_url) as session:
            assert eventually(lambda: session.execute(writers, [OPTIONS["application_name"]]).rowcount == left)

    def order(self, port: int, customer: str = CUSTOMER) -> httpx.Response:
        """One number for a customer, if it is issued."""
        return ask(port, f"{PATH}?{query(customer_id=customer).decode()}")

    def manage(self, name: str, *arguments: str) -> None:
        """A command that works. What it writes to standard output are the new settings."""
        done = command(self.database, *arguments, CUSTOMER_TAG_KEYS=self.settings)
        assert done.returncode == 0, done.stderr
        self.settings = done.stdout.strip() or self.settings
        self.said[name] = done.stderr

    def refused(self, name: str, *arguments: str) -> None:
        """A command that refuses; it hands out nothing."""
        done = command(self.database, *arguments, CUSTOMER_TAG_KEYS=self.settings)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        self.said[name] = done.stderr

    def find(self, name: str, running: Service) -> None:
        """How many of the customer's numbers each way to them finds: one count, if all agree."""
        port = running.port
        number = (f"/v1/tracking-numbers/{each['tracking_number']}" for each in self.numbers)
        self.found[name] = {
            len(lists.follow(port, self.auditor, lists.path(customer_id=CUSTOMER, limit=2)).rows),
            len(lists.follow(port, self.bound, lists.PATH).rows),
            sum(ask(port, path, **bearer(self.bound)).status_code == 200 for path in number),
            ask_stats(port, CUSTOMER, self.auditor).json()["total"],
            ask_stats(port, CUSTOMER, self.bound, "by=route").json()["total"],
            int(Page(self._at_the_console(port).post("customer/", customer=CUSTOMER).text).text("customer-total")),
        }

    def _at_the_console(self, port: int) -> Browser:
        browser = Browser(port)
        if self._browser is None:
            self._browser = staff(self.database, port)
        browser.client.cookies = self._browser.client.cookies  # a login is good at every service
        return browser

    def rows(self) -> list[Any]:
        """The events in the order of their numbers' issue, as they stand in the table."""
        with psycopg.connect(self.database.owner_url) as session:
            return session.execute("SELECT e::text FROM issuance_event e ORDER BY serial").fetchall()

    def facts(self) -> list[tuple[int, str]]:
        """What the ledger says of the keys."""
        with psycopg.connect(self.database.owner_url) as session:
            rows = session.execute("SELECT key_id, fact FROM customer_key ORDER BY recorded_at, key_id, fact")
            return [(key_id, fact) for key_id, fact in rows]
