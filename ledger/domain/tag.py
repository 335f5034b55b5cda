"""Pseudonyms of customers: keyed hashes that nobody can compute from an id once the key is destroyed."""

import hmac
from collections.abc import Iterable
from typing import NamedTuple, Self

KEY_BYTES = 32


class Claim(NamedTuple):
    """What one live key makes of an Idempotency-Key: 32 bytes each."""

    tag: bytes
    fingerprint: bytes


class KeyRing:
    """The live customer keys by id; the last one given tags new events, all of them find old ones.

    A key that is only known yet stands before it; otherwise the order says nothing.
    """

    def __init__(self, keys: dict[int, bytes]) -> None:
        """Take the keys, the one in use last.

        Raises:
            ValueError: there is no key, or one does not have 32 bytes.
        """
        if not keys:
            raise ValueError("The ring of customer keys is empty; give at least one, as `1:<64 hex digits>`.")
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise ValueError(f"A customer key has {KEY_BYTES} bytes, written as 64 hex digits.")
        self._keys = dict(keys)
        self.current = next(reversed(keys))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``id:hex,id:hex``, the key in use last.

        Raises:
            ValueError: an id comes twice, or a part is not an id with a key; the message never shows a key.
        """
        keys: dict[int, bytes] = {}
        for part in text.split(","):
            number, _, digits = part.partition(":")
            try:
                key_id, key = int(number), bytes.fromhex(digits)
            except ValueError:
                raise ValueError("Customer keys are written `id:64 hex digits`, with commas between them.") from None
            if key_id in keys:
                raise ValueError(f"Customer key {key_id} is given twice; an id names one key for ever.")
            keys[key_id] = key
        return cls(keys)

    def __repr__(self) -> str:
        """Name the ids only: a ring may end up in a log."""
        return f"<KeyRing {', '.join(map(str, self._keys))}>"

    @property
    def setting(self) -> str:
        """The ring as CUSTOMER_TAG_KEYS: a secret."""
        return ",".join(f"{key_id}:{key.hex()}" for key_id, key in self._keys.items())

    @property
    def fingerprints(self) -> dict[int, bytes]:
        """For each id 32 bytes that tell its key from any other, and nothing of what the key makes of customers."""
        return {key_id: _mac(key, b"customer-key-fingerprint") for key_id, key in self._keys.items()}

    def knowing(self, key_id: int, key: bytes) -> Self:
        """The ring with one more key, which finds events and tags none yet."""
        return type(self)({key_id: key} | self._keys)

    def using(self, key_id: int) -> Self:
        """The ring with one of its keys in use."""
        return type(self)(self._without(key_id) | {key_id: self._keys[key_id]})

    def without(self, key_id: int) -> Self:
        """The ring without a key that is not in use."""
        return type(self)(self._without(key_id))

    def _without(self, key_id: int) -> dict[int, bytes]:
        return {other: key for other, key in self._keys.items() if other != key_id}

    def tag(self, customer_id: bytes) -> tuple[int, bytes]:
        """Return (key id, 32-byte tag) of a customer for a new event; ``customer_id`` is the UUID's 16 bytes."""
        return self.current, hmac.digest(self._keys[self.current], customer_id, "sha256")

    def tags(self, customer_id: bytes) -> list[tuple[int, bytes]]:
        """Return (key id, tag) of a customer under every live key to look events up."""
        return [(key_id, hmac.digest(key, customer_id, "sha256")) for key_id, key in self._keys.items()]

    def claims(
        self, principal: int | None, customer_id: bytes, idempotency_key: bytes, parameters: tuple[bytes, ...]
    ) -> list[Claim]:
        """Return the claim of an Idempotency-Key under every live key.

        The tag says whose key it is (caller, customer, key); the fingerprint says what was asked with it.
        """
        caller = _caller(principal)
        return [
            Claim(
                tag=_mac(key, b"idempotency-tag", caller, customer_id, idempotency_key),
                fingerprint=_mac(key, b"idempotency-fingerprint", *parameters),
            )
            for key in self._keys.values()
        ]

    def claims_of_call(self, principal: int | None, idempotency_key: bytes, orders: Iterable[bytes]) -> list[Claim]:
        """Return the claim of a bulk call's Idempotency-Key under every live key.

        ``orders`` are what ``framed`` made of each order's parameters. The tag has no customer, since a call may hold
        orders of many; so the same key may serve a call and, for each customer, one request besides.
        """
        caller, message = _caller(principal), b"".join(orders)
        return [
            Claim(
                tag=_mac(key, b"bulk-idempotency-tag", caller, idempotency_key),
                fingerprint=_mac(key, b"bulk-idempotency-fingerprint", message),
            )
            for key in self._keys.values()
        ]


def framed(parts: Iterable[bytes]) -> bytes:
    """Some parts, each after its length, so that no two lists read alike."""
    return b"".join([len(part).to_bytes(4, "big") + part for part in parts])


def _caller(principal: int | None) -> bytes:
    return b"" if principal is None else principal.to_bytes(8, "big")


def _mac(key: bytes, purpose: bytes, *parts: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a purpose and parts.

    The purpose alone is over 16 bytes with its length: nothing here is ever the message of a customer's tag.
    """
    return hmac.digest(key, framed((purpose, *parts)), "sha256")
