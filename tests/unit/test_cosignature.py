"""Cosignatures of witnesses, and what a witness's answers mean: what is no proof of its word is not taken for it."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.env import Env, SettingsError, load
from ledger import runtime
from ledger.domain import cosignature, note, proof
from ledger.domain.cosignature import Cosignature, Policy, WitnessKey
from ledger.domain.merkle import ProofError, leaf_hash
from ledger.domain.note import Checkpoint, NoteError, SignerKey
from ledger.domain.witnessing import Answer, Contradicted, Elsewhere, Question, Refused, meaning

# A public witness's, from the tests of github.com/transparency-dev/formats (BSD license).
THEIRS = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"

LOG = SignerKey("log.test/tracking", bytes(range(32)))
TREE = Checkpoint("log.test/tracking", 3, leaf_hash(b"any root"))
NOTE = note.write(TREE, LOG.verifier, LOG.sign(TREE.text))
PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in range(3)]
KEYS = [WitnessKey(f"witness.test/{n}", each.public_key().public_bytes_raw()) for n, each in enumerate(PRIVATE)]


def cosigned(which: int, text: str = TREE.text, timestamp: int = 1_795_000_000) -> str:
    """The line of a witness, by the words of c2sp.org/tlog-cosignature."""
    signature = PRIVATE[which].sign(b"cosignature/v1\ntime %d\n%b" % (timestamp, text.encode()))
    data = KEYS[which].id + timestamp.to_bytes(8) + signature
    return f"\N{EM DASH} {KEYS[which].name} {base64.b64encode(data).decode()}\n"


def test_a_witnesss_verifier_key_is_read_and_written_and_is_not_a_logs() -> None:
    assert str(WitnessKey.parse(THEIRS)) == THEIRS
    with pytest.raises(NoteError, match="type 4"):
        WitnessKey.parse(str(LOG.verifier))
    with pytest.raises(NoteError, match="type 1"):
        note.VerifierKey.parse(THEIRS)


def test_cosignatures_are_found_below_a_note_and_written_back_word_for_word() -> None:
    lines = [cosigned(1), cosigned(0)]
    found = cosignature.found(NOTE + "".join(lines), KEYS[:2])
    assert {name: each.timestamp for name, each in found.items()} == dict.fromkeys(
        ("witness.test/0", "witness.test/1"), 1_795_000_000
    )
    assert [note.line(KEYS[n], found[KEYS[n].name].data) for n in (1, 0)] == lines
    assert cosignature.found(NOTE + "".join(lines), [KEYS[2]]) == {}
    assert note.read(NOTE + "".join(lines), LOG.verifier)[0] == TREE, "the log's own is still found"


@pytest.mark.parametrize(
    "line",
    [
        cosigned(0, TREE.text.replace("3", "4")),
        cosigned(0).replace("witness.test/0 ", "witness.test/0 ")[:-8] + "AAAA" + cosigned(0)[-4:],
        cosigned(0, timestamp=1 << 63),
        note.line(KEYS[0], PRIVATE[0].sign(TREE.text.encode())),
    ],
    ids=["of another tree", "altered", "after the end of time", "without a time"],
)
def test_a_cosignature_that_does_not_fit_spoils_the_note(line: str) -> None:
    with pytest.raises(NoteError):
        cosignature.found(NOTE + line, KEYS)


def test_more_than_half_of_the_witnesses_are_a_quorum_unless_it_is_set() -> None:
    assert [Policy.of(KEYS[:count], None).quorum for count in (1, 2, 3)] == [1, 2, 2]
    assert Policy.of(KEYS, 3).quorum == 3
    for keys, quorum in ((KEYS, 4), ([], None), ([KEYS[0], WitnessKey("another.name", KEYS[0].public)], 1)):
        with pytest.raises(NoteError):
            Policy.of(keys, quorum)


def question(old: int, size: int = 3) -> Question:
    return Question(old, TREE._replace(size=size), NOTE, [leaf_hash(b"a")] if 0 < old < size else [])


def test_a_question_is_written_as_the_specification_has_it() -> None:
    first, hashes, rest = question(2).body.decode().split("\n", 2)
    assert (first, base64.b64decode(hashes), rest) == ("old 2", leaf_hash(b"a"), f"\n{NOTE}")
    assert question(0).body.decode() == f"old 0\n\n{NOTE}"
    with pytest.raises(ProofError):
        _ = question(2)._replace(proof=[bytes(32)] * 64).body


@pytest.mark.parametrize(
    ("old", "status", "body", "expected"),
    [
        (2, 409, b"1\n", Elsewhere(1)),
        (2, 409, b"7\n", Elsewhere(7)),
        (2, 409, b"2\n", Refused("answered 409 without the size that it knows")),
        (2, 409, b"01\n", Refused("answered 409 without the size that it knows")),
        (2, 409, b"", Refused("answered 409 without the size that it knows")),
        (3, 409, b"3\n", Contradicted("knows another tree of 3 leaves")),
        (2, 422, b"", Contradicted("refuses the proof that the log of 3 leaves begins with the 2 it cosigned")),
        (0, 422, b"", Refused("answered 422")),
        (2, 404, b"", Refused("answered 404")),
        (2, 301, b"", Refused("answered 301")),
        (2, 200, b"", Refused("answered with what is no cosignature of the checkpoint by its key")),
        (2, 200, cosigned(1).encode(), Refused("answered without a cosignature of its key")),
        (
            2,
            200,
            cosigned(0, "x\n3\n\n").encode(),
            Refused("answered with what is no cosignature of the checkpoint by its key"),
        ),
        (2, 200, b"\xff", Refused("answered with what is no cosignature of the checkpoint by its key")),
    ],
)
def test_an_answer_means_what_the_specification_says(old: int, status: int, body: bytes, expected: object) -> None:
    assert meaning(question(old), Answer(status, body), KEYS[0]) == expected


def test_a_witness_may_give_several_cosignatures_and_ours_is_taken() -> None:
    body = (cosigned(2) + cosigned(0)).encode()
    given = meaning(question(2), Answer(200, body), KEYS[0])
    assert isinstance(given, Cosignature)
    KEYS[0].check(TREE.text, given)


def test_a_proof_counts_the_witnesses_it_is_asked_for() -> None:
    leaf = leaf_hash(b"entry")
    tree = Checkpoint(LOG.verifier.name, 1, leaf)
    text = note.write(tree, LOG.verifier, LOG.sign(tree.text)) + cosigned(0, tree.text) + cosigned(1, tree.text)
    whole = proof.write(proof.Proof(0, [], text))
    assert proof.verify(whole, LOG.verifier, leaf, Policy.of(KEYS, 2)) == (0, tree)
    with pytest.raises(ProofError, match="2 of the witnesses"):
        proof.verify(whole, LOG.verifier, leaf, Policy.of(KEYS, 3))
    with pytest.raises(ProofError):
        proof.verify(whole.replace(cosigned(1, tree.text), cosigned(1)), LOG.verifier, leaf, Policy.of(KEYS, 1))


def env(**given: str) -> Env:
    return load({"DATABASE_URL": "postgresql://x/y", **given})


def test_settings_name_witnesses_and_where_they_are_asked() -> None:
    assert runtime.witnesses(env()) is None
    given = runtime.witnesses(env(WITNESSES=f"{THEIRS}@https://remora.n621.de/a,{KEYS[0]}@http://[::1]:80"))
    assert given is not None
    assert [key.name for key in given.policy.keys] == ["remora.n621.de", "witness.test/0"]
    assert (given.addresses, given.policy.quorum, given.pace) == (
        ("https://remora.n621.de/a", "http://[::1]:80"),
        2,
        10,
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"WITNESSES": THEIRS}, "WITNESSES"),
        ({"WITNESSES": f"{THEIRS}@ftp://a"}, "WITNESSES"),
        ({"WITNESSES": f"{THEIRS.replace('da77', 'da78')}@https://a"}, "altered"),
        ({"WITNESSES": f"{LOG.verifier}@https://a"}, "type 4"),
        ({"WITNESSES": f"{THEIRS}@https://a,{THEIRS}@https://b"}, "one name or one key"),
        ({"WITNESSES": f"{THEIRS}@https://a,{KEYS[0]}@https://a"}, "one address"),
        ({"WITNESSES": f"{THEIRS}@https://a", "WITNESS_QUORUM": "2"}, "can't be had of 1"),
        ({"WITNESS_QUORUM": "1"}, "no WITNESSES"),
    ],
)
def test_settings_that_make_no_policy_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        runtime.witnesses(env(**given))
