"""Keys of the log: written as golang.org/x/mod/sumdb/note writes them, read in that form alone, and not shown."""

import base64
import traceback
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.note import NoteError, SignerKey, VerifierKey

# From the documentation and the tests of golang.org/x/mod/sumdb/note (BSD license), and of trillian-examples (Apache).
GO_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PAIRS = [
    (GO_SIGNER, GO_VERIFIER),
    (
        "PRIVATE+KEY+Log+2271c621+AdEIq9FLRQni54Wg68T96VJO+iayOaulswav2DUMKgvQ",
        "Log+2271c621+AemuH5ooBpEPcr+W8onrjA1NfuzBVHdezakU81Ekarvs",
    ),
    (
        "PRIVATE+KEY+KnownAgain+4893b26c+ARhZda/l25zjGZswYLDZsLNRzNpmv5wYTN9IoTr1OJ2+",
        "KnownAgain+4893b26c+AQ+LR7BFF/F/dkpIBjBpSvT0crkteizuUkavAoGeaYMj",
    ),
]

seeds = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize(("signer", "verifier"), PAIRS)
def test_others_keys_read_and_write_as_they_stand(signer: str, verifier: str) -> None:
    assert str(VerifierKey.parse(verifier)) == verifier
    key = SignerKey.parse(signer)
    assert (key.export(), str(key.verifier)) == (signer, verifier)


@pytest.mark.parametrize(
    "key",
    [
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "log2025-1.rekor.sigstore.dev+cf119915+AbfK5adZJxsI323FwGD2AJJ9F4i89cfDuLdGJBIYntuO",
        "keyserver.geomys.org+16b31509+ARLJ+pmTj78HzTeBj04V+LVfB+GFAQyrg54CRIju7Nn8",
    ],
)
def test_a_public_logs_verifier_key_is_read(key: str) -> None:
    parsed = VerifierKey.parse(key)
    name, identity, encoded = key.split("+", 2)
    assert (str(parsed), parsed.name, parsed.id.hex()) == (key, name, identity)
    assert parsed.id == sha256(name.encode() + b"\n" + base64.b64decode(encoded)).digest()[:4]


@given(seeds)
def test_a_key_reads_back_and_signs_the_same(seed: bytes) -> None:
    key = SignerKey("log.test/tracking", seed)
    again = SignerKey.parse(key.export())
    assert again.export() == key.export()
    assert again.sign("text\n") == key.sign("text\n")
    VerifierKey.parse(str(key.verifier)).verify("text\n", again.sign("text\n"))


def test_every_key_that_is_made_is_another() -> None:
    one, other = SignerKey.make("log.test"), SignerKey.make("log.test")
    assert one.export() != other.export()
    assert SignerKey.parse(one.export()).verifier.id == one.verifier.id != other.verifier.id


@given(st.integers(0, 511), st.text(max_size=20))
def test_a_signature_fits_its_text_and_nothing_else(bit: int, text: str) -> None:
    key = SignerKey("log.test", bytes(32))
    signature = key.sign(text)
    key.verifier.verify(text, signature)
    altered = (int.from_bytes(signature) ^ 1 << bit).to_bytes(64)
    for wrong_text, wrong in ((text, altered), (text + "\n", signature), (text, signature[:-1]), (text, b"")):
        with pytest.raises(NoteError, match=r"does not fit the text and the key log\.test\+"):
            key.verifier.verify(wrong_text, wrong)


