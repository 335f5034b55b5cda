"""The outcome of a lost session is read only once that session has ended, and one that clings on is ended."""

import asyncio
import time

import psycopg
import pytest

from core import databases
from core.session import Session
from issuance import locks
from tests.plugin import Database

WRITER = 2**62 + 12_345


async def connect(database: Database) -> Session:
    return await Session.connect(database.url, databases.APPLICATION_ROLE)


def test_a_writer_is_waited_for_until_its_session_ends(database: Database) -> None:
    async def run() -> None:
        old, new = await connect(database), await connect(database)
        assert await locks.try_writer(old, WRITER)
        waiting = asyncio.ensure_future(locks.wait_until_writer_is_gone(new, databases.APPLICATION_ROLE, WRITER))
        await asyncio.sleep(0.5)
        assert not waiting.done() or old.lost.done()  # on a machine so slow that those two seconds are over
        old.close()
        await asyncio.wait_for(waiting, 60)
        assert await locks.try_writer(new, WRITER), "it is free, and kept by nobody"
        new.close()

    asyncio.run(run())


def test_a_session_that_holds_on_is_ended_after_two_seconds(database: Database) -> None:
    async def run() -> None:
        with psycopg.connect(database.url) as old:
            old.execute("SELECT pg_advisory_lock(%s)", [WRITER])
            new = await connect(database)
            begun = time.monotonic()
            await asyncio.wait_for(locks.wait_until_writer_is_gone(new, databases.APPLICATION_ROLE, WRITER), 60)
            assert time.monotonic() - begun > 1.5
            ((role,),) = await new.execute(b"SELECT current_user")
            assert role == databases.APPLICATION_ROLE.encode(), "the role that may end sessions is laid down again"
            with pytest.raises(psycopg.OperationalError):
                old.execute("SELECT 1")
            new.close()

    asyncio.run(run())


def test_two_sessions_cannot_have_one_writer_id_nor_lease_at_once(database: Database) -> None:
    async def run() -> None:
        one, other = await connect(database), await connect(database)
        assert await locks.try_writer(one, WRITER)
        assert not await locks.try_writer(other, WRITER)
        assert await locks.try_leasing(one)
        assert not await locks.try_leasing(other)
        await locks.end_leasing(one)
        assert await locks.try_leasing(other)
        await locks.evict_leasing(one, databases.APPLICATION_ROLE)
        await asyncio.wait_for(asyncio.shield(other.lost), 60)
        one.close()

    asyncio.run(run())
