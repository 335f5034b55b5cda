"""The leaf of an event: canonical JSON (RFC 8785), version 1.

What is written here is hashed for ever. Version 1 may never change; a new shape is a new version beside it.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import msgspec
from uuid_utils import UUID

VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_BYTES = 65_535  # C2SP tlog-tiles: an entry bundle frames each entry with a uint16


class Event(msgspec.Struct, frozen=True, gc=False):
    """One issuance, as it is stored; times are microseconds since 1970-01-01T00:00:00Z.

    ``request_id`` is uuid_utils' UUID, not the standard library's: text and bytes together take 0.4 us, not 2.
    """

    number: str
    serial: int
    customer_tag: bytes
    customer_key_id: int
    origin: str
    destination: str
    weight_band: int
    order_created_at: int
    requested_at: int
    request_id: UUID
    principal: int | None


class _Entry(msgspec.Struct, gc=False):
    """The members of the JSON object, in the order that RFC 8785 sorts them into; msgspec keeps it."""

    customer_key_id: int
    customer_tag: str
    destination: str
    number: str
    order_created_at: str
    origin: str
    principal: int | None
    request_id: str
    requested_at: str
    type: str
    version: int
    weight_band: int


_json = msgspec.json.Encoder().encode
_parse = msgspec.json.Decoder(_Entry).decode


def timestamp(microseconds: int) -> str:
    """Write microseconds since the Unix epoch as RFC 3339 in UTC, always with six fraction digits and ``Z``.

    Raises:
        ValueError, OverflowError: the time is outside the years 1 to 9999.
    """
    return _timestamp(microseconds, _second)


def _timestamp(microseconds: int, second: Callable[[int], str]) -> str:
    fraction = microseconds % 1_000_000
    return f"{second(microseconds // 1_000_000)}.{_DIGITS[fraction // 1000]}{_DIGITS[fraction % 1000]}Z"


def _second(seconds: int) -> str:
    minutes = seconds // 60
    return f"{_day(minutes // 1440)}{_MINUTES[minutes % 1440]}{_SECONDS[seconds % 60]}"


# Days recur, minutes and digits are few: a third of what datetime.isoformat takes.
_MINUTES = tuple(f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(1440))
_SECONDS = tuple(f"{second:02}" for second in range(60))
_DIGITS = tuple(f"{number:03}" for number in range(1000))
_lately = lru_cache(64)(_second)  # events that are sealed together, or issued, share the second they were asked for


@lru_cache(4096)
def _day(day: int) -> str:
    """The date of days since the Unix epoch."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def encode(event: Event) -> bytes:
    """Return the exact leaf bytes of an event: everything but its serial, which its place in the log replaces.

    Raises:
        ValueError: the entry is longer than 65,535 bytes.
    """
    entry = _json(
        _Entry(
            customer_key_id=event.customer_key_id,
            customer_tag=event.customer_tag.hex(),
            destination=event.destination,
            number=event.number,
            order_created_at=timestamp(event.order_created_at),
            origin=event.origin,
            principal=event.principal,
            request_id=str(event.request_id),
            requested_at=_timestamp(event.requested_at, _lately),
            type="issued",
            version=VERSION,
            weight_band=event.weight_band,
        )
    )
    if len(entry) > MAX_BYTES:
        raise ValueError(f"An entry holds at most {MAX_BYTES} bytes; this one has {len(entry)}.")
    return entry


def decode(leaf: bytes, serial: int) -> Event:
    """The event of exact leaf bytes and the serial that is kept beside them.

    Raises:
        ValueError: they are not what ``encode`` makes of any event.
    """
    try:
        found = _parse(leaf)
        event = Event(
            number=found.number,
            serial=serial,
            customer_tag=bytes.fromhex(found.customer_tag),
            customer_key_id=found.customer_key_id,
            origin=found.origin,
            destination=found.destination,
            weight_band=found.weight_band,
            order_created_at=_microseconds(found.order_created_at),
            requested_at=_microseconds(found.requested_at),
            request_id=UUID(found.request_id),
            principal=found.principal,
        )
        again = encode(event)
    except (ValueError, OverflowError, TypeError) as error:  # TypeError: a time without its Z
        raise ValueError(f"This is no entry of an event: {error}.") from None
    if again != leaf:
        raise ValueError("This is no entry of an event: it is not written as RFC 8785 and version 1 have it.")
    return event


def _microseconds(text: str) -> int:
    since = datetime.fromisoformat(text) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
