"""A place that can't be written to stops sealing; what is committed and unpublished stays within one tick."""

import asyncio

from tests.plugin import Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, published, state, until_published
from tests.support.processes.service import ServiceFactory


def test_while_nothing_can_be_published_no_more_is_sealed_than_one_ticks_worth_and_issuing_goes_on(
    database: Database, service: ServiceFactory
) -> None:
    running = service(database, WEB_CONCURRENCY="1")
    asyncio.run(load(running.port, 20))
    with Sealer(database):
        until_published(database, 20)
        away = database.publication / "away"
        private = database.publication / "private"
        private.rename(away)
        private.write_text("a file where a folder should be")
        asyncio.run(load(running.port, 10))
        assert eventually(lambda: state(database)["size"] > 20)
        size = state(database)["size"]
        for _ in range(4):
            asyncio.run(load(running.port, 10))
            asyncio.run(asyncio.sleep(0.7))
        assert state(database)["size"] == size
        assert published(database) == 20
        assert ledger.count(database.owner_url) == 70
        private.unlink()
        away.rename(private)
        until_published(database, 70)
