"""The query of a read, taken apart strictly: each parameter once, none that there isn't, every flaw at once."""

from collections.abc import Collection
from typing import Final, NamedTuple

from core.problems import Detail
from ledger.domain import values
from ledger.domain.values import ValueFlaw

_MOST: Final = 32
_LONGEST_NAME: Final = 64


class Given(NamedTuple):
    """What a query says.

    Attributes:
        texts: what could be read, by the parameter's name.
        flaws: what is wrong so far.
    """

    texts: dict[str, str]
    flaws: list[Detail]


def read(query: bytes, names: Collection[str]) -> Given:
    """Take a raw query string apart; ``names`` are those of the parameters that there are."""
    pairs = _pairs(query)
    if len(pairs) > _MOST:
        detail = f"There are {len(pairs)} parameters; these are expected: {', '.join(names)}."
        return Given({}, [Detail("", "too-many", detail)])
    given = Given({}, [])
    seen = set[str]()
    for name, pair in pairs:
        if name not in names:
            detail = f"There is no such parameter; these are: {', '.join(names)}."
            given.flaws.append(Detail(name[:_LONGEST_NAME], "unknown", detail))
        elif name in seen:
            given.flaws.append(Detail(name, "repeated", "This parameter is given more than once."))
        else:
            seen.add(name)
            try:
                given.texts[name] = values.decoded(pair.partition(b"=")[2])
            except ValueFlaw as flaw:
                given.flaws.append(Detail(name, flaw.code, flaw.detail))
    return given


def without(query: bytes, name: str) -> bytes:
    """A query string as it was given, but for one parameter."""
    return b"&".join(pair for found, pair in _pairs(query) if found != name)


def _pairs(query: bytes) -> list[tuple[str, bytes]]:
    """Each pair behind its name; a name that can't be read is empty."""
    return [(_name(pair.partition(b"=")[0]), pair) for pair in query.split(b"&")] if query else []


def _name(raw: bytes) -> str:
    try:
        return values.decoded(raw)
    except ValueFlaw:
        return ""
