"""The order of a number: seven parameters, checked, in the form that the rest of the service uses."""

from functools import lru_cache
from typing import NamedTuple

from issuance.domain.parameters import LONGEST_TEXT, READERS, ValueFlaw, decoded
from ledger.domain import weight

NAMES = tuple(READERS)
_LONGEST_VALUE = LONGEST_TEXT * 4 * 3 + 64  # four UTF-8 bytes a character, each percent-encoded, and some room to trim
_MOST_PARAMETERS = 32

_READERS = {name.encode(): (place, reader) for place, (name, reader) in enumerate(READERS.items())}
_OWN_TO_EACH_ORDER = (b"weight=", b"created_at=")
"""Pairs that hardly ever recur; the others are remembered, and cost a look-up instead of the reading."""
_REMEMBERED = 16_384  # pairs of at most 3 KB


class Flaw(NamedTuple):
    """One thing that is wrong with a request.

    Attributes:
        parameter: its name, as given.
        code: for programs: missing, repeated, unknown, too-many, or one of ValueFlaw's.
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


class _PairFlaw(Exception):  # noqa: N818  # a flaw of the caller's
    def __init__(self, place: int | None, flaw: Flaw) -> None:
        super().__init__(flaw)
        self.place = place
        self.flaw = flaw


def parse(query: bytes) -> Order:
    """Read an order from a raw query string (application/x-www-form-urlencoded).

    Raises:
        InvalidOrderError: with every flaw of the query.
    """
    values: list[object] = [None] * len(NAMES)
    flaws: list[Flaw] = []
    pairs = query.split(b"&") if query else []
    if len(pairs) > _MOST_PARAMETERS:
        raise InvalidOrderError(
            [Flaw("", "too-many", f"There are {len(pairs)} parameters; {len(NAMES)} are expected.")]
        )
    for pair in pairs:
        place: int | None
        try:
            place, value = _read(pair) if pair.startswith(_OWN_TO_EACH_ORDER) else _recall(pair)
        except _PairFlaw as error:
            place, value, flaw = error.place, error, error.flaw
            if place is None or values[place] is None:
                flaws.append(flaw)
        if place is None:
            continue
        if values[place] is not None:
            flaws.append(Flaw(NAMES[place], "repeated", "This parameter is given more than once."))
        values[place] = value
    if flaws or len(pairs) != len(NAMES):
        missing = (name for name, value in zip(NAMES, values, strict=True) if value is None)
        raise InvalidOrderError([*flaws, *(Flaw(name, "missing", "This parameter is required.") for name in missing)])
    return Order(*values)  # type: ignore[arg-type]  # each reader returns what its place holds


def _read(pair: bytes) -> tuple[int, object]:
    """The place and the value of one ``name=value``."""
    name, _, raw = pair.partition(b"=")
    found = _READERS.get(name) or _READERS.get(_name(name).encode())
    if found is None:
        detail = f"There is no such parameter; these are: {', '.join(NAMES)}."
        raise _PairFlaw(None, Flaw(_name(name)[:64], "unknown", detail))
    place, reader = found
    if len(raw) > _LONGEST_VALUE:
        raise _PairFlaw(place, Flaw(NAMES[place], "length", "This value is too long."))
    try:
        return place, reader(raw)
    except ValueFlaw as flaw:
        raise _PairFlaw(place, Flaw(NAMES[place], flaw.code, flaw.detail)) from None


_recall = lru_cache(_REMEMBERED)(_read)


def _name(raw: bytes) -> str:
    try:
        return decoded(raw)
    except ValueFlaw as flaw:
        detail = f"A parameter's name can't be read: {flaw.detail}"
        raise _PairFlaw(None, Flaw("", flaw.code, detail)) from None
