"""What the text of an API key says, what is kept of it, and how it is read from a header."""

from hashlib import sha256
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keys import domain
from core.keys.domain import LARGEST_ID, Named

CUSTOMER = UUID("de619854-b59b-425e-9db4-943979e1bd49").bytes
SECRET = "5e" * 16

customers = st.none() | st.binary(min_size=16, max_size=16)


@given(customers)
def test_a_new_key_reads_as_it_was_made(customer: bytes | None) -> None:
    identity, text = domain.make(customer)
    assert domain.read(text) == Named(identity, customer)
    assert 1 <= identity <= LARGEST_ID


def test_every_key_is_another_and_holds_128_random_bits() -> None:
    made = [domain.make(CUSTOMER) for _ in range(1000)]
    assert len({identity for identity, _ in made}) == 1000, "an id is random too, so a restored database repeats none"
    secrets = [text.split("_")[2] for _, text in made]
    assert len(set(secrets)) == 1000
    bits = [sum(int(secret, 16) >> place & 1 for secret in secrets) for place in range(128)]
    assert all(350 < ones < 650 for ones in bits), "9 standard deviations"


def test_a_key_names_the_customer_that_it_is_bound_to() -> None:
    assert domain.read(f"tna_7_{SECRET}") == Named(7, None)
    assert domain.read(f"tna_7_{SECRET}_{CUSTOMER.hex()}") == Named(7, CUSTOMER)
    assert domain.read(f"tna_{LARGEST_ID}_{SECRET}") == Named(LARGEST_ID, None)


NO_KEYS = {
    "nothing": "",
    "a word": "hunter2",
    "another prefix": f"tnb_7_{SECRET}",
    "capitals": f"tna_7_{SECRET}".upper(),
    "no id": f"tna__{SECRET}",
    "id 0": f"tna_0_{SECRET}",
    "an id with a zero in front": f"tna_07_{SECRET}",
    "a negative id": f"tna_-7_{SECRET}",
    "an id that JSON can't hold": f"tna_{LARGEST_ID + 1}_{SECRET}",
    "an id that PostgreSQL can't hold": f"tna_{'9' * 30}_{SECRET}",
    "an id in other digits": f"tna_７_{SECRET}",
    "no secret": "tna_7_",
    "a short secret": f"tna_7_{SECRET[:-1]}",
    "a long secret": f"tna_7_{SECRET}0",
    "a secret that is not hex": f"tna_7_{SECRET[:-1]}g",
    "an empty customer": f"tna_7_{SECRET}_",
    "a customer with hyphens": f"tna_7_{SECRET}_{UUID(bytes=CUSTOMER)}",
    "a short customer": f"tna_7_{SECRET}_{CUSTOMER.hex()[:-1]}",
    "two customers": f"tna_7_{SECRET}_{CUSTOMER.hex()}_{CUSTOMER.hex()}",
    "a line feed": f"tna_7_{SECRET}\n",
    "a space": f" tna_7_{SECRET}",
    "NUL": f"tna_7_{SECRET}\0",
    "beyond ASCII": "tna_7_" + "é" * 32,
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_key_is_not_taken_for_one(text: str) -> None:
    assert domain.read(text) is None


@given(st.text(max_size=100))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert domain.read(text) is None


def test_of_a_key_its_sha_256_is_kept() -> None:
    text = f"tna_7_{SECRET}"
    assert domain.digest(text) == sha256(text.encode()).digest()
    assert domain.digest("Bearer caf\xe9"), "a header may hold any byte, and Django hands it on as Latin-1"


HEADERS = {
    "Bearer abc": "abc",
    "bearer abc": "abc",
    "BEARER abc": "abc",
    "Bearer  abc ": "abc",
    "Bearer abc def": "abc def",
    "Bearer ": "",
    "Bearer": "",
    "bearer": "",
    "": None,
    "abc": None,
    "Basic abc": None,
    "Bearerabc": None,
    "Bearers abc": None,
    " Bearer abc": None,
    "Bearer\tabc": None,
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_key_is_what_follows_the_scheme_and_a_scheme_without_one_is_a_wrong_key(header: str) -> None:
    assert domain.bearer(header) == HEADERS[header]
