"""The permutation is one: no two values share a place, each finds its way back, and the order is gone."""

from hashlib import blake2s
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.domain.permutation import ROUNDS, Feistel, walk

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


def feistel(width: int, *, key: bytes = KEY, tweak: int = 7, person: bytes = b"testing") -> Feistel:
    return Feistel(key, width=width, tweak=tweak, person=person)


def as_the_docstring_says(value: int, *, width: int, tweak: int) -> int:
    """The same network once more, without its memory."""
    half = width // 2
    left, right = value >> half, value % (1 << half)
    for number in range(ROUNDS):
        salt = tweak.to_bytes(4, "big") + number.to_bytes(4, "big")
        digest = blake2s((right // 16).to_bytes(2, "big"), key=KEY, salt=salt, person=b"testing").digest()
        word = digest[2 * (right % 16)] + 256 * digest[2 * (right % 16) + 1]
        left, right = right, left ^ word % (1 << half)
    return left << half | right


@pytest.mark.parametrize("tweak", [0, 1, 2**32 - 1])
@pytest.mark.parametrize("width", [8, 10, 12])
def test_every_value_has_a_place_of_its_own_and_finds_its_way_back(width: int, tweak: int) -> None:
    permutation = feistel(width, tweak=tweak)
    places = [permutation.forward(value) for value in range(1 << width)]
    assert sorted(places) == list(range(1 << width))
    assert [permutation.backward(place) for place in places] == list(range(1 << width))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**21 - 1))
def test_32_bits_do_as_the_docstring_says_and_find_their_way_back(value: int, tweak: int) -> None:
    permutation = feistel(32, tweak=tweak)
    place = permutation.forward(value)
    assert place == as_the_docstring_says(value, width=32, tweak=tweak)
    assert permutation.forward(value) == place  # from memory this time
    assert permutation.backward(place) == value


@pytest.mark.parametrize(
    "other",
    [feistel(12, key=OTHER_KEY), feistel(12, tweak=8), feistel(12, person=b"another")],
    ids=["key", "tweak", "person"],
)
def test_another_key_tweak_or_use_gives_another_permutation(other: Feistel) -> None:
    agreed = sum(feistel(12).forward(value) == other.forward(value) for value in range(4096))
    assert agreed < 10  # two random permutations agree once on average


def test_neighbours_come_out_in_no_order() -> None:
    permutation = feistel(32)
    places = [permutation.forward(value) for value in range(4097)]
    rises = sum(before < after for before, after in pairwise(places))
    assert 1900 < rises < 2200  # a random order rises 2,048 times, ± 18
    assert len({place >> 24 for place in places}) == 256  # and they are all over the place


@pytest.mark.parametrize("limit", [1, 1000, 2048, 4093, 4096])
def test_walking_permutes_the_values_below_a_limit(limit: int) -> None:
    permutation = feistel(12)
    places = [walk(permutation.forward, value, limit) for value in range(limit)]
    assert sorted(places) == list(range(limit))
    assert [walk(permutation.backward, place, limit) for place in places] == list(range(limit))


@pytest.mark.parametrize("value", [-1, 1000, 4096])
def test_walking_refuses_a_value_outside_the_limit(value: int) -> None:
    with pytest.raises(ValueError, match="not within 0 to 999"):
        walk(feistel(12).forward, value, 1000)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_value_outside_the_domain_is_refused_both_ways(value: int) -> None:
    with pytest.raises(ValueError, match="does not fit into 32 bits"):
        feistel(32).forward(value)
    with pytest.raises(ValueError, match="does not fit into 32 bits"):
        feistel(32).backward(value)


@pytest.mark.parametrize("width", [0, 6, 9, 34])
def test_a_width_that_can_not_be_halved_well_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match="even number of bits from 8 to 32"):
        feistel(width)


def test_the_mapping_never_changes() -> None:
    # Numbers are out in the world: if this fails, the code is wrong, not the test.
    assert [feistel(32).forward(value) for value in (0, 1, 2**20 - 1, 2**32 - 1)] == [
        1_780_240_314,
        214_943_759,
        539_326_555,
        1_086_476_461,
    ]
    assert [feistel(22).forward(value) for value in (0, 1, 2**22 - 1)] == [4_162_378, 2_450_378, 778_326]
