"""Values of a query: read as an order's are, and nothing else is taken for one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote_plus
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.domain.order import InvalidOrderError
from issuance.domain.query import parse
from ledger.domain import values
from ledger.domain.values import LAST_MOMENT, ValueFlaw
from tests.support.clients.orders import query

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.text("0123456789-:.TZ+ aé١", max_size=30)


@given(st.binary(max_size=60).map(lambda raw: raw.replace(b"&", b"")))
def test_text_is_decoded_as_an_orders_is(raw: bytes) -> None:
    try:
        parse(query(customer_slug=raw))
        encoding = False
    except InvalidOrderError as error:
        encoding = any(flaw.code == "encoding" for flaw in error.flaws)
    if encoding:
        with pytest.raises(ValueFlaw, match="encoding"):
            values.decoded(raw)
    else:
        values.decoded(raw)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_what_was_encoded_is_decoded(text: str) -> None:
    assert values.decoded(quote_plus(text).encode()) == text


@given(st.integers(0, LAST_MOMENT - 2 * 86_400_000_000), OFFSETS)
def test_a_moment_is_the_moment_whatever_its_offset(expected: int, offset: timezone) -> None:
    text = (EPOCH + timedelta(days=1, microseconds=expected)).astimezone(offset).isoformat()
    expected += 86_400_000_000
    assert values.moment(text) == expected
    assert values.moment(text.replace("+", " ")) == expected
    assert values.moment(text.replace("T", "t")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1970-01-01T00:00:00Z", 0), ("9999-12-31T23:59:59.999999Z", LAST_MOMENT), ("1969-12-31T23:00:00-01:00", 0)],
)
def test_the_first_and_the_last_moment_are_read(text: str, expected: int) -> None:
    assert values.moment(text) == expected


@given(TEXTS)
def test_any_text_is_a_moment_between_1970_and_9999_or_a_flaw(text: str) -> None:
    code = "none"
    try:
        assert 0 <= values.moment(text) <= LAST_MOMENT
    except ValueFlaw as flaw:
        code = flaw.code
    assert code in {"none", "empty", "format", "range"}


@given(st.uuids())
def test_a_uuid_is_its_bytes_in_capitals_too(identity: UUID) -> None:
    assert values.uuid(str(identity)) == values.uuid(str(identity).upper()) == identity.bytes


@given(st.integers(0, 10**15))
def test_a_number_is_its_digits(number: int) -> None:
    assert values.whole(str(number), 0, 10**15) == values.whole(f"0{number}", 0, 10**15) == number


@pytest.mark.parametrize("reader", [values.country, values.route, values.moment, values.uuid])
@given(text=TEXTS)
def test_nothing_beyond_ascii_is_a_value(reader: Callable[[str], object], text: str) -> None:
    if not text.isascii():
        with pytest.raises(ValueFlaw):
            reader(text)


def test_a_flaw_says_nothing_of_the_value() -> None:
    for reader in (values.country, values.route, values.moment, values.uuid):
        with pytest.raises(ValueFlaw) as caught:
            reader("a secret")
        assert "secret" not in f"{caught.value} {caught.value.detail}"
