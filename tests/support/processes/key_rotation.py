"""A customer key that is changed as an operator does it, with a service of each step running at the same time."""

from collections.abc import Callable
from typing import Final

from ledger.domain.customer_key import shown
from ledger.domain.tag import KeyRing
from tests.plugin import Database
from tests.support.clients.http import ask
from tests.support.processes.commands import command
from tests.support.processes.proc import eventually
from tests.support.processes.secret_keys import NEW, OLD
from tests.support.processes.service import Service, ServiceFactory

BEFORE, KNOWN, USED, AFTER = OLD, f"{NEW},{OLD}", f"{OLD},{NEW}", NEW
STEPS: Final = {"before": BEFORE, "known": KNOWN, "used": USED, "after": AFTER}
"""CUSTOMER_TAG_KEYS in the order of a rotation, and after key 1 was retired. Neighbours run at once; others may not."""
MEETINGS: Final = [
    *(("before", "known"), ("known", "before")),
    *(("known", "used"), ("used", "known")),
    *(("used", "after"), ("after", "used")),
]
"""Which service may see a request first, and which its retry."""


def fingerprint(setting: str = OLD) -> str:
    """Of the key that a setting has alone, as commands want it typed."""
    (found,) = KeyRing.parse(setting).fingerprints.values()
    return shown(found)


def retire(database: Database) -> None:
    """Let settings lack key 1, which is not in use any more."""
    done = command(database, "destroy_customer_key", "1", "--yes", fingerprint(), CUSTOMER_TAG_KEYS=USED)
    assert (done.returncode, done.stdout) == (0, f"{AFTER}\n"), done.stderr


def rotate(
    database: Database, service: ServiceFactory, begin: Callable[[Service], object] = lambda _: None
) -> dict[str, Service]:
    """A service for each of STEPS; ``begin`` has each open its sessions while its step is the latest."""
    started = {}
    for name, keys in STEPS.items():
        if keys == AFTER:
            retire(database)
        started[name] = service(database, CUSTOMER_TAG_KEYS=keys, WEB_CONCURRENCY="1")
        # It answers before it has serials; the next step is for when it has compared its keys with the ledger's.
        assert eventually(lambda: ask(started[name].port, "/readyz").status_code == 200)  # noqa: B023  # called at once
        begin(started[name])
    return started
