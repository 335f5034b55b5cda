"""Values that callers give: how the text of each is read, and what is said of one that can't be.

ASCII is asked for before any conversion: `int` takes digits of other scripts, `uuid.UUID` braces, and `ß` raised
is South Sudan.
"""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

import pycountry

COUNTRIES: Final = frozenset(country.alpha_2 for country in pycountry.countries) | {"XK"}
"""Assigned ISO 3166-1 alpha-2 codes, and XK, which carriers use for Kosovo."""
LAST_MOMENT: Final = 253_402_300_799_999_999
"""The end of the year 9999, the last that RFC 3339 can write, in microseconds of the Unix epoch."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SPELLINGS = {
    spelling: code
    for code in COUNTRIES
    for spelling in (code, code.lower(), code.capitalize(), code.capitalize().swapcase())
}
_COUNTRY = re.compile("[A-Za-z]{2}")
_PLUS, _PERCENT = b"+%"  # as integers: to look for a byte takes a tenth of what it takes to look for bytes of length 1
_ROUTE = re.compile("([A-Za-z]{2})-([A-Za-z]{2})")
_TIME = re.compile(
    "([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}:[0-9]{2})(?:[.]([0-9]{1,6}))?([Zz]|[-+][0-9]{2}:[0-9]{2})"
)
_HOURS = {f"{hour:02}": hour * 3_600_000_000 for hour in range(24)}
_CLOCK = {f"{second // 60:02}:{second % 60:02}": second * 1_000_000 for second in range(3600)}
_SPACE_FOR_PLUS = re.compile(" (?=[0-9]{2}:[0-9]{2}$)")
_UUID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_WHOLE = re.compile("[0-9]{1,20}")


class ValueFlaw(Exception):  # noqa: N818  # it is a flaw of the caller's value, not an error of ours
    """This value can't be read.

    Attributes:
        code: for programs: empty, encoding, type, format, range, length, country, choice, control-character.
        detail: for people; never repeats the value.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def decoded(raw: bytes) -> str:
    """Undo the percent-encoding of application/x-www-form-urlencoded, strictly; raises ValueFlaw."""
    if _PLUS in raw:
        raw = raw.replace(b"+", b" ")
    if _PERCENT in raw:
        if _BAD_ESCAPE.search(raw):
            raise ValueFlaw("encoding", "A percent sign must be followed by two hex digits.")
        raw = unquote_to_bytes(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueFlaw("encoding", "This is not valid UTF-8.") from None


def country(text: str) -> str:
    """A country's code, raised; ValueFlaw where it is none."""
    code = _SPELLINGS.get(text)
    if code is None:
        if _COUNTRY.fullmatch(text):
            raise ValueFlaw("country", "This is not an assigned ISO 3166-1 alpha-2 code, nor XK.")
        raise malformed(text, "Two letters of ISO 3166-1 alpha-2 are expected, such as MY.")
    return code


def route(text: str) -> tuple[str, str]:
    """Origin and destination of ``MY-ID``, raised; ValueFlaw where it is none."""
    match = _ROUTE.fullmatch(text)
    if match is None:
        raise malformed(text, "Two codes of ISO 3166-1 alpha-2 with a hyphen between them are expected, such as MY-ID.")
    return country(match[1]), country(match[2])


def instant(text: str) -> int:
    """Microseconds of the Unix epoch of a time in RFC 3339 with an offset; raises ValueFlaw."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise malformed(text, "RFC 3339 with an offset is expected, such as 2018-11-20T19:29:32.5+08:00.")
    day, hour, clock, fraction, offset = match.groups()
    start, hours, seconds = _day(day, offset), _HOURS.get(hour), _CLOCK.get(clock)
    if start is None or hours is None or seconds is None:
        raise ValueFlaw("format", "There is no such date, time or offset.")
    return start + hours + seconds + (int(fraction.ljust(6, "0")) if fraction else 0)


def moment(text: str) -> int:
    """The same of a time from 1970 to 9999 that stood in a query; raises ValueFlaw."""
    text = plus(text)
    # Python's years begin with 1.
    if (text.startswith("0000-") and _TIME.fullmatch(text)) or not 0 <= (found := instant(text)) <= LAST_MOMENT:
        raise ValueFlaw("range", "The time must lie between 1970 and 9999.")
    return found


def plus(text: str) -> str:
    """A time as it was typed: a plus typed unescaped means a space in a query, and can only be the plus that it was."""
    return _SPACE_FOR_PLUS.sub("+", text)


def uuid(text: str) -> bytes:
    """The 16 bytes of a UUID; raises ValueFlaw."""
    if not _UUID.fullmatch(text):
        raise malformed(text, "A UUID is expected: hex digits as 8-4-4-4-12.")
    return bytes.fromhex(text.replace("-", ""))


def whole(text: str, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``; raises ValueFlaw."""
    if not _WHOLE.fullmatch(text):
        raise malformed(text, f"A whole number from {low} to {high} is expected, in digits.")
    if not low <= (number := int(text)) <= high:
        raise ValueFlaw("range", f"The number must lie between {low} and {high}.")
    return number


def choice(text: str, choices: Collection[str]) -> str:
    """One of some words; raises ValueFlaw."""
    if text not in choices:
        raise ValueFlaw("choice", f"One of these is expected: {', '.join(choices)}.")
    return text


def malformed(text: str, detail: str) -> ValueFlaw:
    """What is said of a value of the wrong form; where there is none, that."""
    return ValueFlaw("format", detail) if text else ValueFlaw("empty", "A value is required.")


@lru_cache(4096)
def _day(day: str, offset: str) -> int | None:
    """The start of a day, in microseconds of the Unix epoch; times of the same day share it."""
    try:
        start = datetime.fromisoformat(f"{day}T00:00:00{offset}".upper()) - _EPOCH
    except ValueError:
        return None
    return (start.days * 86_400 + start.seconds) * 1_000_000
