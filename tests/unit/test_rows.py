"""Events as rows of PostgreSQL's binary COPY format: what is written is read back, and nothing else is read."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils import UUID

from ledger.domain.entry import Event
from ledger.rows import COLUMNS, RowError, event, row, stream

START_OF_YEAR_1 = -62_135_596_800_000_000
START_OF_2000 = 946_684_800_000_000
END_OF_9999 = 253_402_300_799_999_999
WHOLE = Event(
    number="3K9M7QX2PZ4MYIDT",
    serial=1,
    customer_tag=bytes(range(32)),
    customer_key_id=1,
    origin="MY",
    destination="ID",
    weight_band=4,
    order_created_at=1_542_713_372_000_000,
    requested_at=1_795_382_618_635_500,
    request_id=UUID("0193539a-8c1b-7a2e-9d4f-3b6c5a7e8f90"),
    principal=7,
)
LENGTHS = (16, 8, 32, 2, 2, 2, 2, 8, 8, 16, 8)
"""Bytes of each field, in the order of COLUMNS."""
EXTREMES = {
    "serial": (0, 1, 2**41 - 1, 2**63 - 1),
    "customer_tag": (bytes(32), b"\xff" * 32),
    "customer_key_id": (-(2**15), 1, 9999, 2**15 - 1),
    "weight_band": (-1, 0, 10),
    "order_created_at": (START_OF_YEAR_1, -1, 0, START_OF_2000 - 1, START_OF_2000, START_OF_2000 + 1, END_OF_9999),
    "requested_at": (START_OF_YEAR_1, -1, 0, START_OF_2000 - 1, START_OF_2000, START_OF_2000 + 1, END_OF_9999),
    "request_id": (UUID(bytes=bytes(16)), UUID(bytes=b"\xff" * 16)),
    "principal": (None, 1, 2**53 - 1),
}

characters = st.characters(min_codepoint=1, max_codepoint=127)
microseconds = st.integers(START_OF_YEAR_1, END_OF_9999)
events = st.builds(
    Event,
    number=st.text(characters, min_size=16, max_size=16),
    serial=st.integers(0, 2**41 - 1),
    customer_tag=st.binary(min_size=32, max_size=32),
    customer_key_id=st.integers(1, 2**15 - 1),
    origin=st.text(characters, min_size=2, max_size=2),
    destination=st.text(characters, min_size=2, max_size=2),
    weight_band=st.integers(0, 10),
    order_created_at=microseconds,
    requested_at=microseconds,
    request_id=st.binary(min_size=16, max_size=16).map(lambda each: UUID(bytes=each)),
    principal=st.none() | st.integers(1, 2**53 - 1),
)


def with_field(place: int, value: bytes | None) -> bytes:
    """The row of WHOLE with another field in one place: as PostgreSQL frames it, the length before the value."""
    data, at = row(WHOLE), 2
    fields = []
    for length in LENGTHS:
        fields.append(data[at : at + 4 + length])
        at += 4 + length
    assert at == len(data)
    fields[place] = struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return data[:2] + b"".join(fields)


@given(events)
def test_an_event_is_read_back_as_it_was_written(given: Event) -> None:
    assert event(row(given)) == given


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in EXTREMES for value in EXTREMES[name]])
def test_the_extremes_of_a_field_are_read_back_as_they_were_written(name: str, value: object) -> None:
    fields = {field: getattr(WHOLE, field) for field in Event.__struct_fields__}
    given = Event(**(fields | {name: value}))
    assert getattr(event(row(given)), name) == value
    assert event(row(given)) == given


def test_a_row_is_framed_as_postgresql_does_it() -> None:
    # PostgreSQL, COPY, Binary Format: the number of fields, then each field's length and value; times since 2000.
    assert row(WHOLE) == b"".join(
        (
            *(b"\0\x0b", b"\0\0\0\x10", b"3K9M7QX2PZ4MYIDT", b"\0\0\0\x08", (1).to_bytes(8)),
            *(b"\0\0\0\x20", bytes(range(32)), b"\0\0\0\x02", b"\0\x01"),
            *(b"\0\0\0\x02", b"MY", b"\0\0\0\x02", b"ID", b"\0\0\0\x02", b"\0\x04"),
            *(b"\0\0\0\x08", (1_542_713_372_000_000 - 946_684_800_000_000).to_bytes(8)),
            *(b"\0\0\0\x08", (1_795_382_618_635_500 - 946_684_800_000_000).to_bytes(8)),
            *(b"\0\0\0\x10", bytes.fromhex("0193539a8c1b7a2e9d4f3b6c5a7e8f90"), b"\0\0\0\x08", (7).to_bytes(8)),
        )
    )
    assert len(COLUMNS.split(", ")) == len(LENGTHS) == 11


@pytest.mark.parametrize("count", [0, 10, 12, -1])
def test_a_row_with_another_number_of_fields_is_refused(count: int) -> None:
    with pytest.raises(RowError):
        event(struct.pack("!h", count) + row(WHOLE)[2:])


@pytest.mark.parametrize("change", [lambda size: size - 1, lambda size: size + 1, lambda _: 0], ids=["-1", "+1", "0"])
@pytest.mark.parametrize("place", range(11), ids=COLUMNS.split(", "))
def test_a_field_of_another_length_is_refused(place: int, change: Callable[[int], int]) -> None:
    event(with_field(place, bytes(LENGTHS[place])))  # zeros are read: the length is what is wrong
    with pytest.raises(RowError):
        event(with_field(place, bytes(change(LENGTHS[place]))))


@pytest.mark.parametrize("place", range(10), ids=COLUMNS.split(", ")[:10])
def test_a_field_without_a_value_is_refused_but_for_the_principal(place: int) -> None:
    with pytest.raises(RowError):
        event(with_field(place, None))
    assert event(with_field(10, None)).principal is None


@pytest.mark.parametrize("length", [-2, -1, 0, 7, 9, 2**31 - 1])
def test_a_principal_that_says_another_length_than_it_has_is_refused(length: int) -> None:
    with pytest.raises(RowError):
        event(row(WHOLE)[:-12] + struct.pack("!iq", length, 7))


@given(events, st.data())
def test_a_row_that_was_cut_is_refused(given: Event, data: st.DataObject) -> None:
    whole = row(given)
    with pytest.raises(RowError):
        event(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(events, st.binary(min_size=1, max_size=40))
def test_a_row_with_more_behind_it_is_refused(given: Event, more: bytes) -> None:
    with pytest.raises(RowError):
        event(row(given) + more)


@pytest.mark.parametrize("place", [0, 4, 5], ids=["number", "origin", "destination"])
@pytest.mark.parametrize("character", [b"\xc3\xa9", b"\xff\xff", b"\x80\x80"], ids=["é", "no UTF-8", "half of one"])
def test_text_that_is_not_ascii_is_refused(place: int, character: bytes) -> None:
    text = character.ljust(LENGTHS[place], b"A")
    with pytest.raises(RowError, match="is not that of an event"):
        event(with_field(place, text))


@given(events, st.data())
def test_a_row_with_a_byte_altered_is_another_event_or_refused(given: Event, data: st.DataObject) -> None:
    altered = bytearray(row(given))
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = event(bytes(altered))
    except RowError:
        return
    assert found != given
    assert row(found) == altered


def test_a_refusal_shows_the_row() -> None:
    with pytest.raises(RowError, match=r"fields of other lengths than an event's: b'.*3K9M7QX2PZ4"):
        event(with_field(0, b"3K9M7QX2PZ4"))


@given(st.lists(events, max_size=4))
def test_a_stream_is_a_header_the_rows_and_a_trailer(given: list[Event]) -> None:
    header = b"PGCOPY\n\xff\r\n\0" + bytes(4) + bytes(4)
    assert stream(given) == header + b"".join(row(each) for each in given) + b"\xff\xff"
