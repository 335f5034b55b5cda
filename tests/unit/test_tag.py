"""Customer keys: pseudonyms of customers, and what they make of an Idempotency-Key."""

import hashlib
import hmac
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.tag import KeyRing, framed

CUSTOMER = UUID("de619854-b59b-425e-9db4-943979e1bd49").bytes
OLD, NEW = "11" * 32, "22" * 32
RING = KeyRing.parse(f"7:{OLD},3:{NEW}")
PARAMETERS = (b"MY", b"ID", b"1.234")

short = st.binary(max_size=6)


def test_a_tag_is_the_hmac_of_the_sixteen_bytes_under_the_last_key() -> None:
    assert RING.tag(CUSTOMER) == (3, hmac.new(bytes.fromhex(NEW), CUSTOMER, hashlib.sha256).digest())


def test_every_live_key_finds_the_events_that_it_tagged() -> None:
    before_rotation = KeyRing.parse(f"7:{OLD}").tag(CUSTOMER)
    assert RING.tags(CUSTOMER) == [before_rotation, RING.tag(CUSTOMER)]


def test_a_claim_is_made_under_every_live_key_so_that_a_retry_across_a_rotation_is_found() -> None:
    before = KeyRing.parse(f"7:{OLD}").claims(None, CUSTOMER, b"key", PARAMETERS)
    after = RING.claims(None, CUSTOMER, b"key", PARAMETERS)
    assert len(after) == 2
    assert after[0] == before[0]


@given(
    st.tuples(st.none() | st.integers(0, 2**63 - 1), short, short),
    st.tuples(st.none() | st.integers(0, 2**63 - 1), short, short),
)
def test_two_claims_share_a_tag_only_if_caller_customer_and_key_are_the_same(
    one: tuple[int | None, bytes, bytes], other: tuple[int | None, bytes, bytes]
) -> None:
    tags = [RING.claims(*each, PARAMETERS)[0].tag for each in (one, other)]
    assert (tags[0] == tags[1]) == (one == other)


def test_what_moves_from_one_part_to_the_next_changes_the_tag() -> None:
    # Joined without their lengths, these would read alike.
    assert RING.claims(None, b"ab", b"c", ())[0].tag != RING.claims(None, b"a", b"bc", ())[0].tag
    assert RING.claims(1, b"", b"", ())[0].tag != RING.claims(None, (1).to_bytes(8, "big"), b"", ())[0].tag


@given(st.lists(short, max_size=4), st.lists(short, max_size=4))
def test_two_orders_share_a_fingerprint_only_if_they_are_the_same(one: list[bytes], other: list[bytes]) -> None:
    prints = [RING.claims(None, CUSTOMER, b"key", tuple(each))[0].fingerprint for each in (one, other)]
    assert (prints[0] == prints[1]) == (one == other)


def test_a_tag_a_claim_and_a_fingerprint_are_never_the_same_hash() -> None:
    claim = RING.claims(None, b"", b"", (b"", b"", b""))[1]  # the same parts under either purpose
    assert len({claim.tag, claim.fingerprint, RING.tag(b"")[1]}) == 3


ORDERS = [framed((b"MY", b"ID")), framed((b"MY", b"SG"))]


@given(st.tuples(st.none() | st.integers(0, 2**63 - 1), short), st.tuples(st.none() | st.integers(0, 2**63 - 1), short))
def test_two_calls_share_a_tag_only_if_caller_and_key_are_the_same(
    one: tuple[int | None, bytes], other: tuple[int | None, bytes]
) -> None:
    tags = [RING.claims_of_call(*each, ORDERS)[0].tag for each in (one, other)]
    assert (tags[0] == tags[1]) == (one == other)


pairs = st.lists(st.tuples(short, short), max_size=3)


@given(pairs, pairs)
def test_two_calls_share_a_fingerprint_only_if_their_orders_are_the_same(
    one: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]]
) -> None:
    prints = [RING.claims_of_call(1, b"key", map(framed, each))[0].fingerprint for each in (one, other)]
    assert (prints[0] == prints[1]) == (one == other)


def test_a_call_is_claimed_under_every_live_key_and_never_where_a_single_request_is() -> None:
    before = KeyRing.parse(f"7:{OLD}").claims_of_call(1, b"key", ORDERS)
    after = RING.claims_of_call(1, b"key", ORDERS)
    assert len(after) == 2
    assert after[0] == before[0]
    for key, customer in ((b"key", b""), (b"", b"key")):
        single = RING.claims(1, customer, key, tuple(ORDERS))
        assert not {claim.tag for claim in single} & {claim.tag for claim in after}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"1:{OLD},1:{NEW}", "Customer key 1 is given twice"),
        (f"1:{OLD},1:{OLD}", "Customer key 1 is given twice"),
        ("1:abcd", "32 bytes"),
        (f"one:{OLD}", "written `id:64 hex digits`"),
        (f"1:{'zz' * 32}", "written `id:64 hex digits`"),
        (f"1:{OLD},", "written `id:64 hex digits`"),
        ("", "written `id:64 hex digits`"),
    ],
)
def test_a_ring_that_can_not_be_read_is_refused_with_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        KeyRing.parse(text)


def test_no_message_and_no_log_line_shows_a_key() -> None:
    assert repr(RING) == "<KeyRing 7, 3>"
    with pytest.raises(ValueError, match="Customer keys") as refused:
        KeyRing.parse(f"1:{OLD}x")
    assert OLD not in str(refused.value)


def test_an_empty_ring_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        KeyRing({})
