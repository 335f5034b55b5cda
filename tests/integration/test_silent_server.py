"""A server that holds its connection and says nothing is given up, whatever it was asked."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from core import databases
from core import session as sessions
from core.session import Session, SessionLostError
from tests.plugin import Database

LARGE = b"x" * (32 << 20)
"""More than a socket takes that nobody reads."""


@contextmanager
def frozen(session: Session) -> Iterator[None]:
    """The server's side of the session stands still, with its connection open."""
    pid = session.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def ask(session: Session) -> None:
    await session.execute(b"SELECT 1")


async def hand_over(session: Session) -> None:
    await session.execute(b"SELECT length($1)", [LARGE])


@pytest.mark.parametrize("what", [ask, hand_over])
def test_a_server_that_stands_still_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch, what: Callable[[Session], Awaitable[None]]
) -> None:
    async def run() -> None:
        session = await Session.connect(database.url, databases.APPLICATION_ROLE)
        monkeypatch.setattr(sessions, "PATIENCE", 0.3)
        with frozen(session):
            with pytest.raises(SessionLostError, match="no word from the server"):
                await asyncio.wait_for(what(session), 60)
            assert session.lost.done()
            with pytest.raises(SessionLostError):
                await session.execute(b"SELECT 1")

    asyncio.run(run())


def test_a_server_that_is_busy_for_less_is_waited_for_each_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waited_for(patience: float) -> bool:
        monkeypatch.setattr(sessions, "PATIENCE", 30.0)
        session = await Session.connect(database.url, databases.APPLICATION_ROLE)
        monkeypatch.setattr(sessions, "PATIENCE", patience)
        try:
            for _ in range(4):
                await session.execute(b"SELECT pg_sleep(%f)" % (patience / 3))
        except SessionLostError:
            return False
        session.close()
        return True

    # Where one takes too long on a busy machine, it does not when all take longer.
    assert any(asyncio.run(waited_for(patience)) for patience in (0.3, 3.0, 30.0))
