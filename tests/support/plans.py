"""The plans of the statements that one request takes, as PostgreSQL logs them."""

from pathlib import Path

import psycopg

from tests.plugin import CLUSTER, Database
from tests.support.keys import bearer
from tests.support.web import ask


def log_plans(database: Database) -> None:
    """Have the plan of every statement logged of the sessions that begin from now on."""
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(f"ALTER DATABASE {database.name} SET session_preload_libraries = 'auto_explain'")
        session.execute(f"ALTER DATABASE {database.name} SET auto_explain.log_min_duration = 0")


def plans(port: int, path: str, expected: int = 200, key: str | None = None) -> list[str]:
    """The plans of the statements of one request; those about its key left out, which is asked of once in a while."""
    log = Path(CLUSTER.server.home) / "log"
    before = log.stat().st_size
    assert ask(port, path, **(bearer(key) if key else {})).status_code == expected
    found = log.read_bytes()[before:].decode()
    statements = found.split("duration: ")[1:]
    return [plan for plan in statements if "FROM pg_type" not in plan and "api_key" not in plan]
