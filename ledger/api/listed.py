"""The events of a list in each of its forms: a page of JSON, lines of JSON, lines of CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ledger.api.document import EventDocument
from ledger.domain import entry, merkle
from ledger.listing import Leaf
from ledger.shards import ShardSize

_json: Final = msgspec.json.Encoder()


class ListedLinks(msgspec.Struct, frozen=True):
    """Paths, never built from Host."""

    self: str
    proof: str


class Listed(EventDocument, frozen=True, kw_only=True):
    """An event of a page."""

    links: ListedLinks


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page; ``size`` is that of the tree whose leaves are listed, in all where there are ``shards``."""

    next: str | None
    previous: str | None
    results: list[Listed]
    size: int
    shards: Sequence[ShardSize] = ()


def page(
    leaves: Iterable[Leaf], *, following: str | None, previous: str | None, size: int, shards: Sequence[ShardSize] = ()
) -> bytes:
    """One page of a list, in JSON."""
    results = []
    for leaf in leaves:
        path = f"/v1/tracking-numbers/{leaf.event.number}"
        results.append(Listed.of(leaf.event, leaf.leaf_index, _hash(leaf), links=ListedLinks(path, f"{path}/proof")))
    return _json.encode(Document(following, previous, results, size, tuple(shards)))


def json_lines(leaves: Iterable[Leaf]) -> bytes:
    """Events as lines of JSON, without links."""
    return b"".join(json_line(_exported(leaf)) for leaf in leaves)


def json_line(event: EventDocument) -> bytes:
    """One line of them."""
    return _json.encode(event) + b"\n"


def csv_head() -> bytes:
    """The line that names the columns of CSV."""
    return _csv([EventDocument.__struct_fields__])


def csv_lines(leaves: Iterable[Leaf]) -> bytes:
    """Events as lines of CSV (RFC 4180), without links; what is null is empty."""
    return _csv(map(msgspec.structs.astuple, map(_exported, leaves)))


def csv_line(event: EventDocument) -> bytes:
    """One line of them."""
    return _csv([msgspec.structs.astuple(event)])


def _csv(rows: Iterable[tuple[object, ...]]) -> bytes:
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows(rows)
    return lines.getvalue().encode()


def _exported(leaf: Leaf) -> EventDocument:
    return EventDocument.of(leaf.event, leaf.leaf_index, _hash(leaf))


def _hash(leaf: Leaf) -> bytes:
    return merkle.leaf_hash(entry.encode(leaf.event))
