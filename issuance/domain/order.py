"""The order of a number: seven parameters, checked, in the form that the rest of the service uses."""

import re
import time
import unicodedata
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import pycountry

from issuance.domain import weight

COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries) | {"XK"}
"""Assigned ISO 3166-1 alpha-2 codes, and XK, which carriers use for Kosovo."""

LONGEST_TEXT = 200
HEAVIEST = 1_000_000
"""Grams."""
_LONGEST_RAW = LONGEST_TEXT * 4 * 3 + 64  # four UTF-8 bytes a character, each percent-encoded, and some room to trim
_MOST_PARAMETERS = 32
_KEPT = 8192

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_COUNTRY = re.compile("[A-Za-z]{2}")
_WEIGHT = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,3}))?")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[-+][0-9]{2}:[0-9]{2})"
)
_SPACE_FOR_PLUS = re.compile(r" (?=[0-9]{2}:[0-9]{2}$)")
_UUID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SLUG = re.compile("[a-z0-9]+(?:-[a-z0-9]+)*")


class Flaw(NamedTuple):
    """One thing that is wrong with a request.

    Attributes:
        parameter: its name, as given.
        code: for programs: missing, empty, repeated, unknown, too-many, encoding, format, range, length, country,
            control-character.
        detail: for people; never repeats the value.
    """

    parameter: str
    code: str
    detail: str


class InvalidOrderError(ValueError):
    """The query is not an order; ``flaws`` has everything that is wrong with it."""

    def __init__(self, flaws: list[Flaw]) -> None:
        super().__init__(f"{len(flaws)} flaws")
        self.flaws = flaws


class Order(NamedTuple):
    """What a number is asked for.

    Attributes:
        origin, destination: ISO 3166-1 alpha-2, upper case.
        grams: 1 to 1,000,000.
        weight_band: 0 to 10.
        created_at: when the order was made, microseconds of the Unix epoch.
        customer_id: 16 bytes; name and slug are checked, and kept only long enough to fingerprint the request.
    """

    origin: str
    destination: str
    grams: int
    created_at: int
    customer_id: bytes
    customer_name: str
    customer_slug: str

    @property
    def weight_band(self) -> int:
        """The code that is stored."""
        return weight.band(self.grams)

    def canonical(self) -> tuple[bytes, ...]:
        """All seven parameters, each in one form, for the fingerprint of an Idempotency-Key."""
        return (
            self.origin.encode(),
            self.destination.encode(),
            b"%d" % self.grams,
            b"%d" % self.created_at,
            self.customer_id,
            self.customer_name.encode(),
            self.customer_slug.encode(),
        )


