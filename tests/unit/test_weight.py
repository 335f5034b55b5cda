"""Weight bands: the bounds are inclusive, and every weight has one band."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.weight import BOUNDS, HIGHEST, LABELS, band, label


@pytest.mark.parametrize(
    ("grams", "code", "text"),
    [
        (1, 0, "up to 0.1 kg"),
        (100, 0, "up to 0.1 kg"),
        (101, 1, "over 0.1 to 0.25 kg"),
        (250, 1, "over 0.1 to 0.25 kg"),
        (251, 2, "over 0.25 to 0.5 kg"),
        (500, 2, "over 0.25 to 0.5 kg"),
        (501, 3, "over 0.5 to 1 kg"),
        (1_000, 3, "over 0.5 to 1 kg"),
        (1_001, 4, "over 1 to 2 kg"),
        (1_234, 4, "over 1 to 2 kg"),
        (2_000, 4, "over 1 to 2 kg"),
        (2_001, 5, "over 2 to 5 kg"),
        (5_000, 5, "over 2 to 5 kg"),
        (5_001, 6, "over 5 to 10 kg"),
        (10_000, 6, "over 5 to 10 kg"),
        (10_001, 7, "over 10 to 20 kg"),
        (20_000, 7, "over 10 to 20 kg"),
        (20_001, 8, "over 20 to 30 kg"),
        (30_000, 8, "over 20 to 30 kg"),
        (30_001, 9, "over 30 to 70 kg"),
        (70_000, 9, "over 30 to 70 kg"),
        (70_001, 10, "over 70 kg"),
        (1_000_000, 10, "over 70 kg"),
    ],
)
def test_a_weight_falls_into_the_band_whose_upper_bound_holds_it(grams: int, code: int, text: str) -> None:
    assert band(grams) == code
    assert label(code) == text


@given(st.integers(1, 10_000_000))
def test_a_weight_is_above_the_bound_before_its_band_and_not_above_its_own(grams: int) -> None:
    code = band(grams)
    assert code == 0 or grams > BOUNDS[code - 1]
    assert code == HIGHEST or grams <= BOUNDS[code]


def test_every_band_has_a_label_of_its_own() -> None:
    assert len(set(LABELS)) == len(LABELS) == HIGHEST + 1


@pytest.mark.parametrize("grams", [0, -1])
def test_nothing_weighs_nothing(grams: int) -> None:
    with pytest.raises(ValueError, match="more than 0 g"):
        band(grams)


@pytest.mark.parametrize("code", [-1, 11])
def test_a_code_that_is_no_band_has_no_label(code: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 10"):
        label(code)
