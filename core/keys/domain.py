"""What an API key is: its text, its hash, and what whoever presents it may do."""

import re
import secrets
import uuid
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

LARGEST_ID = (1 << 53) - 1
"""An id is the principal of events, so JSON must hold it exactly (RFC 8785)."""

_TEXT = re.compile("tna_([1-9][0-9]{0,15})_[0-9a-f]{32}(?:_([0-9a-f]{32}))?", re.ASCII)
_SCHEME = "bearer"


class Scope(StrEnum):
    """What a key may be used for."""

    ISSUE = "issue"
    AUDIT = "audit"
    REPORTS = "reports"
    OPERATE = "operate"


class Caller(NamedTuple):
    """Whoever presented a key that is good.

    Attributes:
        id: of the key; the ``principal`` of the events that it issues.
        scopes: what it may be used for.
        customer_id: the 16 bytes of the one customer's id that it is bound to; None: not bound.
    """

    id: int
    scopes: frozenset[Scope]
    customer_id: bytes | None


class Named(NamedTuple):
    """What a key's text says by itself; only its hash tells whether that is so."""

    id: int
    customer_id: bytes | None


def make(customer_id: bytes | None) -> tuple[int, str]:
    """The id and the text of a new key: ``tna_<id>_<128 random bits>``, and the customer's id if it is bound to one.

    The id is random, so that a database put back from a backup never gives one again that events name already. The
    customer's id stands in the key, which its holder keeps, so that the service needs not keep it.
    """
    identity = secrets.randbelow(LARGEST_ID) + 1
    text = f"tna_{identity}_{secrets.token_hex(16)}"
    return identity, text if customer_id is None else f"{text}_{customer_id.hex()}"


def read(text: str) -> Named | None:
    """What a key's text says; None if this is not the text of a key."""
    match = _TEXT.fullmatch(text)
    if match is None or int(match[1]) > LARGEST_ID:
        return None
    return Named(int(match[1]), None if match[2] is None else uuid.UUID(match[2]).bytes)


def digest(text: str) -> bytes:
    """What is stored of a key: its SHA-256, 32 bytes. A slow hash would gain nothing, since nobody guesses 128 bits."""
    return sha256(text.encode()).digest()


def bearer(authorization: str) -> str | None:
    """The key of an Authorization header (RFC 6750, section 2.1); None where the scheme is another one.

    The scheme alone is a wrong key: a server cuts the space after it, and whoever meant to send a key must not be
    served as nobody.
    """
    scheme, _, key = authorization.partition(" ")
    return key.strip(" ") if scheme.lower() == _SCHEME else None
