"""The keys that the tests' services run with: no secrets, but as random as production asks for."""

from hashlib import sha256
from typing import Final


def key(name: str) -> str:
    """64 hex digits, always the same for a name."""
    return sha256(name.encode()).hexdigest()


NUMBER_KEY: Final = key("NUMBER_KEY")
TAG_KEY: Final = key("CUSTOMER_TAG_KEYS 1")
NEXT_TAG_KEY: Final = key("CUSTOMER_TAG_KEYS 2")
OLD: Final = f"1:{TAG_KEY}"
NEW: Final = f"2:{NEXT_TAG_KEY}"
"""CUSTOMER_TAG_KEYS before and after a rotation."""
