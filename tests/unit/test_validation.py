"""What a number tells by itself: its form, its check character, its route, and whether we could have issued it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.domain import validation
from issuance.domain.number import Numbering
from issuance.domain.validation import CheckCharacter, Country, Validation
from ledger.domain.form import CROCKFORD
from ledger.domain.iso7064 import check_character
from ledger.domain.serial import SHARD_CAPACITY, SHARDS
from ledger.domain.values import COUNTRIES
from tests.support.clients.labels import slip

NUMBERS = Numbering(bytes(range(32)))
OTHERS = Numbering(bytes(range(1, 33)))
SHARD = 7

places = st.integers(0, SHARD_CAPACITY - 1)
shards = st.integers(0, SHARDS - 1)
countries = st.sampled_from(sorted(COUNTRIES))


def validate(text: str) -> Validation:
    return validation.validate(text, NUMBERS, SHARD)


@given(places, countries, countries)
def test_every_number_that_this_service_issues_is_possible(place: int, origin: str, destination: str) -> None:
    number = NUMBERS.encode(SHARD * SHARD_CAPACITY + place, origin, destination)
    found = validate(number)
    assert (found.number, found.well_formed, found.possible, found.reason) == (number, True, True, None)
    assert found.check_character == CheckCharacter(number[-1], number[-1])
    assert (found.origin and found.origin.code, found.destination and found.destination.code) == (origin, destination)


@given(places, shards)
def test_a_number_of_another_shard_is_not_possible_and_looks_like_any_other_that_is_not(place: int, shard: int) -> None:
    found = validate(NUMBERS.encode(shard * SHARD_CAPACITY + place, "MY", "ID"))
    assert found.possible == (shard == SHARD)
    if shard != SHARD:
        assert found.reason == validation._ELSEWHERE


def test_a_number_made_under_another_key_is_hardly_ever_possible() -> None:
    for place in range(0, 2**30, 2**20):  # one code in 4,096 is in use, and one shard in 32 is ours
        found = validate(OTHERS.encode(SHARD * SHARD_CAPACITY + place, "MY", "ID"))
        assert found.check_character is not None
        assert found.check_character.correct
        assert (found.well_formed, found.possible, found.reason) == (True, False, validation._ELSEWHERE)


@given(places)
def test_a_slip_is_told_with_the_character_that_was_expected(place: int) -> None:
    number = NUMBERS.encode(SHARD * SHARD_CAPACITY + place, "MY", "ID")
    found = validate(slip(number))
    assert found.check_character == CheckCharacter(slip(number)[-1], number[-1])
    assert (found.well_formed, found.possible) == (True, False)
    assert found.reason is not None
    assert f"end in {number[-1]}." in found.reason
    assert found.origin == Country("MY", "Malaysia"), "what is written is told, right or wrong"


@pytest.mark.parametrize(("origin", "destination"), [("ZZ", "ID"), ("MY", "ZZ"), ("AA", "QQ"), ("UK", "EU")])
def test_a_route_of_no_assigned_country_is_not_possible(origin: str, destination: str) -> None:
    found = validate(NUMBERS.encode(SHARD * SHARD_CAPACITY, origin, destination))
    assert found.check_character is not None
    assert found.check_character.correct
    assert (found.possible, found.reason) == (False, validation._NO_COUNTRY)
    assert (found.origin is None) == (origin not in COUNTRIES)
    assert (found.destination is None) == (destination not in COUNTRIES)


@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    found = validate(text)
    assert found.possible == (found.reason is None)
    assert (found.check_character is None) == (not found.well_formed)
    if found.reason is not None and len(text) > 3:
        assert text not in found.reason, "no sentence repeats what was asked"


@given(st.text(CROCKFORD, min_size=11, max_size=11))
def test_what_is_well_formed_has_all_its_parts_named(payload: str) -> None:
    body = f"{payload}MYID"
    found = validate(body + check_character(body))
    if payload[0] in "01234567":
        assert found.well_formed
        assert (found.origin, found.destination) == (Country("MY", "Malaysia"), Country("ID", "Indonesia"))
    else:
        assert (found.well_formed, found.check_character, found.origin, found.destination) == (False, None, None, None)


@pytest.mark.parametrize(
    ("code", "name"),
    [("XK", "Kosovo"), ("DE", "Germany"), ("BO", "Bolivia"), ("CI", "Côte d'Ivoire"), ("GB", "United Kingdom")],
)
def test_countries_are_named_as_people_name_them(code: str, name: str) -> None:
    assert validation.country(code) == Country(code, name)


def test_every_country_that_a_number_may_be_issued_for_has_a_name() -> None:
    names = {found.name for code in COUNTRIES if (found := validation.country(code))}
    assert len(names) == len(COUNTRIES)
