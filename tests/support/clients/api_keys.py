"""API keys for tests, made as an operator makes them."""

from tests.logs import LOGS
from tests.plugin import Database
from tests.support.processes.commands import manage


def make_key(database: Database, *scopes: str, customer: str | None = None, days: int | None = None) -> str:
    """The text of a new key: what `manage.py create_api_key` prints."""
    if customer is not None:
        LOGS.know(customer)
    options = [option for scope in scopes for option in ("--scope", scope)]
    options += ["--customer", customer] if customer else []
    options += ["--days", str(days)] if days else []
    return manage(database, "create_api_key", "a test's", *options)


def bearer(key: str) -> dict[str, str]:
    """The header that presents a key."""
    return {"Authorization": f"Bearer {key}"}
