"""The check character of ISO/IEC 7064 MOD 37,36: finds every wrong character, and nearly every swap of two."""

from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
START: Final = 18
"""The state before the first character; doubled it is 36, which counts for nothing."""


def step(state: int, value: int) -> int:
    """The state after one more character; the state is the running sum modulo 36."""
    return ((state or 36) * 2 % 37 + value) % 36


def advance(state: int, text: str) -> int:
    """The state after some more characters."""
    for character in text:
        state = step(state, ALPHABET.index(character))
    return state


CLOSING: Final = tuple(ALPHABET[(1 - step(state, 0)) % 36] for state in range(36))
"""The check character by the state before it: it brings the sum to 1."""


def check_character(text: str) -> str:
    """The check character of ``text`` (0-9 and A-Z)."""
    return CLOSING[advance(START, text)]
