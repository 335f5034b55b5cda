"""A connection that is reset behind an answer: the session is known to be lost, on the event loop that serves too."""

import asyncio
import time

import pytest
import uvloop

from core import databases
from core.session import Session, SessionLostError
from tests.plugin import Database
from tests.support.proxy import Wire, wire


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("heard", [1, 20_000])
def test_a_session_that_is_reset_behind_some_of_an_answer_is_lost(database: Database, loop: object, heard: int) -> None:
    """libuv forgets a socket once it has seen an error on it, although there is an answer to be read before."""

    async def run(line: Wire) -> None:
        session = await Session.connect(line.url(database.url), databases.APPLICATION_ROLE)
        asking = asyncio.create_task(session.execute(b"SELECT repeat('x', 100000) FROM pg_sleep(0.3)"))
        await asyncio.sleep(0.1)
        line.budget = heard
        time.sleep(1)  # noqa: ASYNC251  # the loop is to find both at once
        async with asyncio.timeout(5):
            with pytest.raises(SessionLostError):
                await asking
        assert session.lost.done()

    with wire(None, database.url) as line, asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        runner.run(run(line))
        assert line.cuts_made == 1
