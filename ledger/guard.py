"""The checkpoint outside the database tells on a database that was set back or rewritten."""

import asyncio

from core.session import Session
from ledger import log, publication
from ledger.domain import note, tiles
from ledger.domain.merkle import Range
from ledger.domain.note import Checkpoint, VerifierKey
from ledger.publication import Publication


class RestoredError(Exception):
    """The database lacks what was published, or says otherwise: signing or issuing from it would contradict that."""


def published(place: Publication, key: VerifierKey) -> tuple[str, Checkpoint, bytes] | None:
    """The checkpoint outside the database: the note, what it says, our signature. None where nothing was published.

    Raises:
        PublicationError: it can't be read, or is not a checkpoint of the log of this key.
    """
    text = place.read_checkpoint()
    if text is None:
        return None
    try:
        return text, *note.read(text, key)
    except note.NoteError as error:
        raise publication.PublicationError(
            f"The checkpoint in {place} is not one of the log {key.name}: {error} Correct LEDGER_KEY or PUBLICATION."
        ) from error


def lost(place: Publication, leaves: int) -> str:
    """What to say where nothing is published and the database has published so many leaves."""
    return (
        f"{place} has no checkpoint, but the database has published {leaves} leaves. Correct PUBLICATION, or put it "
        "back from a copy."
    )


def check_size(outside: Checkpoint, size: int) -> None:
    """Compare sizes; RestoredError where the database has fewer leaves than were published."""
    if size < outside.size:
        raise RestoredError(
            f"The database's log has {size} leaves, but a checkpoint of {outside.size} was published: the database "
            "was set back to an earlier state, and is neither signed nor used. Run `manage.py recover_ledger`: it says "
            "what is missing, and puts it back."
        )


def check_root(outside: Checkpoint, root: bytes) -> None:
    """Compare roots at the published size; RestoredError where the database's history is another one."""
    if root != outside.root:
        raise RestoredError(
            f"The first {outside.size} leaves of the database's log have the root {root.hex()}, but "
            f"{outside.root.hex()} was published: the database holds another history. `manage.py verify_ledger` says "
            "where it differs, if it is this log at all (PUBLICATION, DATABASE_URL)."
        )


def check(outside: Checkpoint, connection: log.Connection, size: int) -> None:
    """Compare the published checkpoint with a database whose tree has ``size`` leaves.

    Raises:
        RestoredError: they contradict each other.
        ledger.log.LogError: the database's own tables do.
    """
    check_size(outside, size)
    check_root(outside, log.read_root(connection, outside.size))


async def look(session: Session, place: Publication, key: VerifierKey) -> None:
    """The same for whoever is about to issue, on the session that it will issue through.

    Raises:
        RestoredError, ledger.log.LogError: nothing may be issued from this database.
        PublicationError: that can't be told, since the checkpoint can't be read or is gone.
    """
    found = await asyncio.to_thread(published, place, key)
    async with session.turn:
        if found is None:
            ((size,),) = await session.execute(b"SELECT published_size FROM tree_state")
            if size != b"0":
                raise publication.PublicationError(lost(place, int(size or b"0")))
            return
        _, outside, _ = found
        ((size,),) = await session.execute(b"SELECT size FROM tree_state")
        check_size(outside, int(size or b"0"))
        needed = tiles.needed([Range(0, outside.size)], outside.size)
        query = f"SELECT level, position, encode(hashes, 'hex') FROM ({log.tiles_query(needed)}) AS found"  # noqa: S608  # integers
        rows = await session.execute(query.encode())
    held = [
        (int(level or b""), int(position or b""), None if hashes is None else bytes.fromhex(hashes.decode()))
        for level, position, hashes in rows
    ]
    leaves = Range(0, outside.size)
    check_root(outside, tiles.hashes([leaves], log.found_tiles(needed, held))[0])
