"""Looking a key up tells nobody how much of it is right: whole hashes are compared, by a comparison that takes constant
time, and for ids that nobody has as for those that somebody has."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

import pytest

from core.keys import domain, store
from core.keys.domain import Scope
from core.keys.store import InvalidKeyError
from tests.plugin import Database


def other_secret(key: str) -> str:
    """A key with the same id, of which all but the last digit is right."""
    return key[:-1] + ("0" if key[-1] != "0" else "1")


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """What was compared in constant time."""
    seen: list[tuple[bytes, bytes]] = []

    def recording(one: bytes, other: bytes) -> bool:
        seen.append((one, other))
        return compare_digest(one, other)

    monkeypatch.setattr(store, "compare_digest", recording)
    return seen


@pytest.mark.django_db
def test_every_key_is_compared_once_by_its_whole_hash_whoevers_its_id_is(
    database: Database, compared: list[tuple[bytes, bytes]]
) -> None:
    assert database
    good = store.create("a test's", [Scope.AUDIT])
    revoked = store.create("a test's", [Scope.AUDIT])
    named = domain.read(revoked)
    assert named is not None
    assert store.revoke(named.id)
    expired = store.create("a test's", [Scope.AUDIT], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    nobodys = domain.make(None)[1]
    assert store.find(good)[0].scopes == {Scope.AUDIT}
    wrong = (nobodys, other_secret(good), revoked, other_secret(revoked), expired)
    for text in wrong:
        with pytest.raises(InvalidKeyError):
            store.find(text)
    assert [presented for _, presented in compared] == [sha256(text.encode()).digest() for text in (good, *wrong)]
    assert {len(kept) for kept, _ in compared} == {32}


@pytest.mark.django_db
def test_no_key_has_the_hash_that_stands_for_nobody(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert database
    monkeypatch.setattr(domain, "digest", lambda _: bytes(32))
    with pytest.raises(InvalidKeyError):
        store.find(domain.make(None)[1])
