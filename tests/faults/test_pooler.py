"""Behind a pooler, locks and the order of commits are not the session's own: nothing is issued or sealed there."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from core.embedded import child, postgres
from core.embedded.server import unprivileged_user
from ledger.role_session import RoleError
from reports.session import session
from tests.logs import Heard
from tests.plugin import Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.processes.ports import free_port
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer
from tests.support.processes.service import ServiceFactory

LOGINS = (postgres.SERVING_LOGIN, postgres.SEALING_LOGIN, postgres.REPORTING_LOGIN)
SENTENCE = "leads through a pooler"


@pytest.fixture(params=["transaction", "session"])
def pooled(
    request: pytest.FixtureRequest, tool: Callable[[str, str], Path], database: Database, tmp_path: Path
) -> Iterator[Database]:
    """The database as PgBouncer has it, told to let through what it would complain of by itself."""
    program = tool("pgbouncer", "pgbouncer")
    server = conninfo_to_dict(database.url)
    port = free_port()
    (tmp_path / "users").write_text("".join(f'"{login}" ""\n' for login in LOGINS))
    (tmp_path / "ini").write_text(
        f"[databases]\n* = host={server['host']} port={server['port']}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {tmp_path / 'users'}\npool_mode = {request.param}\n"
        "ignore_startup_parameters = options,extra_float_digits\n"
    )
    user = unprivileged_user() if os.geteuid() == 0 else None  # it refuses root, and must reach PostgreSQL's socket
    running = subprocess.Popen(
        child.command([str(program), "-q", str(tmp_path / "ini")], signal=signal.SIGKILL, user=user)
    )
    try:
        urls = [f"postgresql://{login}@127.0.0.1:{port}/{database.name}" for login in LOGINS]
        assert eventually(lambda: answers(urls[0])), "PgBouncer does not answer"
        yield replace(database, url=urls[0], sealer_url=urls[1], reporter_url=urls[2])
    finally:
        running.kill()
        running.wait()


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def test_nothing_is_issued_sealed_or_counted_through_a_pooler(
    database: Database, pooled: Database, service: ServiceFactory, heard: Heard
) -> None:
    before = ledger.count(database.owner_url)
    running = service(replace(pooled, owner_url=database.owner_url), WEB_CONCURRENCY="1")
    refused = asyncio.run(load(running.port, 20, connections=2)).refused
    assert {answer.document["type"] for answer in refused} == {"/problems/issuing-refused"}
    assert len(refused) == 20
    running.stop()
    said = heard.read()
    assert f"DATABASE_URL {SENTENCE}" in said
    with Sealer(pooled):
        assert eventually(lambda: f"DATABASE_SEALER_URL {SENTENCE}" in heard.read())
    with pytest.raises(RoleError, match=f"DATABASE_REPORTER_URL {SENTENCE}"), session(pooled.reporter_url):
        pass
    assert ledger.count(database.owner_url) == before


def test_the_same_login_issues_without_the_pooler(database: Database, service: ServiceFactory) -> None:
    running = service(database, WEB_CONCURRENCY="1")
    assert len(asyncio.run(load(running.port, 20, connections=2)).numbers) == 20
    running.stop()
