"""API keys in the database: made, found, revoked."""

from collections.abc import Collection
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Final

from django.db import close_old_connections
from django.db.models import Q

from core.keys import domain
from core.keys.domain import Caller, Scope
from core.keys.models import ApiKey

_NOBODYS: Final = bytes(32)
"""The digest that a key is compared with where its id is nobody's."""


class InvalidKeyError(Exception):
    """Nobody has such a key, or not any more: unknown, revoked or expired, and the caller is not told which."""


def create(
    name: str, scopes: Collection[Scope], *, customer_id: bytes | None = None, expires_at: datetime | None = None
) -> str:
    """Make a key and return its text, which is nowhere else.

    Args:
        name: what the operator calls it, 1 to 100 characters; not secret.
        scopes: what it is good for, one at least.
        customer_id: binds it to one customer; 16 bytes.
        expires_at: ends it by itself.

    Raises:
        django.db.DatabaseError: it could not be kept.
    """
    identity, text = domain.make(customer_id)
    ApiKey.objects.create(
        id=identity,
        name=name,
        scopes=sorted(scopes),
        bound=customer_id is not None,
        expires_at=expires_at,
        digest=domain.digest(text),
    )
    return text


def find(text: str) -> tuple[Caller, datetime | None]:
    """Who has a key, and when it expires; notes its use, to the minute.

    Raises:
        InvalidKeyError: it is not good.
        django.db.DatabaseError: that can't be told at present.
    """
    named = domain.read(text)
    if named is None:
        raise InvalidKeyError
    key = ApiKey.objects.filter(id=named.id, revoked_at=None).first()
    now = datetime.now(UTC)
    # Both digests are of 32 bytes, and comparing them takes the same time wherever they differ; it is done for an id
    # that is unknown or revoked as well. That there is such an id is no secret: events name it. What a key is good for
    # are its 128 random bits, and of those nothing can be learnt bit by bit, as only their hash is compared.
    same = compare_digest(_NOBODYS if key is None else bytes(key.digest), domain.digest(text))
    if key is None or not same:
        raise InvalidKeyError
    if key.expires_at is not None and key.expires_at <= now:
        raise InvalidKeyError
    minute = now.replace(second=0, microsecond=0)
    if key.last_used_at is None or key.last_used_at < minute:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=minute)
        ApiKey.objects.filter(unnoted, id=key.id).update(last_used_at=minute)
    return Caller(key.id, frozenset(map(Scope, key.scopes)), named.customer_id), key.expires_at


def find_from_thread(text: str) -> tuple[Caller, datetime | None]:
    """The same on a thread that serves no Django request, and so must look after its connection itself."""
    close_old_connections()
    try:
        return find(text)
    finally:
        close_old_connections()


def revoke(identity: int) -> bool:
    """End a key for good; whether there was one to end. Processes notice within seconds (core.keys.callers)."""
    return bool(ApiKey.objects.filter(id=identity, revoked_at=None).update(revoked_at=datetime.now(UTC)))
