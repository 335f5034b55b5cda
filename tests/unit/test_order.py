"""What is an order and what is not, value by value."""

import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.domain.order import NAMES, InvalidOrderError
from issuance.domain.query import parse
from tests.support.clients.orders import GOOD, query


def flaws(raw: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidOrderError) as caught:
        parse(raw)
    return [(flaw.parameter, flaw.code) for flaw in caught.value.flaws]


def test_a_good_order_is_read_into_one_form() -> None:
    order = parse(query())
    assert (order.origin, order.destination, order.grams, order.weight_band) == ("MY", "ID", 1234, 4)
    assert order.created_at == 1_542_713_372_000_000
    assert order.customer_id.hex() == GOOD["customer_id"].replace("-", "")


def test_a_plus_typed_unescaped_in_a_time_is_read_as_the_plus_it_was() -> None:
    assert parse(query(created_at=b"2018-11-20T19:29:32+08:00")) == parse(query())


@pytest.mark.parametrize(
    ("name", "value", "same_as"),
    [
        ("origin_country_id", "my", "MY"),
        ("weight", "1.2", "1.200"),
        ("weight", "0001", "1"),
        ("created_at", "2018-11-20T11:29:32Z", GOOD["created_at"]),
        ("created_at", "2018-11-20t11:29:32.000000z", GOOD["created_at"]),
        ("created_at", "2018-11-20T06:29:32-05:00", GOOD["created_at"]),
        ("customer_id", GOOD["customer_id"].upper(), GOOD["customer_id"]),
        ("customer_name", "  RedBox Logistics ", GOOD["customer_name"]),
    ],
)
def test_two_spellings_of_one_value_are_one_order(name: str, value: str, same_as: str) -> None:
    assert parse(query(**{name: value})).canonical() == parse(query(**{name: same_as})).canonical()


@pytest.mark.parametrize("name", NAMES)
def test_each_parameter_tells_orders_apart(name: str) -> None:
    other = {
        "origin_country_id": "SG",
        "destination_country_id": "XK",
        "weight": "2",
        "created_at": "2018-11-20T19:29:33+08:00",
        "customer_id": "de619854-b59b-425e-9db4-943979e1bd48",
        "customer_name": "Redbox Logistics",
        "customer_slug": "redbox",
    }[name]
    assert parse(query(**{name: other})).canonical() != parse(query()).canonical()


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_may_be_named_in_percent_escapes(name: str) -> None:
    escaped = "".join(f"%{ord(character):02X}" for character in name).encode()
    assert parse(query().replace(name.encode(), escaped)) == parse(query())


def test_every_flaw_is_reported_at_once() -> None:
    raw = query(weight="0", created_at=None, customer_slug="A", origin_country_id="ZZ") + b"&weight=1&colour=red"
    assert flaws(raw) == [
        ("origin_country_id", "country"),
        ("weight", "range"),
        ("customer_slug", "format"),
        ("weight", "repeated"),
        ("colour", "unknown"),
        ("created_at", "missing"),
    ]


def test_no_query_at_all_misses_everything() -> None:
    assert flaws(b"") == [(name, "missing") for name in NAMES]


def test_a_time_up_to_a_day_from_now_is_taken_and_later_ones_are_not() -> None:
    def at(seconds: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))

    parse(query(created_at=at(86_000)))
    assert flaws(query(created_at=at(86_500))) == [("created_at", "range")]


@given(st.integers(1, 1_000_000))
def test_every_weight_is_exact_to_the_gram(grams: int) -> None:
    assert parse(query(weight=f"{grams // 1000}.{grams % 1000:03}")).grams == grams


@given(st.integers(0, 1_700_000_000_000_000), st.integers(-1439, 1439))
def test_every_time_is_exact_to_the_microsecond(microseconds: int, offset: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    text = moment.astimezone(timezone(timedelta(minutes=offset))).isoformat(timespec="microseconds")
    assert parse(query(created_at=text)).created_at == microseconds


@given(st.binary(max_size=300))
def test_no_query_whatever_does_worse_than_an_invalid_order(raw: bytes) -> None:
    with pytest.raises(InvalidOrderError):
        parse(raw)


@given(st.sampled_from(NAMES), st.text(max_size=40))
def test_no_value_whatever_does_worse_than_an_invalid_order(name: str, value: str) -> None:
    error: InvalidOrderError | None = None
    try:
        order = parse(query(**{name: value}))
    except InvalidOrderError as caught:
        error = caught
    if error is None:
        assert re.fullmatch("[A-Z]{4}", order.origin + order.destination)
    else:
        assert {flaw.parameter for flaw in error.flaws} == {name}
        assert all(len(value.strip()) < 9 or value not in flaw.detail for flaw in error.flaws)
