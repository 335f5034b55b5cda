"""What a number tells by itself, without asking whether it was issued."""

from functools import cache
from typing import NamedTuple

import pycountry

from issuance.domain.number import Numbering
from ledger.domain import form
from ledger.domain.form import CheckCharacterError, MalformedNumberError, NumberError
from ledger.domain.serial import shard_of

_ELSEWHERE = "This number is well-formed, but it was never one that this service could issue."
_NO_COUNTRY = "This number is well-formed, but a country that it names is not an assigned one."


class Country(NamedTuple):
    """One end of a route."""

    code: str
    name: str


class CheckCharacter(NamedTuple):
    """The last character as it is, and as the 15 before it want it."""

    given: str
    expected: str

    @property
    def correct(self) -> bool:
        """Whether they are the same."""
        return self.given == self.expected


class Validation(NamedTuple):
    """What was found; of a text that is not of the form, no more than the reason.

    Attributes:
        number: what was asked for, in its stored form if it is a number.
        check_character: None of what is not of the form.
        origin, destination: None for a code that no country has.
        reason: a sentence for people why this service can't have issued it; None if it can. Whether it did, the ledger
            knows.
    """

    number: str
    check_character: CheckCharacter | None
    origin: Country | None
    destination: Country | None
    reason: str | None

    @property
    def well_formed(self) -> bool:
        """Whether it has 16 characters, each of the kind for its place."""
        return self.check_character is not None

    @property
    def possible(self) -> bool:
        """Whether this service could have issued it."""
        return self.reason is None


def validate(text: str, numbering: Numbering, shard: int | None) -> Validation:
    """Look at what somebody read off a label, or made up.

    Args:
        text: anything.
        numbering: under the service's NUMBER_KEY.
        shard: whose serials the service issues; None: it reads those of all.
    """
    number = form.canonical(text)
    expected, reason = number[-1:], None
    try:
        form.check(number)
    except MalformedNumberError as error:
        return Validation(number, None, None, None, str(error))
    except CheckCharacterError as error:
        expected, reason = error.expected, str(error)
    origin, destination = country(number[11:13]), country(number[13:15])
    if reason is None:
        reason = _impossible(number, numbering, shard)
    if reason is None and None in (origin, destination):
        reason = _NO_COUNTRY
    return Validation(number, CheckCharacter(number[-1], expected), origin, destination, reason)


@cache
def country(code: str) -> Country | None:
    """The country of a code, by the name that people use; None for a code that none has."""
    if code == "XK":  # not ISO's, so pycountry does not have it
        return Country(code, "Kosovo")
    found = pycountry.countries.get(alpha_2=code)
    return None if found is None else Country(code, getattr(found, "common_name", found.name))


def _impossible(number: str, numbering: Numbering, shard: int | None) -> str | None:
    """Why this service can't have issued a number; the same sentence for all reasons, which would tell of serials."""
    try:
        serial = numbering.decode(number).serial
    except NumberError:
        return _ELSEWHERE
    return None if shard in {None, shard_of(serial)} else _ELSEWHERE
