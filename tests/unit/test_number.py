"""The tracking number: one for each serial, checked, decodable by the key's holder only, and frozen."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.iso7064 import mod_37_36

from issuance.domain.number import Numbering, UnusedCodeError
from ledger.domain.form import CROCKFORD, CheckCharacterError, MalformedNumberError, NumberError, canonical
from ledger.domain.iso7064 import ALPHABET, check_character
from ledger.domain.serial import BLOCK_SIZE, BLOCKS_PER_SHARD, CAPACITY, SHARD_CAPACITY, SHARDS, block_of, shard_of

NUMBERS = Numbering(bytes(range(32)))
OTHERS = Numbering(bytes(range(1, 33)))

serials = st.integers(0, CAPACITY - 1)
TO_PYTHON_BASE_32 = str.maketrans(CROCKFORD, "0123456789abcdefghijklmnopqrstuv")

countries = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2)


def number(serial: int) -> str:
    return NUMBERS.encode(serial, "MY", "ID")


@given(serials, countries, countries)
def test_a_number_decodes_to_what_it_was_made_of(serial: int, origin: str, destination: str) -> None:
    encoded = NUMBERS.encode(serial, origin, destination)
    assert re.fullmatch("^[A-Z0-9]{1,16}$", encoded)
    assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{10}" + origin + destination + "[0-9A-Z]", encoded)
    assert mod_37_36.is_valid(encoded)
    assert NUMBERS.decode(encoded) == (serial, origin, destination)


def test_the_numbers_of_four_neighbouring_blocks_differ_and_share_their_beginning() -> None:
    first = 5 * 2**20 - 2 * BLOCK_SIZE  # two blocks on either side of a region's edge
    encoded = [number(serial) for serial in range(first, first + 4 * BLOCK_SIZE)]
    assert len({text[:11] for text in encoded}) == 4 * BLOCK_SIZE
    assert len({text[:4] for text in encoded}) == 2
    assert [NUMBERS.decode(text).serial for text in encoded[::64]] == list(range(first, first + 4 * BLOCK_SIZE, 64))


@given(serials, serials, countries, countries)
def test_two_serials_differ_in_the_part_that_no_route_touches(one: int, two: int, here: str, there: str) -> None:
    same = NUMBERS.encode(one, here, there)[:11] == NUMBERS.encode(two, there, here)[:11]
    assert same == (one == two)


def test_two_shards_never_meet() -> None:
    regions = [shard * SHARD_CAPACITY + place * 2**30 for shard in range(SHARDS) for place in range(64)]
    # The first five characters hold 23 bits: the region's 21, and two of the code.
    places = {int(number(serial)[:5].translate(TO_PYTHON_BASE_32), 32) >> 2 for serial in regions}
    assert len(places) == len(regions)


@given(st.integers(0, SHARDS - 1), st.integers(0, SHARD_CAPACITY - 1))
def test_a_number_tells_its_authority_shard_and_block(shard: int, place: int) -> None:
    serial = NUMBERS.decode(number(shard * SHARD_CAPACITY + place)).serial
    assert shard_of(serial) == shard
    assert block_of(serial) == shard * BLOCKS_PER_SHARD + place // BLOCK_SIZE


def test_the_capacity_is_what_the_design_says() -> None:
    assert (CAPACITY, SHARD_CAPACITY, SHARDS, BLOCK_SIZE) == (2**41, 2**36, 32, 1024)
    assert BLOCKS_PER_SHARD == 2**26


def test_two_keys_give_different_orders() -> None:
    ours = sorted(range(2000), key=number)
    theirs = sorted(range(2000), key=lambda serial: OTHERS.encode(serial, "MY", "ID"))
    assert sum(one == two for one, two in zip(ours, theirs, strict=True)) < 20  # one on average
    assert ours != list(range(2000)) != theirs


def test_under_another_key_hardly_a_number_decodes() -> None:
    taken = 0
    for serial in range(0, 2000 * 2**20, 2**20):
        try:
            OTHERS.decode(number(serial))
        except UnusedCodeError:
            continue
        taken += 1
    assert taken < 6  # 1 in 4,096


def test_a_key_shows_only_its_fingerprint() -> None:
    assert re.fullmatch("[0-9a-f]{16}", NUMBERS.fingerprint)
    assert NUMBERS.fingerprint == Numbering(bytes(range(32))).fingerprint != OTHERS.fingerprint


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="NUMBER_KEY is 32 bytes, written as 64 hex digits"):
        Numbering(bytes(size))


@pytest.mark.parametrize("serial", [-1, CAPACITY])
def test_a_serial_past_the_end_has_no_number(serial: int) -> None:
    with pytest.raises(ValueError, match="has no number"):
        number(serial)


@pytest.mark.parametrize(
    ("origin", "destination"), [("my", "ID"), ("MYS", "ID"), ("MY", "ID\n"), ("M", "YID"), ("M1", "ID"), ("", "")]
)
def test_a_route_is_two_countries(origin: str, destination: str) -> None:
    with pytest.raises(ValueError, match="two letters A-Z"):
        NUMBERS.encode(0, origin, destination)


@given(st.text(ALPHABET, min_size=1, max_size=40))
def test_the_check_character_is_the_one_of_iso_7064(text: str) -> None:
    assert check_character(text) == mod_37_36.calc_check_digit(text)


@given(serials, countries, countries)
def test_every_substitution_of_one_character_is_caught(serial: int, origin: str, destination: str) -> None:
    encoded = NUMBERS.encode(serial, origin, destination)
    for place, right in enumerate(encoded):
        for wrong in ALPHABET.replace(right, ""):
            with pytest.raises(NumberError):
                NUMBERS.decode(encoded[:place] + wrong + encoded[place + 1 :])


def test_the_check_misses_one_swap_of_neighbours_in_630_as_the_standard_does() -> None:
    # Whatever came before a swap shows only in one of 36 states of the sum, and so does what comes after.
    beginnings = {check_character(text): text for text in ALPHABET}
    assert len(beginnings) == 36
    pairs = [(one, two) for one in ALPHABET for two in ALPHABET if one < two]
    missed = [
        (beginning, one, two)
        for beginning in beginnings.values()
        for one, two in pairs
        if check_character(beginning + one + two) == check_character(beginning + two + one)
    ]
    assert len(missed) == 36
    assert len(pairs) * len(beginnings) == 630 * len(missed)
    for beginning, one, two in missed:
        text = beginning + one + two + check_character(beginning + one + two)
        assert mod_37_36.is_valid(text)
        assert mod_37_36.is_valid(beginning + two + one + text[-1])


def test_a_swap_of_neighbours_in_the_serial_part_is_caught_by_check_or_code() -> None:
    for serial in range(3000):
        encoded = number(serial)
        for place in range(10):
            swapped = encoded[:place] + encoded[place + 1] + encoded[place] + encoded[place + 2 :]
            if swapped != encoded:
                with pytest.raises(NumberError):
                    NUMBERS.decode(swapped)


def test_a_wrong_check_character_is_named_with_the_one_expected() -> None:
    encoded = number(0)
    wrong = "0" if encoded[-1] != "0" else "1"
    with pytest.raises(CheckCharacterError, match=f"end in {encoded[-1]}") as caught:
        NUMBERS.decode(encoded[:-1] + wrong)
    assert caught.value.expected == encoded[-1]


def test_a_code_that_no_serial_gives_was_never_ours() -> None:
    beginning = number(0)[:4]
    for code in range(500):
        body = f"{beginning}0000{code:03}MYID"
        with pytest.raises(UnusedCodeError, match="never one that this service could issue"):
            NUMBERS.decode(body + check_character(body))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5GPZXKJX7QJMYID",
        "5GPZXKJX7QJMYIDT7",
        "5gpzxkjx7qjmyid7",
        " GPZXKJX7QJMYID7",
        "5GPZXKJX7QJMYID\n",
        "5GPZXKJX7QJMYIDT\n",
        "8GPZXKJX7QJMYID7",
        "AGPZXKJX7QJMYID7",
        "5IPZXKJX7QJMYID7",
        "5LPZXKJX7QJMYID7",
        "5OPZXKJX7QJMYID7",
        "5UPZXKJX7QJMYID7",
        "5GPZXKJX7QJM1ID7",
        "5GPZXKJX7QJMYID-",
        "5GPZ-KJX7QJMYID7",
        "5GP_XKJX7QJMYID7",
        "\u0665GPZXKJX7QJMYID7",
        "5GPZXKJX7QJMYI\u00d07",
        "\x00" * 16,
    ],
)
def test_what_is_not_in_the_one_stored_form_is_malformed(text: str) -> None:
    with pytest.raises(MalformedNumberError, match="16 characters"):
        NUMBERS.decode(text)


@pytest.mark.parametrize(
    ("serial", "origin", "destination", "expected"),
    [
        (0, "MY", "ID", "5GPZXKJX7QJMYIDT"),
        (1, "MY", "ID", "5GPZW6EQF2JMYIDI"),
        (1, "ID", "MY", "5GPZW6EQF2JIDMYH"),
        (1023, "DE", "US", "5GPZW21M8SSDEUSP"),
        (1024, "DE", "US", "5GPZWDRK4CKDEUSP"),
        (2**20 - 1, "XK", "SG", "5GPZZEZVDR5XKSGC"),
        (2**20, "XK", "SG", "32AN8G2AQZFXKSGK"),
        (2**36, "GB", "FR", "1D44AF256SHGBFR0"),
        (1_234_567_890_123, "JP", "BR", "1FYVK6JJC1EJPBRB"),
        (2**41 - 1, "ZA", "AQ", "6P28MVWZYABZAAQZ"),
    ],
)
def test_the_mapping_never_changes(serial: int, origin: str, destination: str, expected: str) -> None:
    # Numbers are out in the world: if this fails, the code is wrong, not the test.
    assert NUMBERS.encode(serial, origin, destination) == expected
    assert NUMBERS.decode(expected) == (serial, origin, destination)


@pytest.mark.parametrize("written", ["{0}", "{1}", " {0} ", "{2} {3} {4}", "{2}-{3}-{4}", "-{0}", "{1}   "], ids=repr)
def test_a_number_is_read_as_labels_show_it(written: str) -> None:
    stored = number(7)
    typed = written.format(stored, stored.lower(), stored[:4], stored[4:11].lower(), stored[11:])
    assert canonical(typed) == stored


@pytest.mark.parametrize("text", ["", "MY\N{LATIN SMALL LETTER SHARP S}", "a\tb", "a\nb", "x" * 65, "a\0b", "a_b"])
def test_what_no_label_shows_stays_as_wrong_as_it_is(text: str) -> None:
    with pytest.raises(NumberError):
        NUMBERS.decode(canonical(text))
