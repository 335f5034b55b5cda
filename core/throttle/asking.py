"""What is asked of whoever keeps the callers' levels, and what they are kept under; nothing here imports Redis."""

from hashlib import blake2b, sha256
from typing import NamedTuple


class AwayError(Exception):
    """Nobody keeps them at present; the message is why."""


class Ask(NamedTuple):
    """What is asked of one caller's tokens; see ``domain.granted``. A negative ``wanted`` gives some back."""

    key: bytes
    quota: int
    need: int
    wanted: int


class Given(NamedTuple):
    """How many tokens were given, and the level after that."""

    tokens: int
    level: int


class Keys:
    """Where callers' levels are kept."""

    def __init__(self, secret: str) -> None:
        """``secret`` is SECRET_KEY, which all processes share."""
        self._secret = sha256(secret.encode()).digest()

    def of(self, caller: str) -> bytes:
        """The key of a caller."""
        name = blake2b(caller.encode(), digest_size=16, key=self._secret, person=b"throttle").hexdigest()
        return f"throttle:{name}".encode()