class _FlawError(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def _decoded(raw: bytes) -> str:
    """Undo the percent-encoding of application/x-www-form-urlencoded, strictly."""
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        if _BAD_ESCAPE.search(raw):
            raise _FlawError("encoding", "A percent sign must be followed by two hex digits.")
        raw = unquote_to_bytes(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise _FlawError("encoding", "This is not valid UTF-8.") from None


def _text(raw: bytes) -> str:
    text = _decoded(raw)
    if not text:
        raise _FlawError("empty", "A value is required.")
    return text


def _country(raw: bytes) -> str:
    text = _text(raw)
    if not _COUNTRY.fullmatch(text):
        raise _FlawError("format", "Two letters of ISO 3166-1 alpha-2 are expected, such as MY.")
    if (code := text.upper()) not in COUNTRIES:
        raise _FlawError("country", "This is not an assigned ISO 3166-1 alpha-2 code, nor XK.")
    return code


def _grams(raw: bytes) -> int:
    match = _WEIGHT.fullmatch(_text(raw))
    if not match:
        raise _FlawError("format", "Kilograms are expected, up to three decimals, such as 1.234.")
    whole, fraction = match.groups("")
    grams = int(whole) * 1000 + int(fraction.ljust(3, "0"))
    if not 0 < grams <= HEAVIEST:
        raise _FlawError("range", "The weight must be more than 0 and at most 1000 kg.")
    return grams


def _created_at(raw: bytes) -> int:
    # A plus typed unescaped means a space in a query; in a time it can only be the plus that it was, so it stays one.
    # These two escapes are those that clients put into a time; the general way, five times as slow, takes the rest.
    plain = raw.replace(b"%3A", b":").replace(b"%2B", b"+")
    text = _text(raw) if b"%" in plain or not plain.isascii() else plain.decode()
    if not text:
        raise _FlawError("empty", "A value is required.")
    if " " in text:
        text = _SPACE_FOR_PLUS.sub("+", text)
    if not _TIME.fullmatch(text):
        raise _FlawError("format", "RFC 3339 with an offset is expected, such as 2018-11-20T19:29:32.5+08:00.")
    try:
        moment = datetime.fromisoformat(text.upper()) - _EPOCH
    except ValueError:
        raise _FlawError("format", "There is no such date, time or offset.") from None
    microseconds = (moment.days * 86_400 + moment.seconds) * 1_000_000 + moment.microseconds
    if not 0 <= microseconds <= time.time_ns() // 1000 + _DAY:
        raise _FlawError("range", "The time must lie between 1970 and a day from now.")
    return microseconds


def _customer_id(raw: bytes) -> bytes:
    text = _text(raw)
    if not _UUID.fullmatch(text):
        raise _FlawError("format", "A UUID is expected: hex digits as 8-4-4-4-12.")
    return uuid.UUID(text).bytes


def _customer_name(raw: bytes) -> str:
    text = _text(raw)
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text):
        raise _FlawError("control-character", "Control characters are not allowed.")
    text = text.strip()
    if not text:
        raise _FlawError("empty", "A value is required, not only spaces.")
    if len(text) > LONGEST_TEXT:
        raise _FlawError("length", f"At most {LONGEST_TEXT} characters are allowed.")
    return text


def _customer_slug(raw: bytes) -> str:
    text = _text(raw)
    if len(text) > LONGEST_TEXT:
        raise _FlawError("length", f"At most {LONGEST_TEXT} characters are allowed.")
    if not _SLUG.fullmatch(text):
        raise _FlawError("format", "Lower-case letters and digits in words joined by single hyphens are expected.")
    return text


class _Parameter[T](NamedTuple):
    """Where a parameter goes and how it is read; ``read`` remembers values that recur from request to request."""

    place: int
    read: Callable[[bytes], T]


_PARAMETERS: dict[bytes, _Parameter[object]] = {
    b"origin_country_id": _Parameter(0, lru_cache(1024)(_country)),
    b"destination_country_id": _Parameter(1, lru_cache(1024)(_country)),
    b"weight": _Parameter(2, _grams),
    b"created_at": _Parameter(3, _created_at),
    b"customer_id": _Parameter(4, lru_cache(_KEPT)(_customer_id)),
    b"customer_name": _Parameter(5, lru_cache(_KEPT)(_customer_name)),
    b"customer_slug": _Parameter(6, lru_cache(_KEPT)(_customer_slug)),
}
NAMES = tuple(name.decode() for name in _PARAMETERS)
_UNSET = object()


def parse(query: bytes) -> Order:
    """Read an order from a raw query string (application/x-www-form-urlencoded).

    Raises:
        InvalidOrderError: with every flaw of the query.
    """
    values: list[object] = [_UNSET] * len(NAMES)
    flaws: list[Flaw] = []
    pairs = query.split(b"&") if query else []
    if len(pairs) > _MOST_PARAMETERS:
        raise InvalidOrderError(
            [Flaw("", "too-many", f"There are {len(pairs)} parameters; {len(NAMES)} are expected.")]
        )
    for pair in pairs:
        name, _, raw = pair.partition(b"=")
        parameter = _PARAMETERS.get(name) or _named(name, flaws)
        if parameter is None:
            continue
        label = NAMES[parameter.place]
        if values[parameter.place] is not _UNSET:
            flaws.append(Flaw(label, "repeated", "This parameter is given more than once."))
            continue
        values[parameter.place] = None
        if len(raw) > _LONGEST_RAW:
            flaws.append(Flaw(label, "length", "This value is too long."))
            continue
        try:
            values[parameter.place] = parameter.read(raw)
        except _FlawError as flaw:
            flaws.append(Flaw(label, flaw.code, flaw.detail))
    if _UNSET in values:
        missing = (name for name, value in zip(NAMES, values, strict=True) if value is _UNSET)
        flaws.extend(Flaw(name, "missing", "This parameter is required.") for name in missing)
    if flaws:
        raise InvalidOrderError(flaws)
    return Order(*values)  # type: ignore[arg-type]  # each reader returns what its place holds


def _named(name: bytes, flaws: list[Flaw]) -> _Parameter[object] | None:
    """A parameter whose name is percent-encoded, or a flaw."""
    try:
        text = _decoded(name)
    except _FlawError as flaw:
        flaws.append(Flaw("", flaw.code, f"A parameter's name can't be read: {flaw.detail}"))
        return None
    parameter = _PARAMETERS.get(text.encode())
    if parameter is None:
        flaws.append(Flaw(text[:64], "unknown", f"There is no such parameter; these are: {', '.join(NAMES)}."))
    return parameter
