"""Services whose clock stands still, since a day's end is too long to wait for."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.plugin import Database
from tests.support.service import Service, ServiceFactory

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOLDER = Path(__file__).parent / "frozen"


def frozen(service: ServiceFactory, database: Database, moment: str) -> Service:
    """A service of one process that takes every request at one moment (RFC 3339)."""
    microseconds = (datetime.fromisoformat(moment) - _EPOCH) // timedelta(microseconds=1)
    return service(database, WEB_CONCURRENCY="1", PYTHONPATH=str(_FOLDER), FROZEN_AT_NS=str(microseconds * 1000))