@pytest.mark.parametrize("key", [GO_VERIFIER, GO_SIGNER])
def test_no_part_of_a_key_is_a_key_and_no_altered_one(key: str) -> None:
    # The manglings of Go's own tests.
    kind = SignerKey if key == GO_SIGNER else VerifierKey
    parts = {key[begin:end] for begin in range(len(key)) for end in range(begin, len(key) + 1)} - {key}
    altered = {key[:at] + chr(ord(key[at]) + 1) + key[at + 1 :] for at in range(len(key))}
    for wrong in parts | altered:
        with pytest.raises(NoteError):
            kind.parse(wrong)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PeterNeumann", "written name"),
        ("PeterNeumann+c74f20a3", "written name"),
        ("PeterNeumann+c74f20a3+", "written name"),
        ("PeterNeumann++ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "written name"),
        ("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "written name"),
        ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "written name"),
        (GO_SIGNER, "written name"),
        ("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "id is c74f20a3, not c74f20a4"),
        ("PeterNeuman+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "not c74f20a3: name or key"),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T", "not standard base64"),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq_LDE4izWy10TW", "not standard base64"),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n", "not standard base64"),
        (
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy1\N{SUPERSCRIPT ZERO}TW",
            "not standard base64",
        ),
        # Go's, with their ids adjusted: a key that is too long (and has bits to spare), and an unknown algorithm.
        ("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", "not standard base64"),
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "not an Ed25519 key"),
        (f"PeterNeumann+c74f20a3+{base64.b64encode(bytes([1] * 34)).decode()}", "public key has 32 bytes"),
        ("Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "1 to 255 characters"),
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str, message: str) -> None:
    with pytest.raises(NoteError, match=message):
        VerifierKey.parse(text)


SECRET = GO_SIGNER.rpartition("+")[2]  # the base64 has a plus: this is what follows it, and AYEKFALV begins the rest
MISTAKES = [
    "",
    GO_SIGNER.removeprefix("PRIVATE+"),
    GO_SIGNER.removeprefix("PRIVATE+KEY+"),
    GO_SIGNER.lower(),
    GO_SIGNER[:-1],
    f"{GO_SIGNER}A",
    f"{GO_SIGNER}\n",
    f" {GO_SIGNER}",
    f'"{GO_SIGNER}"',
    GO_SIGNER.replace("c74f20a3", "c74f20a4"),
    GO_SIGNER.replace("c74f20a3+", ""),
    GO_SIGNER.replace("c74f20a3", GO_SIGNER.split("+", 4)[4]),
    GO_SIGNER.replace("c74f20a3", GO_SIGNER.split("+")[4] + "AAA"),
    GO_SIGNER.replace("PeterNeumann", "Peter Neumann"),
    GO_SIGNER.replace("+AYEK", "+AoEK"),
    GO_SIGNER.replace("PeterNeumann", f"Peter{GO_SIGNER}"),
    f"{GO_SIGNER}{GO_SIGNER}",
    GO_VERIFIER,
]


@pytest.mark.parametrize("text", MISTAKES, ids=range(len(MISTAKES)))
def test_what_is_no_signer_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(NoteError) as refused:
        SignerKey.parse(text)
    shown = "".join(traceback.format_exception_only(refused.value)) + repr(refused.value.__context__)
    assert "AYEKFALV" not in shown
    assert SECRET not in shown


def test_a_signer_key_is_not_shown_by_accident() -> None:
    key = SignerKey.parse(GO_SIGNER)
    shown = f"{key!r} {key} {key.verifier!r} {key.verifier}"
    for secret in (SECRET, "AYEKFALV", repr(key._seed), key._seed.hex(), str(list(key._seed))):
        assert secret not in shown


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\n", "a\t", "a\N{NO-BREAK SPACE}b", "a\N{LINE SEPARATOR}", "a\ud800", "n" * 256]
)
def test_a_name_that_notes_can_not_hold_is_refused(name: str) -> None:
    with pytest.raises(NoteError, match="1 to 255 characters"):
        SignerKey(name, bytes(32))


@pytest.mark.parametrize("name", ["a", "n" * 255, "log.test/straße", "\N{PACKAGE}"])
def test_a_name_of_any_other_characters_is_taken(name: str) -> None:
    key = SignerKey(name, bytes(32))
    assert SignerKey.parse(key.export()).verifier.name == name


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(NoteError, match="private key has 32 bytes"):
        SignerKey("log.test", bytes(size))
    with pytest.raises(NoteError, match="public key has 32 bytes"):
        VerifierKey("log.test", bytes(size))
