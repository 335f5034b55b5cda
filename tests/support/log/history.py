"""A history made over HTTP and sealed by a real sealer; what its log must say is hashed from the answers alone."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from tests.plugin import Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.processes.proc import eventually
from tests.support.processes.sealers import Sealer, state, until_published

TILE = 256


class History(NamedTuple):
    """What one writer issued, in leaf order."""

    numbers: list[str]
    leaves: list[bytes]
    """The leaf hashes that were answered."""
    published: int
    """How many of them are published; the rest is committed to the log only."""


def make(database: Database, port: int, *, published_events: int, committed_events: int) -> History:
    """Issue through one writer and seal: with gaps, and with leaves that could not be published any more."""
    with ledger.reading(database.owner_url) as session:
        # The only way to a data error past the endpoint's checks: a rule that it does not know.
        session.execute("ALTER TABLE issuance_event ADD CHECK (destination <> 'ZW')")
    with Sealer(database):
        leaves = issue(port, published_events // 2)
        until_published(database, len(leaves))
        leaves |= issue(port, published_events // 2, poison=0.04)  # refused rows burn serials
        size = len(leaves)
        until_published(database, size)
    leaves |= issue(port, committed_events)
    commit_only(database, len(leaves))
    numbers = ledger.numbers(database.owner_url)  # one writer: serials are in leaf order
    return History(numbers, [leaves[number] for number in numbers], size)


def issue(port: int, count: int, *, poison: float = 0.0) -> dict[str, bytes]:
    """Numbers and the leaf hashes that they were answered with."""
    outcome = asyncio.run(load(port, count, poison=poison))
    documents = [answer.document for answer in outcome.answers if answer.status == 200]
    return {each["tracking_number"]: bytes.fromhex(each["leaf_hash"]) for each in documents}


def commit_only(database: Database, size: int) -> None:
    """Have a sealer append what there is while it can't move the outside checkpoint, so none of it is published."""
    obstacle = database.publication / "public" / "checkpoint.new"
    obstacle.mkdir()
    with Sealer(database):
        assert eventually(lambda: state(database)["size"] == size)
    obstacle.rmdir()


def root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, from its definition and leaf hashes; of one leaf or more."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()
