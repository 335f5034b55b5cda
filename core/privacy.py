"""What each stored column is to data protection; docs/privacy.md says it in words.

Every column of every table stands here, and a test compares them with the migrated database: whoever adds one says what
it is. None is personal: names, slugs and ids of customers, weights and queries are never stored.
"""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a column is, by itself (GDPR, article 4).

    Attributes:
        PERSONAL: tells who somebody is. No column may be that.
        PSEUDONYMOUS: belongs to one customer or parcel, and tells whose it is only together with what is kept
            elsewhere: a customer key, the customer's own books, the label.
        NOT_PERSONAL: tells nothing about anybody.
    """

    PERSONAL = "personal"
    PSEUDONYMOUS = "pseudonymous"
    NOT_PERSONAL = "not personal"


_PSEUDONYMOUS, _NOT_PERSONAL = Kind.PSEUDONYMOUS, Kind.NOT_PERSONAL

COLUMNS: Final[dict[str, dict[str, Kind]]] = {
    "issuance_event": {
        "serial": _PSEUDONYMOUS,  # the number, decoded
        "order_created_at": _PSEUDONYMOUS,  # to the microsecond: the customer's books may have it once
        "requested_at": _PSEUDONYMOUS,  # likewise
        "principal": _PSEUDONYMOUS,  # the key that asked, and a key may be bound to a customer
        "customer_key_id": _NOT_PERSONAL,
        "weight_band": _NOT_PERSONAL,  # eleven bands: no parcel is known by one
        "request_id": _PSEUDONYMOUS,  # may be the caller's own
        "customer_tag": _PSEUDONYMOUS,  # keyed hash of the customer's id
        "number": _PSEUDONYMOUS,  # stands on a label beside a name
        "origin": _NOT_PERSONAL,
        "destination": _NOT_PERSONAL,
    },
    "idempotency_claim": {
        "tag": _PSEUDONYMOUS,  # keyed hash of caller, customer's id and Idempotency-Key
        "fingerprint": _PSEUDONYMOUS,  # keyed hash of all that was ordered, name and slug too
        "number": _PSEUDONYMOUS,
    },
    "api_key": {
        "id": _PSEUDONYMOUS,
        "created_at": _NOT_PERSONAL,
        "expires_at": _NOT_PERSONAL,
        "revoked_at": _NOT_PERSONAL,
        "last_used_at": _NOT_PERSONAL,  # to the minute, and only the last one
        "bound": _NOT_PERSONAL,  # whether to a customer, not to which: that stands in the key, which is not kept
        "digest": _PSEUDONYMOUS,  # hash of the key, which has 128 random bits
        "name": _NOT_PERSONAL,  # a system's, as create_api_key asks for
        "scopes": _NOT_PERSONAL,
    },
    "staff_user": {
        "id": _PSEUDONYMOUS,
        "created_at": _NOT_PERSONAL,
        "epoch": _NOT_PERSONAL,
        "one_time": _NOT_PERSONAL,
        "active": _NOT_PERSONAL,
        "name": _PSEUDONYMOUS,  # a login's; the operator knows whose it is, and calls it what he likes
        "password": _PSEUDONYMOUS,  # a slow, salted hash
    },
    "staff_try": {
        "bucket": _NOT_PERSONAL,  # sixteen bits of a keyed hash of what was typed as a name: many share them
        "tries": _NOT_PERSONAL,
        "tried_at": _NOT_PERSONAL,
    },
    "customer_key": {
        "recorded_at": _NOT_PERSONAL,
        "key_id": _NOT_PERSONAL,
        "fact": _NOT_PERSONAL,
        "fingerprint": _NOT_PERSONAL,  # keyed hash of a constant: tells keys apart, and no customers
    },
    "number_block": {
        "id": _NOT_PERSONAL,
        "writer": _NOT_PERSONAL,  # a process of ours
        "leased_at": _NOT_PERSONAL,
    },
    "allocator": {
        "id": _NOT_PERSONAL,
        "key_fingerprint": _NOT_PERSONAL,
        "created_at": _NOT_PERSONAL,
        "shard": _NOT_PERSONAL,
        "singleton": _NOT_PERSONAL,
    },
    # The log: sizes, places, signatures, and hashes of entries that hold a keyed hash each and so can't be guessed.
    "tree_state": {
        "size": _NOT_PERSONAL,
        "published_size": _NOT_PERSONAL,
        "closed_below": _NOT_PERSONAL,
        "singleton": _NOT_PERSONAL,
        "root": _NOT_PERSONAL,
        "published_root": _NOT_PERSONAL,
        "published_signature": _NOT_PERSONAL,
        "edge": _NOT_PERSONAL,
        "log_begin": _NOT_PERSONAL,
    },
    "recovery": {
        "id": _NOT_PERSONAL,
        "recorded_at": _NOT_PERSONAL,
        "leaves_before": _NOT_PERSONAL,
        "leaves": _NOT_PERSONAL,
        "events": _NOT_PERSONAL,
        "blocks": _NOT_PERSONAL,
        "lost": _NOT_PERSONAL,  # serials without an event
        "kind": _NOT_PERSONAL,
        "verifier_key": _NOT_PERSONAL,
        "note": _NOT_PERSONAL,
        "reason": _NOT_PERSONAL,  # the operator's words, and told by verify_ledger
    },
    "block_cursor": {
        "block": _NOT_PERSONAL,
        "last_serial": _NOT_PERSONAL,
        "closed": _NOT_PERSONAL,
    },
    "run": {
        "first_leaf": _NOT_PERSONAL,
        "first_serial": _NOT_PERSONAL,
        "last_serial": _NOT_PERSONAL,
        "leaves": _NOT_PERSONAL,
    },
    "tile": {
        "position": _NOT_PERSONAL,
        "level": _NOT_PERSONAL,
        "hashes": _NOT_PERSONAL,
    },
    "checkpoint": {
        "size": _NOT_PERSONAL,
        "signature": _NOT_PERSONAL,
    },
    "cosignature": {
        "size": _NOT_PERSONAL,
        "cosigned_at": _NOT_PERSONAL,
        "root": _NOT_PERSONAL,
        "signature": _NOT_PERSONAL,
        "cosignature": _NOT_PERSONAL,
        "witness": _NOT_PERSONAL,  # a service's public key
    },
    "witness": {
        "asked_at": _NOT_PERSONAL,
        "answered_at": _NOT_PERSONAL,
        "asked": _NOT_PERSONAL,
        "failed": _NOT_PERSONAL,
        "size": _NOT_PERSONAL,
        "witness": _NOT_PERSONAL,
        "trouble": _NOT_PERSONAL,
        "alarm": _NOT_PERSONAL,
    },
    # What is counted of the events; reports and corrections hold no customer.
    "rollup_state": {
        "leaves": _NOT_PERSONAL,
        "singleton": _NOT_PERSONAL,
        "time_zone": _NOT_PERSONAL,
    },
    "daily_usage": {
        "count": _NOT_PERSONAL,
        "day": _NOT_PERSONAL,
        "weight_band": _NOT_PERSONAL,
        "customer_tag": _PSEUDONYMOUS,  # keyed hash of the customer's id
        "origin": _NOT_PERSONAL,
        "destination": _NOT_PERSONAL,
    },
    "daily_total": {
        "count": _NOT_PERSONAL,
        "day": _NOT_PERSONAL,
        "weight_band": _NOT_PERSONAL,
        "origin": _NOT_PERSONAL,
        "destination": _NOT_PERSONAL,
    },
    "rollup_part": {
        "first_leaf": _NOT_PERSONAL,
        "end_leaf": _NOT_PERSONAL,
        "time_zone": _NOT_PERSONAL,
    },
    "rollup_part_usage": {
        "first_leaf": _NOT_PERSONAL,
        "count": _NOT_PERSONAL,
        "day": _NOT_PERSONAL,
        "weight_band": _NOT_PERSONAL,
        "customer_tag": _PSEUDONYMOUS,  # keyed hash of the customer's id
        "origin": _NOT_PERSONAL,
        "destination": _NOT_PERSONAL,
    },
    "daily_report": {
        "created_at": _NOT_PERSONAL,
        "size": _NOT_PERSONAL,
        "total": _NOT_PERSONAL,
        "day": _NOT_PERSONAL,
        "root": _NOT_PERSONAL,
        "signature": _NOT_PERSONAL,
        "digest": _NOT_PERSONAL,
        "document": _NOT_PERSONAL,  # counts of routes and weight bands, over all customers
    },
    "daily_correction": {
        "created_at": _NOT_PERSONAL,
        "first_leaf": _NOT_PERSONAL,
        "end_leaf": _NOT_PERSONAL,
        "total": _NOT_PERSONAL,
        "day": _NOT_PERSONAL,
        "digest": _NOT_PERSONAL,
        "document": _NOT_PERSONAL,  # likewise
    },
    "ledger_check": {
        "id": _NOT_PERSONAL,
        "checked_at": _NOT_PERSONAL,
        "first_leaf": _NOT_PERSONAL,
        "end_leaf": _NOT_PERSONAL,
        "day": _NOT_PERSONAL,
        "faults": _PSEUDONYMOUS,  # name numbers that were altered
    },
    "number_account": {
        "id": _NOT_PERSONAL,
        "counted_at": _NOT_PERSONAL,
        "leased": _NOT_PERSONAL,
        "issued": _NOT_PERSONAL,
        "burned": _NOT_PERSONAL,
        "held": _NOT_PERSONAL,
        "end_block": _NOT_PERSONAL,
        "closed_issued": _NOT_PERSONAL,
        "wrong": _NOT_PERSONAL,
        "open_blocks": _NOT_PERSONAL,
        "faults": _PSEUDONYMOUS,  # name numbers that are not where they must be
    },
    # Views for a coordinator of shards, which show what stands above.
    "shard_log": {
        "shard": _NOT_PERSONAL,
        "size": _NOT_PERSONAL,
        "published_size": _NOT_PERSONAL,
        "top": _PSEUDONYMOUS,  # a serial
    },
    "shard_leaf": {
        "number": _PSEUDONYMOUS,
        "serial": _PSEUDONYMOUS,
        "customer_tag": _PSEUDONYMOUS,
        "customer_key_id": _NOT_PERSONAL,
        "origin": _NOT_PERSONAL,
        "destination": _NOT_PERSONAL,
        "weight_band": _NOT_PERSONAL,
        "order_created_at": _PSEUDONYMOUS,
        "requested_at": _PSEUDONYMOUS,
        "request_id": _PSEUDONYMOUS,
        "principal": _PSEUDONYMOUS,
        "leaf_index": _NOT_PERSONAL,
        "leaf_hash": _NOT_PERSONAL,
        "tile": _NOT_PERSONAL,
        "published_size": _NOT_PERSONAL,
        "published_root": _NOT_PERSONAL,
        "published_signature": _NOT_PERSONAL,
    },
    "shard_sealed": {
        "serial": _PSEUDONYMOUS,
        "size": _NOT_PERSONAL,
        "signature": _NOT_PERSONAL,
        "first_leaf": _NOT_PERSONAL,
        "hashes": _NOT_PERSONAL,
    },
    "shard_tile": {
        "shard": _NOT_PERSONAL,
        "level": _NOT_PERSONAL,
        "position": _NOT_PERSONAL,
        "hashes": _NOT_PERSONAL,
    },
    "shard_usage": {
        "shard": _NOT_PERSONAL,
        "customer_tag": _PSEUDONYMOUS,
        "day": _NOT_PERSONAL,
        "origin": _NOT_PERSONAL,
        "destination": _NOT_PERSONAL,
        "weight_band": _NOT_PERSONAL,
        "count": _NOT_PERSONAL,
        "fresh": _NOT_PERSONAL,
    },
    "shard_total": {
        "shard": _NOT_PERSONAL,
        "day": _NOT_PERSONAL,
        "origin": _NOT_PERSONAL,
        "destination": _NOT_PERSONAL,
        "weight_band": _NOT_PERSONAL,
        "count": _NOT_PERSONAL,
        "fresh": _NOT_PERSONAL,
    },
    "shard_position": {
        "shard": _NOT_PERSONAL,
        "size": _NOT_PERSONAL,
        "time_zone": _NOT_PERSONAL,
    },
    "shard_report": {
        "shard": _NOT_PERSONAL,
        "day": _NOT_PERSONAL,
        "size": _NOT_PERSONAL,
        "total": _NOT_PERSONAL,
        "digest": _NOT_PERSONAL,
    },
    "shard_correction": {
        "shard": _NOT_PERSONAL,
        "day": _NOT_PERSONAL,
        "first_leaf": _NOT_PERSONAL,
        "total": _NOT_PERSONAL,
        "digest": _NOT_PERSONAL,
        "document": _NOT_PERSONAL,
    },
    # Django's own.
    "django_migrations": {
        "id": _NOT_PERSONAL,
        "app": _NOT_PERSONAL,
        "name": _NOT_PERSONAL,
        "applied": _NOT_PERSONAL,
    },
}
"""Every column of every table and view of the schema public."""
