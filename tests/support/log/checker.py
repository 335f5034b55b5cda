"""Compares what clients were answered with what the ledger holds; it believes neither.

By hand, of a record that ``tests.support.programs.endless_clients`` made:
``python -m tests.support.log.checker RECORD DATABASE_URL``; a file of checkpoints that a monitor saw and the log's
verifier key, given behind these, have it compare those with the log too.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import psycopg
from psycopg import IsolationLevel
from psycopg.rows import dict_row

from ledger.domain import entry, merkle, note
from ledger.domain.entry import Event
from ledger.domain.growth import Growth
from ledger.domain.note import NoteError, VerifierKey
from ledger.log import read_leaves
from tests.support.database.events import EVENTS, event
from tests.support.log.answer_record import Line, Reader

_AT_ONCE = 5_000


class Checker:
    """What is wrong, so far; nothing may be.

    Attributes:
        answers: lines that hold a number.
        duplicates: a number that two requests got, or a request that has two numbers.
        missing: an answered number that the ledger does not hold.
        altered: the ledger holds it, and says something else of it than the answer did.
    """

    def __init__(self, url: str) -> None:
        """Choose the ledger: the URL of a login that may read it."""
        self._url = url
        self._number_of: dict[str, str] = {}
        self._request_of: dict[str, str] = {}
        self.answers = 0
        self.duplicates: list[str] = []
        self.missing: list[str] = []
        self.altered: list[str] = []

    @property
    def faults(self) -> list[str]:
        """All that is wrong, in sentences."""
        return [*self.duplicates, *self.missing, *self.altered]

    def take(self, lines: Iterable[Line]) -> None:
        """Check these answers too; the ledger is read after they were, so it must hold them."""
        answered = [line for line in lines if line.number]
        self.answers += len(answered)
        for line in answered:
            self._note(line)
        with psycopg.connect(self._url, row_factory=dict_row) as session:
            for begin in range(0, len(answered), _AT_ONCE):
                some = answered[begin : begin + _AT_ONCE]
                rows = session.execute(f"{EVENTS} WHERE number = ANY(%s)", [[line.number for line in some]])
                held = {row["number"]: event(row) for row in rows}
                for line in some:
                    self._compare(line, held.get(line.number))

    def finish(self) -> None:
        """Look for a request that the ledger holds twice, answered or not: a retry must not issue again."""
        with psycopg.connect(self._url) as session:
            twice = session.execute(
                "SELECT request_id::text, count(*) FROM issuance_event WHERE request_id = ANY(%s::uuid[])"
                " GROUP BY request_id HAVING count(*) > 1",
                [list(self._number_of)],
            )
            self.duplicates += [f"The ledger holds {count} events of request {identity}." for identity, count in twice]

    def _note(self, line: Line) -> None:
        before = self._number_of.setdefault(line.request_id, line.number)
        if before != line.number:
            self.duplicates.append(f"Request {line.request_id} was answered {before} and {line.number}.")
        other = self._request_of.setdefault(line.number, line.request_id)
        if other != line.request_id:
            self.duplicates.append(f"Number {line.number} was answered to requests {other} and {line.request_id}.")

    def _compare(self, line: Line, held: Event | None) -> None:
        if held is None:
            self.missing.append(f"Number {line.number}, answered to request {line.request_id}, is not in the ledger.")
            return
        pairs = {
            "leaf_hash": (line.leaf_hash, merkle.leaf_hash(entry.encode(held)).hex()),
            "created_at": (line.created_at, entry.timestamp(held.requested_at)),
            "request_id": (line.request_id, str(held.request_id)),
            "route": (line.origin + line.destination, held.origin + held.destination),
        }
        for what, (answered, recorded) in pairs.items():
            if answered != recorded:
                self.altered.append(f"Number {line.number}: {what} was {answered}, the ledger has {recorded}.")


def check_checkpoints(seen: Sequence[str], url: str, key: VerifierKey) -> list[str]:
    """What is wrong with checkpoints in the order in which somebody saw them.

    Each must have the root of the same first leaves of the ledger's log, so any two are consistent (RFC 6962, 2.1.2).
    """
    faults: list[str] = []
    roots: dict[int, bytes] = {}
    last = 0
    for text in seen:
        try:
            checkpoint, _ = note.read(text, key)
        except NoteError as error:
            faults.append(f"A checkpoint can't be read: {error}")
            continue
        if checkpoint.size < last:
            faults.append(f"After the checkpoint of {last} leaves that of {checkpoint.size} was shown.")
        if roots.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            faults.append(f"Two checkpoints of {checkpoint.size} leaves have different roots.")
        last = checkpoint.size
    hashes = _leaf_hashes(url, max(roots, default=0))
    growth = Growth(0, [])
    for size in sorted(roots):
        growth.extend(hashes[growth.size : size])
        if growth.size != size or growth.root != roots[size]:
            faults.append(f"The checkpoint of {size} leaves is not one of the ledger's log.")
    return faults


def _leaf_hashes(url: str, size: int) -> list[bytes]:
    """Those of the log's first leaves; fewer where it has not so many."""
    with psycopg.connect(url, autocommit=True) as session:
        session.isolation_level = IsolationLevel.REPEATABLE_READ
        row = session.execute("SELECT size FROM tree_state").fetchone()
        size = min(size, 0 if row is None else row[0])
        leaves = read_leaves(session, 0, size) if size else []
    return [merkle.leaf_hash(entry.encode(leaf)) for leaf in leaves]


def main(record: str, url: str, checkpoints: str = "", key: str = "") -> int:
    """Check a whole record; the exit code."""
    checker = Checker(url)
    checker.take(Reader(Path(record)).fresh())
    checker.finish()
    faults = checker.faults
    if checkpoints:
        seen = [msgspec.json.decode(line, type=str) for line in Path(checkpoints).read_bytes().splitlines()]
        faults += check_checkpoints(seen, url, VerifierKey.parse(key))
    counts = f"{len(checker.duplicates)} duplicates, {len(checker.missing)} missing, {len(checker.altered)} altered"
    sys.stdout.write("\n".join([*faults, f"{checker.answers} answers: {counts}."]) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
