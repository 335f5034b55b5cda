"""The seven parameters of an order: how the text of each is checked and read, and what is said of one that can't be."""

import re
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import pycountry

COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries) | {"XK"}
"""Assigned ISO 3166-1 alpha-2 codes, and XK, which carriers use for Kosovo."""

LONGEST_TEXT = 200
HEAVIEST = 1_000_000
"""Grams."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_A_DAY = 86_400_000_000

_SPELLINGS = {
    spelling: code
    for code in COUNTRIES
    for spelling in (code, code.lower(), code.capitalize(), code.capitalize().swapcase())
}
_COUNTRY = re.compile("[A-Za-z]{2}")
_WEIGHT = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,3}))?")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}:[0-9]{2})(?:\.([0-9]{1,6}))?([Zz]|[-+][0-9]{2}:[0-9]{2})"
)
_HOURS = {f"{hour:02}": hour * 3_600_000_000 for hour in range(24)}
_CLOCK = {f"{second // 60:02}:{second % 60:02}": second * 1_000_000 for second in range(3600)}
_UUID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SLUG = re.compile("[a-z0-9]+(?:-[a-z0-9]+)*")


class ValueFlaw(Exception):  # noqa: N818  # it is a flaw of the caller's value, not an error of ours
    """This value can't be read.

    Attributes:
        code: for programs: empty, encoding, type, format, range, length, country, control-character.
        detail: for people; never repeats the value.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def country(text: str) -> str:
    """The upper-case code of a country; raises ValueFlaw."""
    code = _SPELLINGS.get(text)
    if code is None:
        if _COUNTRY.fullmatch(text):
            raise ValueFlaw("country", "This is not an assigned ISO 3166-1 alpha-2 code, nor XK.")
        raise _malformed(text, "Two letters of ISO 3166-1 alpha-2 are expected, such as MY.")
    return code


def grams(text: str) -> int:
    """The grams, 1 to HEAVIEST, of a weight in kilograms; raises ValueFlaw."""
    match = _WEIGHT.fullmatch(text)
    if not match:
        raise _malformed(text, "Kilograms are expected, up to three decimals, such as 1.234.")
    whole, fraction = match.groups("")
    grams = int(whole + fraction.ljust(3, "0"))
    if not 0 < grams <= HEAVIEST:
        raise ValueFlaw("range", "The weight must be more than 0 and at most 1000 kg.")
    return grams


def created_at(text: str) -> int:
    """The microseconds of the Unix epoch of a time, up to a day from now; raises ValueFlaw."""
    match = _TIME.fullmatch(text)
    if not match:
        raise _malformed(text, "RFC 3339 with an offset is expected, such as 2018-11-20T19:29:32.5+08:00.")
    day, hour, clock, fraction, offset = match.groups()
    start, hours, seconds = _day(day, offset), _HOURS.get(hour), _CLOCK.get(clock)
    if start is None or hours is None or seconds is None:
        raise ValueFlaw("format", "There is no such date, time or offset.")
    moment = start + hours + seconds + (int(fraction.ljust(6, "0")) if fraction else 0)
    if not 0 <= moment <= time.time_ns() // 1000 + _A_DAY:
        raise ValueFlaw("range", "The time must lie between 1970 and a day from now.")
    return moment


@lru_cache(4096)
def _day(day: str, offset: str) -> int | None:
    """The start of a day, in microseconds of the Unix epoch; orders made on the same day share it."""
    try:
        moment = datetime.fromisoformat(f"{day}T00:00:00{offset}".upper()) - _EPOCH
    except ValueError:
        return None
    return (moment.days * 86_400 + moment.seconds) * 1_000_000


def customer_id(text: str) -> bytes:
    """The 16 bytes of a UUID; raises ValueFlaw."""
    if not _UUID.fullmatch(text):
        raise _malformed(text, "A UUID is expected: hex digits as 8-4-4-4-12.")
    return bytes.fromhex(text.replace("-", ""))


def customer_name(text: str) -> str:
    """A name without the space around it; raises ValueFlaw."""
    # What can be printed holds no control character; the reverse does not hold, so the rest is looked at one by one.
    if not text.isprintable() and any(unicodedata.category(each) in {"Cc", "Zl", "Zp"} for each in text):
        raise ValueFlaw("control-character", "Control characters are not allowed.")
    stripped = text.strip()
    if not stripped:
        raise ValueFlaw("empty", "A value is required, not only spaces." if text else "A value is required.")
    if len(stripped) > LONGEST_TEXT:
        raise ValueFlaw("length", f"At most {LONGEST_TEXT} characters are allowed.")
    return stripped


def customer_slug(text: str) -> str:
    """A slug as it is; raises ValueFlaw."""
    if len(text) > LONGEST_TEXT:
        raise ValueFlaw("length", f"At most {LONGEST_TEXT} characters are allowed.")
    if not _SLUG.fullmatch(text):
        raise _malformed(text, "Lower-case letters and digits in words joined by single hyphens are expected.")
    return text


def _malformed(text: str, detail: str) -> ValueFlaw:
    return ValueFlaw("format", detail) if text else ValueFlaw("empty", "A value is required.")


CHECKS: dict[str, Callable[[str], str | int | bytes]] = {
    "origin_country_id": country,
    "destination_country_id": country,
    "weight": grams,
    "created_at": created_at,
    "customer_id": customer_id,
    "customer_name": customer_name,
    "customer_slug": customer_slug,
}
"""Each parameter's check: from its text to what an Order holds, in the order of Order's fields; raises ValueFlaw."""
