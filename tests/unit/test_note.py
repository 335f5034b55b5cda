"""Notes and keys: what others signed is read, and nothing altered is accepted."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.domain import note
from ledger.domain.merkle import EMPTY_ROOT, leaf_hash
from ledger.domain.note import LONGEST_NOTE, Checkpoint, NoteError, SignerKey, VerifierKey

# From the documentation and the tests of golang.org/x/mod/sumdb/note (BSD license).
GO_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="

# Signed by public logs, of which we have no more than the verifier key.
SUM_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
REKOR_KEY = "log2025-1.rekor.sigstore.dev+cf119915+AbfK5adZJxsI323FwGD2AJJ9F4i89cfDuLdGJBIYntuO"
REKOR_NOTE = (
    "log2025-1.rekor.sigstore.dev\n139911860\nEliTHtnx44DhEBH+5qIXBtQsSpc54Avam7mIYEvxnTA=\n\n"
    "— log2025-1.rekor.sigstore.dev "
    "zxGZFcOra4Y7QpuiQen+CmnUvDZbxSXfBOXJzL+HKIeR9aC58QTfao58ABqkhVyBhQDseS+TZdDNpcnZhoRxkh7IbQ0=\n"
    "— witness.stagemole.eu "
    "Z/euoAAAAABqxF18wrJCADsJ1G5Lc2JaRjZqqBwjpNqH24yQse4iJ4rKS6b5MtvHP+IbKYXwaWuWokdGA+BubLFi+TrwK7xpKr6XBw==\n"
)

DASH = "\N{EM DASH} "
KEY = SignerKey("log.test/tracking", bytes(range(32)))
OTHER_KEY = SignerKey("log.test/tracking", bytes(range(1, 33)))
CHECKPOINT = Checkpoint("log.test/tracking", 2, leaf_hash(b"any root"))
NOTE = note.write(CHECKPOINT, KEY.verifier, KEY.sign(CHECKPOINT.text))
HEAD, MINE = f"{CHECKPOINT.text}\n", NOTE.rpartition("\n\n")[2]
FOREIGN = f"{DASH}witness.example {base64.b64encode(b'abcd' + bytes(72)).decode()}\n"
ROOT = base64.b64encode(CHECKPOINT.root).decode()


def line(name: str, data: bytes) -> str:
    return f"{DASH}{name} {base64.b64encode(data).decode()}\n"


def signed(text: str) -> str:
    """A note of any text by the log's key."""
    return f"{text}\n{line(KEY.verifier.name, KEY.verifier.id + KEY.sign(text))}"


def test_others_keys_and_signatures_are_read() -> None:
    signer = SignerKey.parse(GO_SIGNER)
    assert (str(signer.verifier), signer.export()) == (GO_VERIFIER, GO_SIGNER)
    signature = base64.b64decode(GO_SIGNATURE)
    assert signer.verifier.id + signer.sign(GO_TEXT) == signature
    VerifierKey.parse(GO_VERIFIER).verify(GO_TEXT, signature[4:])


@pytest.mark.parametrize(
    ("size", "root", "signature"),
    [
        (
            6_476_701,
            "mb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=",
            "Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=",
        ),
        (
            15_368_405,
            "/g9am3I6YWNKaZX/jkne1fqd9zEyjss+JXyPXG0WfkY=",
            "Az3grqJGUaSGukG9p8nI2vKgiFn7qGHxn0W+mrwyI6Gz3F0t1J3LzmWk/p96Ybf295EjwdSwlzgijq5WA9d1Ded7owM=",
        ),
    ],
)
def test_the_signature_of_gos_checksum_database_fits(size: int, root: str, signature: str) -> None:
    key = VerifierKey.parse(SUM_KEY)
    assert str(key) == SUM_KEY
    text = f"go.sum database tree\n{size}\n{root}\n"
    key.verify(text, base64.b64decode(signature)[4:])
    # Its origin is not its key's name, as ours always is.
    with pytest.raises(NoteError, match=r"of the log go\.sum database tree, but the key is that of sum"):
        note.read(f"{text}\n{DASH}sum.golang.org {signature}\n", key)
    with pytest.raises(NoteError, match="does not fit"):
        key.verify(text.replace(str(size), str(size + 1)), base64.b64decode(signature)[4:])


