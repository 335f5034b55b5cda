"""The leaf of an event: what was hashed once is hashed the same for ever."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils import UUID

from ledger.domain.entry import MAX_BYTES, Event, decode, encode, timestamp
from ledger.domain.merkle import leaf_hash

# Made without our code (rfc8785, hashlib), and never made again: these bytes are in somebody's proof.
FILE = Path(__file__).parent.parent / "vectors" / "entry-v1.json"
FROZEN = "b7bac8979946bf5f9325fb8e2ab5b8d72a5096cd68c8e37638c1b5879e0a5db8"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_bytes())

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END_OF_9999 = 253_402_300_799_999_999

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
microseconds = st.integers(0, END_OF_9999)
events = st.builds(
    Event,
    number=text,
    serial=st.integers(0, 2**41 - 1),
    customer_tag=st.binary(min_size=32, max_size=32),
    customer_key_id=st.integers(1, 9999),
    origin=text,
    destination=text,
    weight_band=st.integers(0, 10),
    order_created_at=microseconds,
    requested_at=microseconds,
    request_id=st.uuids().map(lambda identity: UUID(bytes=identity.bytes)),
    principal=st.none() | st.integers(1, 2**53 - 1),
)


def event_of(fields: dict[str, Any]) -> Event:
    """An event as the vectors write it."""
    special = {"customer_tag": bytes.fromhex(fields["customer_tag"]), "request_id": UUID(fields["request_id"])}
    return Event(**(fields | special))


def iso(moment: int) -> str:
    """The same time by the standard library, the slow way."""
    return (EPOCH + timedelta(microseconds=moment)).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def test_the_vectors_are_those_that_were_frozen() -> None:
    assert sha256(FILE.read_bytes()).hexdigest() == FROZEN


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["what"])
def test_an_event_gives_the_frozen_bytes_and_the_frozen_leaf_hash(vector: dict[str, Any]) -> None:
    entry = encode(event_of(vector["event"]))
    assert entry == vector["entry"].encode()
    assert leaf_hash(entry).hex() == vector["leaf_hash"]


@given(events)
def test_an_entry_is_the_canonical_json_of_rfc_8785(event: Event) -> None:
    assert encode(event) == rfc8785.dumps(
        {
            "version": 1,
            "type": "issued",
            "number": event.number,
            "origin": event.origin,
            "destination": event.destination,
            "weight_band": event.weight_band,
            "customer_tag": event.customer_tag.hex(),
            "customer_key_id": event.customer_key_id,
            "order_created_at": iso(event.order_created_at),
            "requested_at": iso(event.requested_at),
            "request_id": str(event.request_id),
            "principal": event.principal,
        }
    )


@given(events, st.integers(0, 2**41 - 1))
def test_an_entry_does_not_show_the_serial(event: Event, other: int) -> None:
    fields = {name: getattr(event, name) for name in Event.__struct_fields__}
    assert encode(Event(**(fields | {"serial": other}))) == encode(event)


@given(microseconds)
def test_a_time_has_six_fraction_digits_and_a_z_and_reads_back_to_the_microsecond(moment: int) -> None:
    written = timestamp(moment)
    assert written == iso(moment)
    assert (datetime.fromisoformat(written) - EPOCH) // timedelta(microseconds=1) == moment


@pytest.mark.parametrize("moment", [END_OF_9999 + 1, 10**20])
def test_a_time_after_the_year_9999_is_refused(moment: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        timestamp(moment)


def test_an_entry_of_65_535_bytes_is_the_longest() -> None:
    fields = VECTORS[0]["event"]
    room = MAX_BYTES - len(VECTORS[0]["entry"]) + len(fields["origin"])
    assert len(encode(event_of(fields | {"origin": "X" * room}))) == 65_535
    with pytest.raises(ValueError, match="at most 65535 bytes; this one has 65536"):
        encode(event_of(fields | {"origin": "X" * (room + 1)}))


def test_a_leaf_hash_is_not_the_plain_hash_of_the_entry() -> None:
    # RFC 6962, section 2.1: the prefix 0x00 keeps a leaf from being passed off as an inner node.
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@given(events)
def test_an_entry_and_the_serial_beside_it_give_the_event_back(event: Event) -> None:
    assert decode(encode(event), event.serial) == event


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version":1', b'"version":2'),
        (b'"type":"issued"', b'"type":"voided"'),
        (b'Z","origin"', b'","origin"'),
        (b'Z","origin"', b'+00:00","origin"'),
        (b":", b": "),
        (b'"customer_tag":"', b'"customer_tag":"x'),
        (b'"request_id":"', b'"request_id":"x'),
        (b"{", b"["),
        (b"}", b"}\n"),
    ],
)
def test_what_is_no_entry_of_ours_gives_no_event(old: bytes, new: bytes) -> None:
    entry = encode(event_of(VECTORS[0]["event"]))
    assert old in entry
    with pytest.raises(ValueError, match="This is no entry of an event"):
        decode(entry.replace(old, new, 1), 0)
