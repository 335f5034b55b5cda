"""Which CUSTOMER_TAG_KEYS a ledger accepts, by what it knows of each key: any two that may serve at once agree.

A key is *introduced* when the first process knows it, *used* when the first one tags with it, *retired* when settings
may lack it, *destroyed* when none may have it. Between two facts every process gets its new setting, so each setting
has to be good beside the one before it:

=============  =====================  =============================
fact           a setting without it   a setting that tags with it
=============  =====================  =============================
introduced     is good                is good, and makes it *used*
used           is refused             is good
retired        is good                is refused
destroyed      is good                is refused, as any that has it
=============  =====================  =============================
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from ledger.domain.tag import KeyRing

LARGEST_ID: Final = 9999


class Fact(StrEnum):
    """What happened to a key, in this order; each at most once."""

    INTRODUCED = "introduced"
    USED = "used"
    RETIRED = "retired"
    DESTROYED = "destroyed"


class Known(NamedTuple):
    """One fact about a key; the fingerprint is KeyRing's."""

    key_id: int
    fact: Fact
    fingerprint: bytes


class CustomerKeyError(Exception):
    """The keys don't fit the ledger; the message says what to do and holds no key."""


class Record:
    """All facts that a ledger holds."""

    def __init__(self, known: Iterable[Known]) -> None:
        self.facts: dict[int, set[Fact]] = {}
        self.fingerprints: dict[int, bytes] = {}
        for each in known:
            self.facts.setdefault(each.key_id, set()).add(each.fact)
            self.fingerprints[each.key_id] = each.fingerprint

    def has(self, key_id: int, fact: Fact) -> bool:
        """Whether something happened to a key."""
        return fact in self.facts.get(key_id, ())

    @property
    def needed(self) -> list[int]:
        """The keys that every setting must have: events and Idempotency-Keys are found by them."""
        ended = {Fact.RETIRED, Fact.DESTROYED}
        return sorted(key_id for key_id, facts in self.facts.items() if Fact.USED in facts and not facts & ended)

    def next_id(self, ring: KeyRing) -> int:
        """The id of a new key, which none has ever had; raises CustomerKeyError where there is none left."""
        highest = max([*ring.fingerprints, *self.facts])
        if highest >= LARGEST_ID:
            raise CustomerKeyError(f"Customer key {LARGEST_ID} is the last that there can be.")
        return highest + 1


def check(ring: KeyRing, record: Record, *, tags: bool = True) -> list[Known]:
    """Compare the keys of a process with the ledger's record; returns the facts that are new.

    Args:
        ring: the keys of the process.
        record: what the ledger knows.
        tags: whether the process tags events, or only reads.

    Raises:
        CustomerKeyError: it must not serve with them.
    """
    given = ring.fingerprints
    destroyed = {record.fingerprints[key_id]: key_id for key_id in record.facts if record.has(key_id, Fact.DESTROYED)}
    for key_id, fingerprint in given.items():
        if record.fingerprints.get(key_id, fingerprint) != fingerprint:
            raise CustomerKeyError(
                f"CUSTOMER_TAG_KEYS: key {key_id} has the fingerprint {shown(fingerprint)}, but the ledger knows it by "
                f"{shown(record.fingerprints[key_id])}: this is another secret, which would split the customers' "
                "history. Put the right one back. A new secret gets a new id: `manage.py rotate_customer_key`."
            )
        if fingerprint in destroyed:
            then = "" if destroyed[fingerprint] == key_id else f" as key {destroyed[fingerprint]}"
            raise CustomerKeyError(
                f"CUSTOMER_TAG_KEYS: key {key_id} was destroyed{then}, and may not come back. Take it out, and destroy "
                "the copy that it came from."
            )
    if missing := [str(key_id) for key_id in record.needed if key_id not in given]:
        raise CustomerKeyError(
            f"CUSTOMER_TAG_KEYS lacks key {', '.join(missing)}, with which events were tagged: customers would miss "
            "their numbers, and a repeated Idempotency-Key would issue again. Put it back from a copy. If it is gone, "
            "`manage.py destroy_customer_key` says so for good."
        )
    if tags:
        _check_current(ring.current, record)
    new = [Known(key_id, Fact.INTRODUCED, given[key_id]) for key_id in given if key_id not in record.facts]
    # A ledger of before this record was kept: what stands before the current key by number was used before it.
    used = [ring.current] if record.facts else [key_id for key_id in given if key_id <= ring.current]
    return new + [Known(key_id, Fact.USED, given[key_id]) for key_id in used if not record.has(key_id, Fact.USED)]


def _check_current(current: int, record: Record) -> None:
    if record.has(current, Fact.RETIRED):
        raise CustomerKeyError(
            f"CUSTOMER_TAG_KEYS ends with key {current}, which is retired: it may tag nothing more. Put the key that "
            "is in use last."
        )
    if current not in record.facts and record.needed:
        raise CustomerKeyError(
            f"CUSTOMER_TAG_KEYS ends with key {current}, which no process knows yet: those that run would miss what is "
            "tagged with it. Put it first, restart every instance, and then put it last (docs/operations.md, Customer "
            "keys)."
        )


def shown(fingerprint: bytes) -> str:
    """A fingerprint as people see and type it: 16 hex digits."""
    return fingerprint[:8].hex()