def test_a_public_logs_checkpoint_is_read_and_its_witness_passed_over() -> None:
    checkpoint, _ = note.read(REKOR_NOTE, VerifierKey.parse(REKOR_KEY))
    root = base64.b64decode("EliTHtnx44DhEBH+5qIXBtQsSpc54Avam7mIYEvxnTA=")
    assert checkpoint == Checkpoint("log2025-1.rekor.sigstore.dev", 139_911_860, root)


def test_a_checkpoint_is_what_was_signed() -> None:
    assert note.read(NOTE, KEY.verifier) == (CHECKPOINT, KEY.sign(CHECKPOINT.text))
    assert CHECKPOINT.text == f"log.test/tracking\n2\n{ROOT}\n"


@given(st.integers(0, 10**19 - 1), st.binary(min_size=32, max_size=32))
@example(0, EMPTY_ROOT)
def test_a_checkpoint_of_any_size_reads_back(size: int, root: bytes) -> None:
    checkpoint = Checkpoint("log.test/tracking", size, root)
    assert note.read(signed(checkpoint.text), KEY.verifier)[0] == checkpoint


@pytest.mark.parametrize(
    "lines",
    [
        MINE + FOREIGN,
        FOREIGN + MINE,
        FOREIGN * 16 + MINE + FOREIGN,
        MINE + MINE,
        # The same name with another key, and another name with the same id: neither is ours.
        MINE + line(KEY.verifier.name, OTHER_KEY.verifier.id + bytes(64)),
        line("log.test", KEY.verifier.id + bytes(64)) + MINE,
        # Signatures of other kinds are shorter, or longer.
        line("short.example", b"abcd1") + MINE,
        MINE + line("long.example", b"abcd" + bytes(2420)),
    ],
)
def test_signatures_of_others_are_passed_over(lines: str) -> None:
    assert note.read(HEAD + lines, KEY.verifier) == (CHECKPOINT, KEY.sign(CHECKPOINT.text))


BAD = line(KEY.verifier.name, KEY.verifier.id + bytes(64))


@pytest.mark.parametrize(
    "lines",
    [BAD, BAD + MINE, MINE + BAD, MINE + FOREIGN + BAD, MINE + line(KEY.verifier.name, KEY.verifier.id + b"short")],
)
def test_a_bad_signature_by_our_key_is_refused_even_beside_a_good_one(lines: str) -> None:
    with pytest.raises(NoteError, match="does not fit the text"):
        note.read(HEAD + lines, KEY.verifier)


@pytest.mark.parametrize("lines", [FOREIGN, line(KEY.verifier.name, OTHER_KEY.verifier.id + bytes(64))])
def test_a_note_that_our_key_did_not_sign_is_refused(lines: str) -> None:
    with pytest.raises(NoteError, match=r"not signed by log\.test/tracking\+"):
        note.read(HEAD + lines, KEY.verifier)


