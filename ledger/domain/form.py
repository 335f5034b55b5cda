"""The form of a tracking number, as it is stored and as people write it; whether one was issued is another question."""

import re
from typing import Final

from ledger.domain.iso7064 import check_character

LENGTH: Final = 16
CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without I, L, O and U."""

_FORM = re.compile(f"[0-7][{CROCKFORD}]{{10}}[A-Z]{{4}}[0-9A-Z]", re.ASCII)
_LONGEST = 64
_BETWEEN = str.maketrans("", "", " -")


class NumberError(ValueError):
    """This text is no number of ours; the message says why."""


class MalformedNumberError(NumberError):
    """Not 16 characters of the right kind in the right places."""


class CheckCharacterError(NumberError):
    """The check character does not fit the 15 characters before it: most likely a slip of the pen."""

    def __init__(self, expected: str) -> None:
        super().__init__(f"The check character does not fit; these 15 characters end in {expected}. Compare the label.")
        self.expected = expected


def check(number: str) -> None:
    """Check a number in its one stored form: in capitals, without spaces or look-alikes.

    Raises:
        MalformedNumberError: not of the form.
        CheckCharacterError: the check character does not fit.
    """
    if not _FORM.fullmatch(number):
        raise MalformedNumberError(
            "A tracking number has 16 characters: 0 to 7, ten of 0-9 and A-Z without I, L, O and U, "
            "four letters, and one of 0-9 and A-Z."
        )
    expected = check_character(number[:-1])
    if number[-1] != expected:
        raise CheckCharacterError(expected)


def canonical(text: str) -> str:
    """The stored form of what somebody read off a label: small letters raised, spaces and hyphens left out.

    Anything else stays as it is, for ``check`` to refuse; text beyond ASCII too, since raising could change it.
    """
    if len(text) > _LONGEST or not text.isascii():
        return text
    return text.translate(_BETWEEN).upper()


def grouped(number: str) -> str:
    """The number in groups of four, as people read it."""
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))
