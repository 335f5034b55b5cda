"""A database's whole log recomputed from its events by the definitions alone, and compared with all that is kept of it.

RFC 6962's tree hash as it is written there, no tile and no edge: slow, and hard to get wrong.
"""

import gzip
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import dict_row

from ledger.domain import entry, note
from ledger.domain.note import Checkpoint, SignerKey
from tests.plugin import LEDGER_KEY, Database
from tests.support.database.events import EVENTS, event

KEY = SignerKey.parse(LEDGER_KEY).verifier
_BLOCK = 1024


class Log:
    """The leaves of a log, in its order."""

    def __init__(self, serials: Sequence[int], entries: Sequence[bytes]) -> None:
        self.serials = list(serials)
        self.entries = list(entries)
        self._full: dict[tuple[int, int], bytes] = {}

    def root(self, size: int) -> bytes:
        """MTH(D[size])."""
        return self.mth(0, size) if size else sha256(b"").digest()

    def mth(self, begin: int, end: int) -> bytes:
        """MTH(D[begin:end]) of RFC 6962, section 2.1."""
        if (begin, end) in self._full:
            return self._full[begin, end]
        count = end - begin
        if count == 1:
            found = sha256(b"\x00" + self.entries[begin]).digest()
        else:
            middle = begin + (1 << (count - 1).bit_length() - 1)
            found = sha256(b"\x01" + self.mth(begin, middle) + self.mth(middle, end)).digest()
        if not count & (count - 1):
            self._full[begin, end] = found
        return found

    def tiles(self, size: int) -> dict[tuple[int, int], bytes]:
        """All tiles of the tree of a size by level and position, the last of a level cut where the tree ends."""
        found: dict[tuple[int, int], bytes] = {}
        level = 0
        while hashes := size >> 8 * level:
            each = 256**level
            row = [self.mth(at * each, (at + 1) * each) for at in range(hashes)]
            for position in range(-(-hashes // 256)):
                found[level, position] = b"".join(row[position * 256 : (position + 1) * 256])
            level += 1
        return found


def check(database: Database, *, whole: bool = True, first_block: int = 0) -> Log:
    """Compare every table of the log with the events; ``whole``: each event is a leaf. Returns the log."""
    with psycopg.connect(database.owner_url, row_factory=dict_row) as session:
        session.isolation_level = IsolationLevel.REPEATABLE_READ
        entries = {row["serial"]: entry.encode(event(row)) for row in session.execute(f"{EVENTS} ORDER BY serial")}
        runs = session.execute("SELECT * FROM run ORDER BY first_leaf").fetchall()
        cursors = session.execute("SELECT * FROM block_cursor").fetchall()
        tiles = session.execute("SELECT level, position, hashes FROM tile").fetchall()
        checkpoints = session.execute("SELECT size, signature FROM checkpoint ORDER BY size").fetchall()
        (state,) = session.execute("SELECT * FROM tree_state").fetchall()
    serials: list[int] = []
    for run in runs:
        assert run["first_leaf"] == len(serials), "the runs leave no leaf out, and none is in two"
        assert run["first_serial"] // _BLOCK == run["last_serial"] // _BLOCK
        members = [serial for serial in range(run["first_serial"], run["last_serial"] + 1) if serial in entries]
        assert (members[0], members[-1], len(members)) == (run["first_serial"], run["last_serial"], run["leaves"])
        serials += members
    assert len(set(serials)) == len(serials), "no event is two leaves"
    assert not whole or sorted(serials) == sorted(entries), "every event is a leaf"
    _check_cursors(cursors, state["closed_below"], first_block, set(serials), set(entries))

    log = Log(serials, [entries[serial] for serial in serials])
    assert (state["size"], state["root"]) == (len(serials), log.root(len(serials)))
    expected = log.tiles(state["size"])
    full = {place: hashes for place, hashes in expected.items() if len(hashes) == 256 * 32}
    assert {(tile["level"], tile["position"]): tile["hashes"] for tile in tiles} == full
    partial = {level: hashes for (level, _), hashes in expected.items() if len(hashes) < 256 * 32}
    assert {level: hashes for level, hashes in enumerate(state["edge"]) if hashes} == partial

    sizes = [checkpoint["size"] for checkpoint in checkpoints]
    assert sizes == sorted(set(sizes)), "each checkpoint is in the history once"
    for checkpoint in checkpoints:
        KEY.verify(Checkpoint(KEY.name, checkpoint["size"], log.root(checkpoint["size"])).text, checkpoint["signature"])
    assert state["published_size"] == (sizes[-1] if sizes else 0) <= state["size"]
    assert state["published_root"] == log.root(state["published_size"])
    assert state["published_signature"] == (checkpoints[-1]["signature"] if checkpoints else None)
    return log


def check_published(database: Database, log: Log) -> None:
    """Compare the folder with the log: it holds all that its checkpoint needs."""
    size = check_checkpoint((database.publication / "public/checkpoint").read_text(), log)
    for (level, position), hashes in log.tiles(size).items():
        name = _name(position, len(hashes) // 32)
        assert (database.publication / "public/tile" / str(level) / name).read_bytes() == hashes
    for position in range(-(-size // 256)):
        leaves = range(position * 256, min((position + 1) * 256, size))
        file = database.publication / "private/entries" / _name(position, len(leaves))
        lines = b"".join(b"%d %b\n" % (log.serials[leaf], log.entries[leaf]) for leaf in leaves)
        assert gzip.decompress(file.read_bytes()) == lines


def check_checkpoint(text: str, log: Log) -> int:
    """Compare a signed checkpoint with the log: all that pass are consistent with each other. Returns its size."""
    checkpoint, _ = note.read(text, KEY)
    assert checkpoint.root == log.root(checkpoint.size), f"the checkpoint of {checkpoint.size} is of another history"
    return checkpoint.size


def _check_cursors(
    cursors: Sequence[dict[str, Any]], floor: int, first: int, sealed: set[int], events: set[int]
) -> None:
    closed = {cursor["block"] for cursor in cursors if cursor["closed"]}
    assert set(range(first, floor)) <= closed
    for cursor in cursors:
        block = range(cursor["block"] * _BLOCK, (cursor["block"] + 1) * _BLOCK)
        leaves = [serial for serial in block if serial in sealed]
        assert cursor["last_serial"] == (leaves[-1] if leaves else block[0] - 1)
        behind = [
            serial for serial in block if serial in events and (cursor["closed"] or serial <= cursor["last_serial"])
        ]
        assert behind == leaves, "an event appeared behind a cursor"


def _name(position: int, width: int) -> str:
    assert position < 1000, "larger logs are not for this"
    return f"{position:03}" if width == 256 else f"{position:03}.p/{width}"
