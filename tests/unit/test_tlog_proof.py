"""Offline proofs: c2sp.org/tlog-proof as others write it is read, and nothing altered is accepted."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain import note, proof
from ledger.domain.merkle import ProofError, leaf_hash
from ledger.domain.note import LONGEST_NOTE, Checkpoint, SignerKey, VerifierKey
from ledger.domain.proof import HEADER, Proof
from tests.plugin import ROOT
from tests.support.log.trees import LEAVES, leaves_of_a_tree, mth, rfc_path

VECTORS = ROOT / "tests" / "vectors" / "merkle"
REKOR_KEY = VerifierKey.parse(
    "log2025-1.rekor.sigstore.dev+cf119915+AbfK5adZJxsI323FwGD2AJJ9F4i89cfDuLdGJBIYntuO",
)

# The example of c2sp.org/tlog-proof, whose signatures are cut.
EXAMPLE = """c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog hI2DJw[...]1roloI=
— witness1.example mJirIklj[...]qY9v2B/5bg==
— witness2.example TnKKVHLX[...]xwYwrSjgow==
— witness3.example S4X82uH5[...]3oEcROGLFQ==
"""

KEY = SignerKey("log.test/tracking", bytes(range(32)))


def prove(index: int, size: int) -> str:
    """The proof of a leaf of the tests' tree, by way of the definition of RFC 6962."""
    checkpoint = Checkpoint("log.test/tracking", size, mth(0, size))
    signed = note.write(checkpoint, KEY.verifier, KEY.sign(checkpoint.text))
    return proof.write(Proof(index, rfc_path(index, 0, size), signed))


INDEX, SIZE = 5, 7
PROOF = prove(INDEX, SIZE)
SIGNED = PROOF.partition("\n\n")[2]
HASH = base64.b64encode(LEAVES[0]).decode()
EXTRA = f"{HEADER}\nextra aGVsbG8=\n"
WITH_EXTRA = PROOF.replace(f"{HEADER}\n", EXTRA)


def test_a_proof_of_a_public_log_verifies() -> None:
    leaf = leaf_hash((VECTORS / "rekor-entry.json").read_bytes())
    index, checkpoint = proof.verify((VECTORS / "rekor.tlog-proof").read_text(encoding="utf-8"), REKOR_KEY, leaf)
    assert (index, checkpoint.origin, checkpoint.size) == (412_114, "log2025-1.rekor.sigstore.dev", 412_115)


def test_the_example_of_the_standard_is_read() -> None:
    read = proof.read(EXAMPLE)
    assert read.leaf_index == 73_894
    assert [base64.b64encode(each).decode() for each in read.hashes] == EXAMPLE.split("\n")[3:8]
    assert read.checkpoint == EXAMPLE[EXAMPLE.index("example.com/fancylog") :]
    assert proof.write(read) == "".join(line for line in EXAMPLE.splitlines(keepends=True) if "extra" not in line)
    with pytest.raises(ProofError, match="not standard base64"):
        proof.verify(EXAMPLE, VerifierKey("example.com/fancylog", bytes(32)), bytes(32))


@given(leaves_of_a_tree)
def test_a_proof_reads_back_and_needs_nothing_but_the_key_and_the_leaf(place: tuple[int, int]) -> None:
    index, size = place
    text = prove(index, size)
    assert proof.read(text).leaf_index == index
    assert proof.write(proof.read(text)) == text
    checkpoint = Checkpoint("log.test/tracking", size, mth(0, size))
    assert proof.verify(text, KEY.verifier, LEAVES[index]) == (index, checkpoint)


def test_a_proof_is_for_one_leaf_one_key_and_one_log() -> None:
    with pytest.raises(ProofError, match="The leaf is not in the tree at this place"):
        proof.verify(PROOF, KEY.verifier, LEAVES[INDEX + 1])
    with pytest.raises(ProofError, match="not signed by"):
        proof.verify(PROOF, SignerKey("log.test/tracking", bytes(32)).verifier, LEAVES[INDEX])
    with pytest.raises(ProofError, match="not signed by"):
        proof.verify(PROOF, SignerKey("log.test/other", bytes(range(32))).verifier, LEAVES[INDEX])
    with pytest.raises(ProofError, match="32 bytes"):
        proof.verify(PROOF, KEY.verifier, LEAVES[INDEX] + b"\x00")


def test_a_proof_from_a_tree_of_another_size_is_refused() -> None:
    # The bare inclusion proof fits sizes 7 and 8, if the root is the same: it is the signature that tells them apart.
    larger = SIGNED.replace("\n7\n", "\n8\n")
    with pytest.raises(ProofError, match="signature does not fit"):
        proof.verify(PROOF.replace(SIGNED, larger), KEY.verifier, LEAVES[INDEX])


