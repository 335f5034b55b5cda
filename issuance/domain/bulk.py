"""The orders of a bulk call: a JSON array, taken apart first and then read order by order, so that others get a turn.

Numbers are never floats in between: 1.234 and "1.234" are the same weight, and 1e0 is none.
"""

import json
from collections import Counter
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from issuance.domain import parameters
from issuance.domain.order import (
    MOST_PARAMETERS,
    NAMES,
    Flaw,
    InvalidOrderError,
    Order,
    missing,
    repeated,
    too_many,
    unknown,
)
from issuance.domain.parameters import CHECKS
from ledger.domain import values
from ledger.domain.values import ValueFlaw

MOST = 10_000
"""Orders of one call."""
LONGEST_BODY = 16 * 1024 * 1024
"""Bytes. An order whose texts are as long as they may be has 1.3 KB in UTF-8, so the most orders fit, indented too."""
LONGEST_ORDER = 16 * 1024
"""Bytes: room for the same with every character escaped."""

_REMEMBERED = 16_384
# What recurs from order to order costs a look-up instead of the check.
_country = lru_cache(_REMEMBERED)(values.country)
_customer_id = lru_cache(_REMEMBERED)(values.uuid)
_customer_name = lru_cache(_REMEMBERED)(parameters.customer_name)
_customer_slug = lru_cache(_REMEMBERED)(parameters.customer_slug)

_BACKSLASH = ord("\\")


class MalformedBodyError(ValueError):
    """This is not an array of orders.

    Attributes:
        code: for programs: json, type, empty, too-many.
        detail: for people; never repeats what was sent.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class _Number(str):
    """A number as it is written; another class than str, by which a text is told from it."""

    __slots__ = ()


class _Members(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An order as most are; whatever is not is looked at once more, to say all that is wrong with it."""

    origin_country_id: str
    destination_country_id: str
    weight: Any
    created_at: str
    customer_id: str
    customer_name: str
    customer_slug: str


# msgspec reads no element beyond the fields of a struct that is written as an array. A list of any length, whose
# length is looked at afterwards, takes 1.3 s and 560 MB for eight million zeros.
_Array = msgspec.defstruct(
    "_Array", [(f"order_{place}", Raw, None) for place in range(MOST)], array_like=True, forbid_unknown_fields=True
)
_take_apart = msgspec.json.Decoder(_Array).decode
_members = msgspec.json.Decoder(_Members, float_hook=_Number).decode
_anything = msgspec.json.Decoder(float_hook=_Number).decode


def elements(body: bytes) -> list[Raw]:
    """The elements of the array, each still to be read.

    Raises:
        MalformedBodyError: there is no array of 1 to MOST elements.
    """
    try:
        found = msgspec.structs.astuple(_take_apart(body))
    except msgspec.ValidationError as error:
        if "length" in str(error):
            raise MalformedBodyError("too-many", f"At most {MOST:,} orders are allowed.") from None
        raise MalformedBodyError("type", "The body must be a JSON array of orders.") from None
    except msgspec.DecodeError as error:
        raise MalformedBodyError("json", f"{error}.") from None  # it says what, and at which byte
    except RecursionError:
        raise MalformedBodyError("json", "The body is nested too deeply.") from None
    orders = [element for element in found if element is not None]
    if not orders:
        raise MalformedBodyError("empty", "At least one order is expected.")
    return orders


def read(element: Raw) -> Order:
    """Read one order.

    Raises:
        InvalidOrderError: with every flaw of it; a flaw of the order as a whole names no parameter.
    """
    raw = bytes(element)
    if len(raw) > LONGEST_ORDER:
        raise InvalidOrderError([Flaw("", "length", f"An order has at most {LONGEST_ORDER:,} bytes.")])
    try:
        given = _members(raw)
        order = _order(given)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueFlaw):
        raise InvalidOrderError(_flaws(raw)) from None
    # A name given again is what msgspec keeps to itself; there are more quotes then than there should be.
    quotes = 4 * len(NAMES) - (0 if type(given.weight) is str else 2)
    if (raw.count(b'"') != quotes or _BACKSLASH in raw) and _given_again(raw):
        raise InvalidOrderError(_flaws(raw))
    return order


def _order(given: _Members) -> Order:
    return Order(
        _country(given.origin_country_id),
        _country(given.destination_country_id),
        parameters.grams(given.weight if type(given.weight) is str else _written("weight", given.weight)),
        parameters.created_at(given.created_at),
        _customer_id(given.customer_id),
        _customer_name(given.customer_name),
        _customer_slug(given.customer_slug),
    )


def _written(name: str, value: object) -> str:
    """The text of a value that may not be one: a weight may be a number, too."""
    if type(value) is str:
        return value
    if name != "weight":
        raise ValueFlaw("type", "A text is expected, in quotes.")
    if type(value) is _Number or type(value) is int:
        return str(value)
    raise ValueFlaw("type", "Kilograms are expected, as a number or as a text.")


def _flaws(raw: bytes) -> list[Flaw]:
    """All that is wrong with an order, or just what keeps it from being read at all."""
    try:
        given = _anything(raw)
    except UnicodeDecodeError:
        return [Flaw("", "encoding", "This is not valid UTF-8.")]
    except msgspec.DecodeError:  # all else was seen when the array was taken apart
        return [Flaw("", "range", "A number in this order has too many digits.")]
    if type(given) is not dict:
        return [Flaw("", "type", "An order must be a JSON object.")]
    if len(given) > MOST_PARAMETERS:
        return [too_many(len(given))]
    flaws = []
    for name, value in given.items():
        try:
            if check := CHECKS.get(name):
                check(_written(name, value))
            else:
                flaws.append(unknown(name))
        except ValueFlaw as flaw:
            flaws.append(Flaw(name, flaw.code, flaw.detail))
    flaws += [repeated(name) for name in _given_again(raw)]
    return flaws + [missing(name) for name in NAMES if name not in given]


def _given_again(raw: bytes) -> list[str]:
    """Which of the seven names an object gives more than once."""
    given = Counter(name for name, _ in json.loads(raw, object_pairs_hook=list))
    return [name for name in NAMES if given[name] > 1]
