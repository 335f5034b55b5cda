"""What a request costs the database: the plans of its statements, as PostgreSQL logs them."""

import re
from pathlib import Path

import psycopg

from tests.plugin import CLUSTER, Database
from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask
from tests.support.processes.proc import eventually

ALIVE = "Query Text: SELECT 1\n"
"""Django asks whether the session lives, unless it is new."""
GROWING = ("issuance_event", "run", "tile", "checkpoint")
# Rows that were never issued, in an order that no index has: the planner looks at sizes and statistics only.
_FILL = """
    INSERT INTO issuance_event
    SELECT serial, now(), now(), NULL, 1, 0, gen_random_uuid(), sha256(serial::text::bytea),
           '0' || lpad(((serial * 7919) % 10000000000)::text, 10, '0') || 'MYID0', 'MY', 'ID'
      FROM generate_series(1024::bigint << 10, (1024::bigint << 10) + 49999) AS serial;
    INSERT INTO run SELECT 1000000 + n * 100, n << 10, (n << 10) + 150, 100 FROM generate_series(2000, 21999) AS n;
    INSERT INTO tile SELECT n, 0, convert_to(repeat('x', 8192), 'UTF8') FROM generate_series(1000, 4999) AS n;
    INSERT INTO checkpoint SELECT 1000000 + n, decode(repeat('34', 64), 'hex') FROM generate_series(1, 50000) AS n;"""


def fill_and_log(database: Database) -> None:
    """Put rows beside those that are there until the tables are large, and log the plan of every statement.

    Sessions that began before do not.
    """
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(_FILL)
        session.execute("VACUUM (ANALYZE) issuance_event, run, tile, checkpoint")
    log_plans(database)


def log_plans(database: Database) -> None:
    """Have the plan of every statement logged of the sessions that begin from now on."""
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(f"ALTER DATABASE {database.name} SET session_preload_libraries = 'auto_explain'")
        session.execute(f"ALTER DATABASE {database.name} SET auto_explain.log_min_duration = 0")


def until_idle(port: int) -> int:
    """The port of a service, once its writer has leased its first numbers: what is logged then is our requests'."""
    assert eventually(lambda: ask(port, "/readyz").status_code == 200)
    return port


def plans(port: int, path: str, expected: int = 200, key: str | None = None) -> list[str]:
    """The plans of the statements of one request, as PostgreSQL logs them; those about its key left out."""
    log = Path(CLUSTER.server.home) / "log"
    before = log.stat().st_size
    assert ask(port, path, **(bearer(key) if key else {})).status_code == expected
    found = log.read_bytes()[before:].decode()
    statements = found.split("duration: ")[1:]
    return [
        plan for plan in statements if "FROM pg_type" not in plan and "api_key" not in plan
    ]  # each asked once in a while


def check(found: list[str], most: int = 3) -> None:
    """Fail on a plan that reads all of a table, or of an index, that grows."""
    assert 0 < len(found) <= most, f"{len(found)} statements"
    for plan in found:
        walks = re.search(rf"Seq Scan on ({'|'.join(GROWING)})\b", plan)
        assert walks is None, plan
        for scan in re.findall(rf"Scan using \w+ on (?:{'|'.join(GROWING)})\b.*\n\s*(.*)", plan):
            assert scan.startswith("Index Cond"), plan