def test_extra_data_is_passed_over() -> None:
    assert proof.read(WITH_EXTRA) == proof.read(PROOF)
    assert proof.verify(WITH_EXTRA, KEY.verifier, LEAVES[INDEX])[0] == INDEX


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ("", "begins with the line"),
        (HEADER, "begins with the line"),
        (f"{HEADER}\n", "begins with the line"),
        (f"\n{PROOF}", "begins with the line"),
        (f"{HEADER}\n\n{SIGNED}", "no line with the index"),
        (PROOF.replace("@v1", "@v2"), "begins with the line"),
        (PROOF.replace("c2sp", "C2SP"), "begins with the line"),
        (PROOF.replace("\n", "\r\n"), "begins with the line"),
        (PROOF.partition("\n\n")[0], "begins with the line"),
        (PROOF.replace("index 5\n", ""), "no line with the index"),
        *(
            (PROOF.replace("index 5", wrong), "no line with the index")
            for wrong in (
                "index",
                "index ",
                "index 05",
                "index 00",
                "index -5",
                "index +5",
                "index  5",
                "index 5 ",
                "index\t5",
                "index 5.0",
                "index \N{ARABIC-INDIC DIGIT FIVE}",
                "index 5\r",
                f"index {'9' * 20}",
                f"index {'9' * 5000}",
                "Index 5",
                "idx 5",
                "extra aGVsbG8=\nextra aGVsbG8=\nindex 5",
                "extra\nindex 5",
                "extraaGVsbG8=\nindex 5",
                "Extra aGVsbG8=\nindex 5",
            )
        ),
        *(
            (PROOF.replace("index 5", f"{wrong}\nindex 5"), "not a hash in standard base64")
            for wrong in (
                "extra aGVsbG8",
                "extra aGVsbG9=",
                "extra aGVs bG8=",
                "extra \N{SUPERSCRIPT TWO}",
                "extra -_-_",
            )
        ),
        *(
            (PROOF.replace("index 5\n", f"index 5\n{wrong}\n"), "not a hash in standard base64")
            for wrong in (
                "extra aGVsbG8=",
                "AAAA",
                HASH[:-1],
                f" {HASH}",
                f"{HASH}\r",
                HASH + HASH,
                base64.b64encode(bytes(31)).decode(),
                base64.b64encode(bytes(33)).decode(),
                base64.urlsafe_b64encode(b"?" * 32).decode(),
                f"{'A' * 42}B=",
                "\N{SUPERSCRIPT TWO}" * 44,
            )
        ),
        (PROOF.replace("index 5\n", "index 5\n" + f"{HASH}\n" * 61), "inclusion proof is too long"),
        (PROOF.replace("index 5\n", f"index 5\n{HASH}\n"), "The proof is too long"),
        (PROOF.replace(f"{PROOF.splitlines()[2]}\n", ""), "The proof is too short"),
        (PROOF.replace("index 5", "index 7"), "has no leaf 7"),
        (f"{PROOF}\n", "A note is a text|A line with a signature"),
        (PROOF[:-1], "A note is a text"),
        (PROOF.replace("\n\n", "\n\n\n"), "signature does not fit"),
        (PROOF.partition("\n\n")[0] + "\n\n", "A note is a text"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_malformed_proof_is_refused(damaged: str, message: str) -> None:
    assert damaged != PROOF
    with pytest.raises(ProofError, match=message):
        proof.verify(damaged, KEY.verifier, LEAVES[INDEX])


def test_an_inclusion_proof_of_63_hashes_is_the_longest() -> None:
    # A tree of 2**63 leaves has paths that long.
    longest = Proof(2**63 - 1, [LEAVES[0]] * 63, SIGNED)
    assert proof.read(proof.write(longest)) == longest
    with pytest.raises(ProofError, match="inclusion proof is too long"):
        proof.read(proof.write(longest._replace(hashes=[LEAVES[0]] * 64)))


def test_a_proof_of_131_072_characters_is_the_longest() -> None:
    room = 2 * LONGEST_NOTE - len(PROOF)
    assert proof.read(PROOF + "x" * room).leaf_index == INDEX
    with pytest.raises(ProofError, match="The proof is too long"):
        proof.read(PROOF + "x" * (room + 1))


ENCODED = WITH_EXTRA.encode()
EXTRA_DATA = range(len(HEADER) + 1, len(EXTRA) - 1)


@given(st.integers(0, len(ENCODED) - 1), st.integers(0, 255))
def test_any_altered_byte_is_refused_unless_it_is_in_the_extra_data(at: int, value: int) -> None:
    altered = ENCODED[:at] + bytes([value]) + ENCODED[at + 1 :]
    text = altered.decode("utf-8", "surrogateescape")
    if altered == ENCODED or at in EXTRA_DATA:
        return
    with pytest.raises(ProofError):
        proof.verify(text, KEY.verifier, LEAVES[INDEX])


@given(st.sampled_from(EXTRA_DATA), st.integers(0, 255))
def test_altered_extra_data_changes_nothing_of_what_is_proven(at: int, value: int) -> None:
    altered = ENCODED[:at] + bytes([value]) + ENCODED[at + 1 :]
    try:
        accepted = proof.verify(altered.decode("utf-8", "surrogateescape"), KEY.verifier, LEAVES[INDEX])
    except ProofError:
        return
    assert accepted == proof.verify(PROOF, KEY.verifier, LEAVES[INDEX])


@given(st.integers(0, len(PROOF)), st.characters(), st.booleans())
def test_a_character_added_or_missing_is_refused(at: int, character: str, added: bool) -> None:  # noqa: FBT001
    altered = PROOF[:at] + character + PROOF[at:] if added else PROOF[:at] + PROOF[at + 1 :]
    if altered != PROOF:
        with pytest.raises(ProofError):
            proof.verify(altered, KEY.verifier, LEAVES[INDEX])
