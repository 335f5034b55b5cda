"""The seven parameters of an order: how each value is read, and what is said about one that can't be."""

import re
import time
import unicodedata
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import pycountry

COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries) | {"XK"}
"""Assigned ISO 3166-1 alpha-2 codes, and XK, which carriers use for Kosovo."""

LONGEST_TEXT = 200
HEAVIEST = 1_000_000
"""Grams."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_A_DAY = 86_400_000_000

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_COUNTRY = re.compile("[A-Za-z]{2}")
_WEIGHT = re.compile(rb"([0-9]{1,4})(?:\.([0-9]{1,3}))?")
_TIME = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}:[0-9]{2})(?:\.([0-9]{1,6}))?([Zz]|[-+][0-9]{2}:[0-9]{2})"
)
_HOURS = {b"%02d" % hour: hour * 3600 for hour in range(24)}
_CLOCK = {b"%02d:%02d" % divmod(second, 60): second for second in range(3600)}
_SPACE_FOR_PLUS = re.compile(rb" (?=[0-9]{2}:[0-9]{2}$)")
_UUID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SLUG = re.compile("[a-z0-9]+(?:-[a-z0-9]+)*")


class ValueFlaw(Exception):  # noqa: N818  # it is a flaw of the caller's value, not an error of ours
    """This value can't be read.

    Attributes:
        code: for programs: empty, encoding, format, range, length, country, control-character.
        detail: for people; never repeats the value.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def decoded(raw: bytes) -> str:
    """Undo the percent-encoding of application/x-www-form-urlencoded, strictly; raises ValueFlaw."""
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        if _BAD_ESCAPE.search(raw):
            raise ValueFlaw("encoding", "A percent sign must be followed by two hex digits.")
        raw = unquote_to_bytes(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueFlaw("encoding", "This is not valid UTF-8.") from None


def _text(raw: bytes) -> str:
    text = decoded(raw)
    if not text:
        raise ValueFlaw("empty", "A value is required.")
    return text


def _country(raw: bytes) -> str:
    text = _text(raw)
    if not _COUNTRY.fullmatch(text):
        raise ValueFlaw("format", "Two letters of ISO 3166-1 alpha-2 are expected, such as MY.")
    if (code := text.upper()) not in COUNTRIES:
        raise ValueFlaw("country", "This is not an assigned ISO 3166-1 alpha-2 code, nor XK.")
    return code


def _grams(raw: bytes) -> int:
    match = _WEIGHT.fullmatch(raw) or _WEIGHT.fullmatch(_text(raw).encode())
    if not match:
        raise ValueFlaw("format", "Kilograms are expected, up to three decimals, such as 1.234.")
    whole, fraction = match.groups(b"")
    grams = int(whole) * 1000 + int(fraction.ljust(3, b"0"))
    if not 0 < grams <= HEAVIEST:
        raise ValueFlaw("range", "The weight must be more than 0 and at most 1000 kg.")
    return grams


def _created_at(raw: bytes) -> int:
    # A plus typed unescaped means a space in a query; in a time it can only be the plus that it was, so it stays one.
    # These two escapes are those that clients put into a time; the general way, five times as slow, takes the rest.
    match = _TIME.fullmatch(raw.replace(b"%3A", b":").replace(b"%2B", b"+")) or _TIME.fullmatch(
        _SPACE_FOR_PLUS.sub(b"+", _text(raw).encode())
    )
    if not match:
        raise ValueFlaw("format", "RFC 3339 with an offset is expected, such as 2018-11-20T19:29:32.5+08:00.")
    day, hour, clock, fraction, offset = match.groups()
    start, hours, seconds = _day(day, offset), _HOURS.get(hour), _CLOCK.get(clock)
    if start is None or hours is None or seconds is None:
        raise ValueFlaw("format", "There is no such date, time or offset.")
    moment = start + (hours + seconds) * 1_000_000 + (int(fraction.ljust(6, b"0")) if fraction else 0)
    if not 0 <= moment <= time.time_ns() // 1000 + _A_DAY:
        raise ValueFlaw("range", "The time must lie between 1970 and a day from now.")
    return moment


@lru_cache(4096)
def _day(day: bytes, offset: bytes) -> int | None:
    """The start of a day, in microseconds of the Unix epoch; orders made on the same day share it."""
    try:
        moment = datetime.fromisoformat(f"{day.decode()}T00:00:00{offset.decode()}".upper()) - _EPOCH
    except ValueError:
        return None
    return (moment.days * 86_400 + moment.seconds) * 1_000_000


def _customer_id(raw: bytes) -> bytes:
    text = _text(raw)
    if not _UUID.fullmatch(text):
        raise ValueFlaw("format", "A UUID is expected: hex digits as 8-4-4-4-12.")
    return uuid.UUID(text).bytes


def _customer_name(raw: bytes) -> str:
    text = _text(raw)
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text):
        raise ValueFlaw("control-character", "Control characters are not allowed.")
    text = text.strip()
    if not text:
        raise ValueFlaw("empty", "A value is required, not only spaces.")
    if len(text) > LONGEST_TEXT:
        raise ValueFlaw("length", f"At most {LONGEST_TEXT} characters are allowed.")
    return text


def _customer_slug(raw: bytes) -> str:
    text = _text(raw)
    if len(text) > LONGEST_TEXT:
        raise ValueFlaw("length", f"At most {LONGEST_TEXT} characters are allowed.")
    if not _SLUG.fullmatch(text):
        raise ValueFlaw("format", "Lower-case letters and digits in words joined by single hyphens are expected.")
    return text


READERS: dict[str, Callable[[bytes], str | int | bytes]] = {
    "origin_country_id": _country,
    "destination_country_id": _country,
    "weight": _grams,
    "created_at": _created_at,
    "customer_id": _customer_id,
    "customer_name": _customer_name,
    "customer_slug": _customer_slug,
}
"""Each parameter's reader, from the raw value to what an Order holds; in the order of Order's fields."""
