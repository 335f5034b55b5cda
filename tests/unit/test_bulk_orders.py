"""A bulk call's body: which arrays are taken apart, which elements are orders, and what is said of the others."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.domain.bulk import LONGEST_ORDER, MOST, MalformedBodyError, elements, read
from issuance.domain.order import NAMES, InvalidOrderError, Order
from issuance.domain.query import parse
from tests.support.clients.bulk import order
from tests.support.clients.orders import GOOD, query


def read_one(text: str | bytes) -> Order:
    """What the only element of an array is read as."""
    raw = text if isinstance(text, bytes) else text.encode()
    (element,) = elements(b"[" + raw + b"]")
    return read(element)


def flaws(text: str | bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidOrderError) as caught:
        read_one(text)
    return [(flaw.parameter, flaw.code) for flaw in caught.value.flaws]


def written(**changes: Any) -> str:
    return json.dumps(order(**changes))


def with_weight(text: str) -> str:
    """An order with a weight as it stands."""
    return written().replace('"1.234"', text)


def test_an_order_as_json_is_the_order_that_the_same_query_is() -> None:
    assert read_one(written()) == parse(query())


@given(st.sampled_from(NAMES), st.text(max_size=40))
def test_a_text_is_worth_what_it_is_worth_in_a_query(name: str, value: str) -> None:
    def outcome(reading: Any, given: Any) -> Any:
        try:
            return reading(given)
        except InvalidOrderError as error:
            return error.flaws

    # A space in a query's time stands for a plus; elsewhere, and in JSON, it is a space.
    if not (name == "created_at" and " " in value):
        assert outcome(read_one, written(**{name: value})) == outcome(parse, query(**{name: value}))


@pytest.mark.parametrize(
    ("number", "grams"),
    [("1.234", 1234), ("1.2", 1200), ("1", 1000), ("1000", 1_000_000), ("0.001", 1), ("1.10", 1100)],
)
def test_a_weight_is_the_same_as_a_number_and_as_a_text(number: str, grams: int) -> None:
    assert read_one(with_weight(number)).grams == read_one(with_weight(f'"{number}"')).grams == grams


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(("1e0", "format"), ("1E0", "format"), ("1.5e1", "format"), ("-1", "format"), ("-1.5", "format")),
        *(("1.2345", "format"), ("1.0000", "format"), ("10000", "format"), ("0", "range"), ("-0", "range")),
        *(("0.0", "range"), ("1000.001", "range"), ("1e400", "format"), ("1e-400", "format"), ("9" * 4300, "format")),
        *(("true", "type"), ("null", "type"), ("[1]", "type"), ('{"a":"b"}', "type"), ('""', "empty")),
    ],
)
def test_a_weight_that_is_none_is_refused_whatever_a_float_would_make_of_it(text: str, code: str) -> None:
    assert flaws(with_weight(text)) == [("weight", code)]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "weight"])
@pytest.mark.parametrize("value", [1, 1.5, True, None, [], {}])
def test_what_is_not_a_weight_must_be_a_text(name: str, value: object) -> None:
    assert flaws(json.dumps(GOOD | {name: value})) == [(name, "type")]


@pytest.mark.parametrize("text", ["1", "null", "true", '"x"', "[]", '[{"weight": 1}]'])
def test_an_element_that_is_no_object_is_said_to_be_none(text: str) -> None:
    assert flaws(text) == [("", "type")]


@pytest.mark.parametrize("again", ['"weight":"1.234"', '"weight":1.234', '"weight":1', r'"wei\u0067ht":"1.234"'])
@pytest.mark.parametrize("first", ['"1.234"', "1.234", "7"])
def test_a_name_that_is_given_again_is_refused_even_with_the_same_value(first: str, again: str) -> None:
    assert flaws(with_weight(first)[:-1] + f",{again}}}") == [("weight", "repeated")]


def test_values_that_look_like_names_are_not_names_given_again() -> None:
    assert read_one(written(customer_slug="weight", customer_name='a "weight": "1"')).customer_slug == "weight"


def test_a_name_may_be_written_in_escapes() -> None:
    assert read_one(written().replace("weight", r"we\u0069ght")) == parse(query())


def test_every_flaw_of_an_order_is_reported_at_once() -> None:
    text = written(weight="0", created_at=None, customer_slug="A", origin_country_id="ZZ", colour="red")
    assert flaws(text[:-1] + ',"customer_name":"again"}') == [
        ("origin_country_id", "country"),
        ("weight", "range"),
        ("customer_slug", "format"),
        ("colour", "unknown"),
        ("customer_name", "repeated"),
        ("created_at", "missing"),
    ]


def test_an_empty_object_misses_everything() -> None:
    assert flaws("{}") == [(name, "missing") for name in NAMES]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (written().encode().replace(b"RedBox", b"Red\xffBox"), "encoding"),
        (with_weight("9" * 4301), "range"),
        (json.dumps({str(place): 0 for place in range(33)}), "too-many"),
        (json.dumps(order() | {"x": "y" * LONGEST_ORDER}), "length"),
    ],
)
def test_an_order_that_can_not_be_read_at_all_has_one_flaw(text: str | bytes, code: str) -> None:
    assert flaws(text) == [("", code)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        *(
            (b"", "json"),
            (b"[", "json"),
            (b"[1,]", "json"),
            (b"[{}]x", "json"),
            (b"[{}][{}]", "json"),
            (b"[tru]", "json"),
        ),
        *((b"\xef\xbb\xbf[{}]", "json"), ("[{}]".encode("utf-16"), "json"), (b"[NaN]", "json"), (b"[01]", "json")),
        *((b"[" * 100_000, "json"), (b'[{"a":' * 100_000, "json"), (b"['x']", "json"), (b"[{}\0]", "json")),
        *((rb'["\ud800"]', "json"), (rb'["\ud800x"]', "json"), (rb'["\udc00\ud800"]', "json"), (b'["\n"]', "json")),
        *((b"{}", "type"), (b'{"orders":[]}', "type"), (b"null", "type"), (b'"[]"', "type"), (b"0", "type")),
        *((b"[]", "empty"), (b" [ ] ", "empty")),
        (b"[" + b"0," * MOST + b"0]", "too-many"),
        (b"[" + b"0," * 8_000_000 + b"0]", "too-many"),
    ],
)
def test_a_body_that_is_no_array_of_orders_is_said_to_be_none(body: bytes, code: str) -> None:
    with pytest.raises(MalformedBodyError) as caught:
        elements(body)
    assert caught.value.code == code


@pytest.mark.parametrize("count", [1, 2, MOST])
def test_an_array_has_as_many_elements_as_it_has(count: int) -> None:
    given = list(range(count))
    assert [msgspec.json.decode(each) for each in elements(json.dumps(given).encode())] == given


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner),
    max_leaves=20,
)


@given(JSON)
def test_no_element_whatever_does_worse_than_an_invalid_order(value: Any) -> None:
    (element,) = elements(json.dumps([value]).encode())
    with pytest.raises(InvalidOrderError):
        read(element)


@given(st.binary(max_size=200))
def test_no_body_whatever_does_worse_than_a_malformed_one(body: bytes) -> None:
    with pytest.raises(MalformedBodyError):
        elements(body)
