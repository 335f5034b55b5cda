"""The daily reports in JSON: an open day has the members of a report, and what is not written yet is null in it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from ledger.shards import ShardSize
from reports.closed import Correction
from reports.daily import Cells, Days
from reports.domain.document import VERSION

_encode: Final = msgspec.json.Encoder().encode


class CellDocument(msgspec.Struct, frozen=True):
    """The numbers of a route and weight band, as reports.domain.document has them."""

    count: int
    destination: str
    origin: str
    weight_band: int


class DayDocument(msgspec.Struct, frozen=True):
    """One day, in the members and order of a report."""

    counts: list[CellDocument]
    day: date
    origin: str | None
    root: str | None
    signature: str | None
    size: int
    time_zone: str
    total: int
    type: str
    version: int


class ShardReport(msgspec.Struct, frozen=True):
    """What a day over several shards has of one; ``report`` is the SHA-256 of its own, None: it is open."""

    shard: int
    size: int
    origin: str
    report: str | None


class DayAcross(DayDocument, frozen=True):
    """A day over several shards."""

    shards: list[ShardReport]


class DayLinks(msgspec.Struct, frozen=True):
    """Paths, never built from Host."""

    self: str
    corrections: str | None


class ListedDay(msgspec.Struct, frozen=True):
    """A day of a period."""

    day: date
    total: int
    closed: bool
    corrections: int
    links: DayLinks


class DaysDocument(msgspec.Struct, frozen=True, omit_defaults=True, rename={"first": "from"}):
    """The days of a period; ``size`` is that of the tree whose leaves are counted."""

    first: date
    to: date
    time_zone: str
    size: int
    total: int
    days: list[ListedDay]
    shards: tuple[ShardSize, ...] = ()


class CorrectionDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A correction as it stands, and its SHA-256; of several shards, whose report it corrects."""

    digest: str
    document: msgspec.Raw
    shard: int | None = None


class CorrectionsDocument(msgspec.Struct, frozen=True):
    """All corrections of a day."""

    day: date
    total: int
    corrections: list[CorrectionDocument]


def days(first: date, end: date, time_zone: str, found: Days) -> bytes:
    """The days of a period."""
    listed = []
    for each in found.days:
        path = f"/v1/reports/daily/{each.day}"
        links = DayLinks(path, f"{path}/corrections" if each.closed else None)
        listed.append(ListedDay(each.day, each.total, each.closed, each.corrections, links))
    total = sum(each.total for each in found.days)
    return _encode(DaysDocument(first, end, time_zone, found.size, total, listed, found.shards))


def open_day(day: date, time_zone: str, origin: str, found: Cells) -> bytes:
    """A day that has no report yet."""
    cells = _cells(found)
    total = sum(each.count for each in cells)
    return _encode(DayDocument(cells, day, origin, None, None, found.size, time_zone, total, "open-day", VERSION))


def day_across(
    day: date, time_zone: str, found: Cells, origins: Mapping[int, str], reports: Mapping[int, bytes]
) -> bytes:
    """A day over several shards; ``origins`` are the names of their logs, ``reports`` the digests that there are."""
    cells = _cells(found)
    total = sum(each.count for each in cells)
    shards = [
        ShardReport(
            each.shard, each.size, origins[each.shard], digest.hex() if (digest := reports.get(each.shard)) else None
        )
        for each in found.shards
    ]
    size = found.size
    return _encode(DayAcross(cells, day, None, None, None, size, time_zone, total, "day-of-shards", VERSION, shards))


def _cells(found: Cells) -> list[CellDocument]:
    return [CellDocument(each.numbers, each.destination, each.origin, each.weight_band) for each in found.counts]


def rows(document: bytes) -> Iterator[tuple[date, str, str, int, int]]:
    """What a report or an open day counts: day, origin, destination, weight band, count."""
    found = msgspec.json.decode(document, type=DayDocument)
    for each in found.counts:
        yield found.day, each.origin, each.destination, each.weight_band, each.count


def corrections(day: date, found: list[Correction], shards: Sequence[int | None] = ()) -> bytes:
    """All corrections of a day, each with its document byte for byte; ``shards`` says whose each is, if of several."""
    pairs = zip(found, shards or [None] * len(found), strict=True)
    each = [CorrectionDocument(one.digest.hex(), msgspec.Raw(one.document), shard) for one, shard in pairs]
    return _encode(CorrectionsDocument(day, sum(one.total for one in found), each))