def test_extension_lines_are_allowed() -> None:
    assert note.read(signed(CHECKPOINT.text + "more\nand more\n"), KEY.verifier)[0] == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        "\n",
        "log.test/tracking\n",
        "log.test/tracking\n2\n",
        f"log.test/tracking\n02\n{ROOT}\n",
        f"log.test/tracking\n00\n{ROOT}\n",
        f"log.test/tracking\n-2\n{ROOT}\n",
        f"log.test/tracking\n+2\n{ROOT}\n",
        f"log.test/tracking\n2 \n{ROOT}\n",
        f"log.test/tracking\n2.0\n{ROOT}\n",
        f"log.test/tracking\n\N{ARABIC-INDIC DIGIT TWO}\n{ROOT}\n",
        f"log.test/tracking\n{'9' * 5000}\n{ROOT}\n",
        f"log.test/tracking\n\n{ROOT}\n",
        f"\n2\n{ROOT}\n",
        f"log.test/tracking\n2\n{base64.b64encode(bytes(31)).decode()}\n",
        f"log.test/tracking\n2\n{base64.b64encode(bytes(33)).decode()}\n",
        f"log.test/tracking\n2\n{ROOT.rstrip('=')}\n",
        f"log.test/tracking\n2\n{ROOT[:-2]}{'BA'[ROOT[-2] == 'B']}=\n",
        f"log.test/tracking\n2\n {ROOT}\n",
        f"log.test/tracking\n2\n{base64.urlsafe_b64encode(b'?' * 32).decode()}\n",
        f"other.test/tracking\n2\n{ROOT}\n",
        f"log.test/tracking \n2\n{ROOT}\n",
        f"log.test/tracking\n2\n{ROOT}\n\n",
        f"log.test/tracking\n2\n{ROOT}\n\nmore\n",
    ],
)
def test_what_is_signed_and_no_checkpoint_of_the_log_is_refused(text: str) -> None:
    KEY.verifier.verify(text, KEY.sign(text))
    with pytest.raises(NoteError, match=r"three lines or more|not standard base64|root has 32|of the log "):
        note.read(signed(text), KEY.verifier)


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "\n",
        "\n\n",
        CHECKPOINT.text,
        HEAD,
        f"\n{MINE}",
        NOTE[:-1],
        f"{NOTE}\n",
        f"{NOTE}\n\n",
        f"{NOTE}x",
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("\n\n", "\n"),
        CHECKPOINT.text + MINE,
        NOTE.replace("\N{EM DASH}", "-"),
        NOTE.replace(DASH, "\N{EM DASH}"),
        NOTE.replace(DASH, "\N{EM DASH}  "),
        NOTE.replace(DASH, f"{DASH}{DASH}"),
        NOTE.replace(DASH, ""),
        HEAD + MINE.replace("tracking ", "tracking  "),
        HEAD + MINE.replace("tracking ", "tracking\N{NO-BREAK SPACE}"),
        HEAD + MINE.replace("tracking ", "track+ing "),
        HEAD + f"{DASH}log.test/tracking \n",
        HEAD + f"{DASH}log.test/tracking\n",
        HEAD + f"{DASH}{MINE.rpartition(' ')[2]}",
        # A line that is none beside one that is good: Go's reader refuses the note as well.
        f"{NOTE}anything\n",
        f"{NOTE}{DASH}witness.example AAAA\n",
        f"{NOTE}{line('witness.example', b'abcd')}",
        f"{NOTE}{DASH}witness.example Z/euoAAAA\n",
        f"{NOTE}{DASH}witness.example Z_euoAAA\n",
        f"{NOTE}{DASH} Z/euoAAA\n",
        *(NOTE.replace("tracking\n", f"tracking{control}\n") for control in "\x00\x09\x0b\x0d\x1f\ud800\udfff"),
        *(f"{NOTE}{FOREIGN}".replace("witness", f"wit{control}ness") for control in "\x00\x09\x0b\x0d\x1f\ud800\udfff"),
        NOTE + FOREIGN * 1000,
    ],
    ids=lambda damaged: ascii(damaged[-30:]),
)
def test_a_malformed_note_is_refused(damaged: str) -> None:
    with pytest.raises(NoteError, match=r"A note|A line with a signature|not standard base64"):
        note.read(damaged, KEY.verifier)


def test_a_note_of_65_536_characters_is_the_longest() -> None:
    room = LONGEST_NOTE - len(NOTE)
    rest = room % len(FOREIGN)
    filler = FOREIGN * (room // len(FOREIGN) - 1)
    last = FOREIGN.replace("witness", "witness" + "w" * rest)
    assert len(NOTE + filler + last) == LONGEST_NOTE
    assert note.read(NOTE + filler + last, KEY.verifier)[0] == CHECKPOINT
    with pytest.raises(NoteError, match="at most 65536 characters"):
        note.read(NOTE + filler + last.replace("witness", "witnessw"), KEY.verifier)


COSIGNED = (NOTE + FOREIGN).encode()
OURS = len(NOTE.encode())


@given(st.integers(0, len(COSIGNED) - 1), st.integers(0, 255))
def test_any_altered_byte_is_refused_unless_it_is_in_anothers_signature(at: int, value: int) -> None:
    altered = COSIGNED[:at] + bytes([value]) + COSIGNED[at + 1 :]
    text = altered.decode("utf-8", "surrogateescape")
    try:
        accepted = note.read(text, KEY.verifier)
    except NoteError:
        assert altered != COSIGNED
        return
    assert altered == COSIGNED or OURS <= at < len(COSIGNED) - 1
    assert accepted == (CHECKPOINT, KEY.sign(CHECKPOINT.text))


@given(st.integers(0, len(NOTE)), st.characters(), st.booleans())
def test_a_character_added_or_missing_is_refused(at: int, character: str, added: bool) -> None:  # noqa: FBT001
    altered = NOTE[:at] + character + NOTE[at:] if added else NOTE[:at] + NOTE[at + 1 :]
    if altered != NOTE:
        with pytest.raises(NoteError):
            note.read(altered, KEY.verifier)
