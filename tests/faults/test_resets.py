"""A connection that is reset behind an answer: the session is known to be lost, on the event loop that serves too."""

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
import uvloop

from core import databases
from core.session import PATIENCE, Session, SessionLostError
from tests.plugin import Database
from tests.support.database import ledger
from tests.support.processes.proc import eventually
from tests.support.servers.wire import Wire, wire

if TYPE_CHECKING:
    import psycopg

WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("heard", [1, 20_000])
def test_a_session_that_is_reset_behind_some_of_an_answer_is_lost(database: Database, loop: object, heard: int) -> None:
    """libuv forgets a socket once it has seen an error on it, although there is an answer to be read before."""

    async def run(line: Wire, superuser: "psycopg.Connection[tuple[object, ...]]") -> None:
        session = await Session.connect(line.url(database.url), databases.APPLICATION_ROLE)
        superuser.execute("SELECT pg_advisory_lock(7)")
        asking = asyncio.create_task(session.execute(b"SELECT repeat('x', 100000) FROM pg_advisory_lock(7)"))
        await asyncio.sleep(0)  # it is sent
        assert eventually(lambda: superuser.execute(WAITING).fetchone() is not None)
        line.budget = heard
        superuser.execute("SELECT pg_advisory_unlock(7)")
        assert eventually(lambda: line.cuts_made == 1)
        time.sleep(0.5)  # noqa: ASYNC251  # the loop is to find both at once
        async with asyncio.timeout(PATIENCE - 10):  # not once the session is given up
            with pytest.raises(SessionLostError):
                await asking
        assert session.lost.done()

    with (
        wire(None, database.url) as line,
        ledger.reading(database.owner_url) as superuser,
        asyncio.Runner(loop_factory=loop) as runner,  # type: ignore[arg-type]
    ):
        runner.run(run(line, superuser))
        assert line.cuts_made == 1
