"""A cursor is what was given out, byte for byte, or it is none."""

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from core import cursors
from core.cursors import CursorError
from ledger.api import asked
from ledger.domain.serial import SHARDS

PLACES = st.binary(max_size=40)


@given(PLACES, st.binary(max_size=40))
def test_a_cursor_leads_back_to_its_place(place: bytes, context: bytes) -> None:
    cursor = cursors.seal(place, context)
    assert cursors.unseal(cursor, context) == place
    assert cursor.replace("-", "").replace("_", "").isalnum(), "it stands in a query as it is"


@given(PLACES, st.binary(max_size=20), st.binary(max_size=20))
def test_a_cursor_is_of_no_other_list(place: bytes, context: bytes, other: bytes) -> None:
    if other != context:
        with pytest.raises(CursorError):
            cursors.unseal(cursors.seal(place, context), other)


@given(st.binary(max_size=8), st.binary(min_size=1, max_size=8))
def test_what_is_the_place_and_what_the_list_can_not_be_shifted(place: bytes, context: bytes) -> None:
    cursor = cursors.seal(place + context[:1], context[1:])
    assert cursor != cursors.seal(place, context)
    with pytest.raises(CursorError):
        cursors.unseal(cursor, context)


@given(PLACES, st.data())
def test_one_that_was_changed_anywhere_is_none(place: bytes, data: st.DataObject) -> None:
    cursor = cursors.seal(place, b"a list")
    where = data.draw(st.integers(0, len(cursor) - 1))
    what = data.draw(st.sampled_from([*"AZaz09-_=+/ .\n%", "\N{LATIN SMALL LETTER E WITH ACUTE}", ""]))
    changed = cursor[:where] + what + cursor[where + 1 :]
    if changed != cursor:
        with pytest.raises(CursorError):
            cursors.unseal(changed, b"a list")


@given(st.text(max_size=80))
def test_any_other_text_is_none(text: str) -> None:
    with pytest.raises(CursorError):
        cursors.unseal(text, b"a list")


def test_another_service_gives_other_cursors() -> None:
    cursor = cursors.seal(b"place", b"a list")
    with override_settings(SECRET_KEY="another-" * 8), pytest.raises(CursorError):
        cursors.unseal(cursor, b"a list")


def test_a_place_in_a_list_over_all_shards_fits() -> None:
    place = bytes(asked._PLACE.size + SHARDS * asked._EXTENT.size)
    cursor = cursors.seal(place, b"")
    assert cursors.unseal(cursor, b"") == place
    assert len(cursor) == 716
