"""The console's check of proofs, under node: it judges as others do, and byte for byte as our own Python does."""

import base64
import json
import random
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

import pytest

from ledger.domain import note, proof
from ledger.domain.merkle import ProofError, inclusion_path, leaf_hash
from ledger.domain.note import Checkpoint, NoteError, SignerKey, VerifierKey
from ledger.domain.proof import HEADER, Proof
from tests.plugin import ROOT
from tests.support.browser.javascript import STATIC, Claim, ask, examine
from tests.support.log.history import root

pytestmark = pytest.mark.usefixtures("node")

VECTORS: Final = ROOT / "tests" / "vectors"
REKOR_KEY: Final = "log2025-1.rekor.sigstore.dev+cf119915+AbfK5adZJxsI323FwGD2AJJ9F4i89cfDuLdGJBIYntuO"
KEY: Final = SignerKey("log.test/tracking", bytes(range(32)))
VERIFIER: Final = str(KEY.verifier)
NUMBERS: Final = [f"3K9M7QX2PZ4MYID{letter}" for letter in "ABCDEFGHJKMNPQ"]
ENTRIES: Final = [
    json.dumps({"number": number, "origin": "Ä"}, ensure_ascii=False, separators=(",", ":")) for number in NUMBERS
]
LEAVES: Final = [leaf_hash(entry.encode()) for entry in ENTRIES]
EVERY_STEP: Final = {"entry": True, "proof": True, "inclusion": True, "signature": True}
HASH: Final = base64.b64encode(LEAVES[0]).decode()
WITNESS: Final = f"\N{EM DASH} witness.example {base64.b64encode(b'abcd' + bytes(72)).decode()}\n"


def prove(index: int, size: int, *, key: SignerKey = KEY, origin: str = "log.test/tracking") -> str:
    checkpoint = Checkpoint(origin, size, root(LEAVES[:size]))
    signed = note.write(checkpoint, key.verifier, key.sign(checkpoint.text))
    return proof.write(Proof(index, [root(LEAVES[begin:end]) for begin, end in inclusion_path(index, size)], signed))


def claim(text: str | bytes, index: int = 5, *, key: str = VERIFIER) -> Claim:
    given = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return Claim(ENTRIES[index], LEAVES[index], NUMBERS[index], given, key)


GOOD: Final = prove(5, 7)
WITH_EXTRA: Final = GOOD.replace(f"{HEADER}\n", f"{HEADER}\nextra aGVsbG8=\n") + WITNESS


def test_inclusion_is_judged_as_others_judge_it() -> None:
    cases = json.loads((VECTORS / "merkle" / "inclusion.json").read_text())
    claims = [
        {
            "index": str(case["leafIdx"]),
            "size": str(case["treeSize"]),
            "leaf": case["leafHash"] or "",
            "path": case["proof"] or [],
            "root": case["root"] or "",
        }
        for case in cases
    ]
    verdicts = ask("inclusion", claims)
    assert verdicts == [not case["wantErr"] for case in cases]
    assert (len(verdicts), sum(verdicts)) == (98, sum(not case["wantErr"] for case in cases))


def test_a_proof_of_a_public_log_verifies() -> None:
    entry = (VECTORS / "merkle" / "rekor-entry.json").read_bytes()
    text = (VECTORS / "merkle" / "rekor.tlog-proof").read_bytes()
    (verdict,) = examine([Claim(entry.decode(), leaf_hash(entry), "", text, REKOR_KEY)])
    assert verdict.steps == EVERY_STEP | {"entry": False}, "its entry is of no number of ours"
    assert verdict.texts["inclusion"].startswith("The leaf is number 412114 of a tree of 412115 leaves")
    assert verdict.texts["signature"] == "The checkpoint is signed by log2025-1.rekor.sigstore.dev, key cf119915."


def test_an_entry_is_hashed_as_it_always_was() -> None:
    cases = json.loads((VECTORS / "entry-v1.json").read_text())
    verdicts = examine(
        [Claim(case["entry"], bytes.fromhex(case["leaf_hash"]), case["event"]["number"], b"", "") for case in cases]
    )
    assert [verdict.steps for verdict in verdicts] == [{"entry": True, "proof": False}] * len(cases)


def test_each_leaf_of_each_tree_is_proven() -> None:
    places = [(index, size) for size in range(1, len(LEAVES) + 1) for index in range(size)]
    verdicts = examine([claim(prove(index, size), index) for index, size in places])
    assert [verdict.steps for verdict in verdicts] == [EVERY_STEP] * len(places)


@pytest.mark.parametrize(
    ("altered", "failed", "says"),
    [
        (claim(GOOD)._replace(entry=ENTRIES[5].replace("Ä", "Ö")), ["entry", "inclusion"], "not that of the entry"),
        (claim(GOOD)._replace(entry=ENTRIES[4]), ["entry", "inclusion"], "not that of the entry"),
        (claim(GOOD)._replace(leaf_hash=LEAVES[4]), ["entry"], "not that of the entry"),
        (claim(GOOD)._replace(number=NUMBERS[4]), ["entry"], f"another number than {NUMBERS[4]}"),
        # Whoever shows another entry with its own leaf hash: the log doesn't have it there.
        (claim(GOOD, 4), ["inclusion"], "not number 5 of the tree of 7 leaves"),
        (claim(GOOD.replace("index 5", "index 4")), ["inclusion"], "not number 4 of"),
        (claim(GOOD.replace("index 5", "index 7")), ["inclusion"], "no leaf 7"),
        (claim(GOOD.replace("\n7\n", "\n8\n")), ["signature"], "does not fit the checkpoint"),
        (claim(GOOD.replace("\n7\n", "\n6\n")), ["inclusion", "signature"], "does not fit the checkpoint"),
        (claim(GOOD, key=str(SignerKey("log.test/tracking", bytes(32)).verifier)), ["signature"], "not signed by"),
        (claim(GOOD, key=VERIFIER.replace("tracking", "other")), ["signature"], "was altered"),
        (claim(GOOD, key=VERIFIER.replace("+A", "+B")), ["signature"], "was altered"),
        (claim(GOOD, key=""), ["signature"], "not of the form"),
        (claim(prove(5, 7, key=SignerKey("log.test/tracking", bytes(32)))), ["signature"], "not signed by"),
        (claim(prove(5, 7, origin="log.test/other")), ["signature"], "is of the log log.test/other"),
        (claim(""), ["proof"], "begins with the line"),
        (claim(GOOD.replace("index 5", "index 05")), ["proof"], "no line with the index"),
        (claim(GOOD.encode() + b"\xff"), ["proof"], "not UTF-8"),
        (claim(f"\N{BYTE ORDER MARK}{GOOD}"), ["proof"], "begins with the line"),
        (claim(GOOD.replace("index 5\n", "index 5\nAAAA\n")), ["proof"], "base64 of 32 bytes"),
        (claim(GOOD.replace("index 5\n", f"index 5\n{HASH}\n")), ["inclusion"], "too long for the tree"),
        (claim(GOOD.replace(f"{GOOD.splitlines()[2]}\n", "")), ["inclusion"], "too short for the tree"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_altered_is_refused_in_the_step_that_finds_it(altered: Claim, failed: list[str], says: str) -> None:
    (verdict,) = examine([altered])
    assert verdict.failed == failed
    assert any(says in verdict.texts[step] for step in failed), verdict.texts


def test_a_wrong_signature_counts_although_a_right_one_stands_beside_it() -> None:
    wrong = f"\N{EM DASH} {KEY.verifier.name} {base64.b64encode(KEY.verifier.id + bytes(64)).decode()}\n"
    before = GOOD.replace("\n\n\N{EM DASH}", f"\n\n{wrong}\N{EM DASH}")
    first, second, foreign = examine([claim(before), claim(GOOD + wrong), claim(GOOD + WITNESS)])
    assert (first.failed, second.failed) == (["signature"], ["signature"])
    assert foreign.proven


def altered_texts() -> Iterator[bytes]:
    """Each byte changed, left out and doubled; lines left out, doubled and exchanged; and pieces of proofs put in."""
    chance = random.Random(6962)
    whole = WITH_EXTRA.encode()
    for at in range(len(whole)):
        values = {whole[at] ^ 1, whole[at] ^ 0x20, ord("\n"), ord(" "), ord("="), 0xFF, chance.randrange(256)}
        yield from (whole[:at] + bytes([value]) + whole[at + 1 :] for value in sorted(values))
        yield whole[:at] + whole[at + 1 :]
        yield whole[:at] + whole[at : at + 1] + whole[at:]
    lines = whole.split(b"\n")
    for at in range(len(lines)):
        yield b"\n".join(lines[:at] + lines[at + 1 :])
        yield b"\n".join(lines[: at + 1] + lines[at:])
        yield b"\n".join([*lines[:at], *lines[at : at + 2][::-1], *lines[at + 2 :]])
    pieces = (
        "\n",
        "\n\n",
        "\r",
        "\t",
        "\x00",
        "\x85",
        "\N{NO-BREAK SPACE}",
        "\N{BYTE ORDER MARK}",
        "\N{EM DASH} ",
        "+",
    )
    for piece in (
        *pieces,
        "index 5",
        base64.b64encode(LEAVES[0]).decode(),
        WITNESS,
        HEADER,
        "\N{ARABIC-INDIC DIGIT FIVE}",
    ):
        for at in sorted(chance.sample(range(len(WITH_EXTRA)), 60)):
            yield (WITH_EXTRA[:at] + piece + WITH_EXTRA[at:]).encode()


def python_accepts(text: bytes) -> bool:
    try:
        proof.verify(text.decode("utf-8", "surrogateescape"), KEY.verifier, LEAVES[5])
    except ProofError:
        return False
    return True


def test_whatever_is_done_to_a_proof_it_is_judged_as_python_judges_it() -> None:
    texts = [text for text in altered_texts() if text != WITH_EXTRA.encode()]
    expected = [python_accepts(text) for text in texts]
    judged = [verdict.proven for verdict in examine([claim(text) for text in texts])]
    assert [text for text, here, there in zip(texts, judged, expected, strict=True) if here != there] == []
    # What may be changed is the extra data and the other's signature, some 150 of 900 bytes.
    assert 200 < sum(expected) < len(expected) / 4, (sum(expected), len(expected))


def test_what_is_signed_and_no_checkpoint_of_the_log_is_refused_where_python_refuses_it() -> None:
    name, tree = KEY.verifier.name, base64.b64encode(root(LEAVES[:7])).decode()
    sizes = ("07", "+7", "-7", "7 ", " 7", "7.0", "7e0", "\N{ARABIC-INDIC DIGIT SEVEN}", "", "9" * 20)
    signed = [
        f"{name}\n7\n{tree}\nmore\nand more\n",
        *(f"{name}\n{size}\n{tree}\n" for size in sizes),
        *("\n", f"{name}\n", f"{name}\n7\n", f"{name}\n7\n\n", f"\n7\n{tree}\n", f"{name} \n7\n{tree}\n"),
        *(f"{name}\n7\n{tree}{rest}" for rest in ("\n\n", "\n\nmore\n", " \n", "=\n")),
        *(f"{name}\n7\n{other}\n" for other in (tree[:-1], f" {tree}", base64.b64encode(bytes(31)).decode())),
    ]
    head = GOOD.partition("\n\n")[0]
    ours = [f"\N{EM DASH} {name} {base64.b64encode(KEY.verifier.id + KEY.sign(text)).decode()}\n" for text in signed]
    texts = [f"{head}\n\n{text}\n{line}".encode() for text, line in zip(signed, ours, strict=True)]
    assert [verdict.proven for verdict in examine([claim(text) for text in texts])] == [True] + [False] * 23
    assert [python_accepts(text) for text in texts] == [True] + [False] * 23


def test_lines_that_are_no_signature_and_extra_data_are_judged_as_python_judges_them() -> None:
    short = (base64.b64encode(b"abcd"[:length]).decode() for length in range(5))
    texts = [
        *(f"{GOOD}\N{EM DASH} witness.example {each}\n" for each in (*short, "YWJjZGU=")),
        *(
            GOOD.replace("index", f"{extra}\nindex")
            for extra in ("extra ", "extra", "extra  ", "extra YQ==", "extra YR==")
        ),
        GOOD.replace("index", f"extra {'A' * 4 * note.LONGEST_NOTE}\nindex"),
    ]
    expected = [python_accepts(text.encode()) for text in texts]
    assert [verdict.proven for verdict in examine([claim(text) for text in texts])] == expected
    assert sum(expected) == 3


def test_a_proof_is_as_long_as_python_lets_it_be() -> None:
    longest = proof.write(Proof(2**63 - 1, [LEAVES[0]] * 63, GOOD.partition("\n\n")[2]))
    longer = longest.replace(f"index {2**63 - 1}\n", f"index {2**63 - 1}\n{HASH}\n")
    room = note.LONGEST_NOTE - len(GOOD.partition("\n\n")[2])
    most = GOOD + WITNESS * (room // len(WITNESS))
    for text, readable in ((longest, True), (longer, False), (most, True), (most + WITNESS, False)):
        (verdict,) = examine([claim(text)])
        assert verdict.steps["proof"] is readable


def written(name: str, kind: bytes = b"\x01") -> str:
    """A verifier key whose id is right, whatever else it is."""
    typed = kind + bytes(range(32))
    return f"{name}+{sha256(name.encode() + b'\n' + typed).hexdigest()[:8]}+{base64.b64encode(typed).decode()}"


def test_a_verifier_key_is_read_where_python_reads_it() -> None:
    keys = [VERIFIER, REKOR_KEY, "", "a", "a+b", "+cf119915+AbfK", f"{VERIFIER} ", f" {VERIFIER}", VERIFIER[:-1]]
    keys += [written("log.test/tracking", b"\x02"), written("log test"), written("log.test"), written("x" * 256)]
    keys += [written("\x85"), written("\N{BYTE ORDER MARK}"), written("")]
    keys += [VERIFIER[:at] + other + VERIFIER[at + 1 :] for at in range(len(VERIFIER)) for other in "aZ0+ =\n"]
    expected: list[str | None] = []
    for key in keys:
        try:
            expected.append(VerifierKey.parse(key).name)
        except NoteError:
            expected.append(None)
    assert ask("key", [{"key": key} for key in keys]) == expected
    assert expected[:2] == [KEY.verifier.name, "log2025-1.rekor.sigstore.dev"]
    assert 2 <= len([name for name in expected if name]) < 10


def test_the_console_needs_no_library_for_it() -> None:
    for file in ("tlog.js", "proof.js"):
        imports: list[Any] = [line for line in (STATIC / file).read_text().splitlines() if line.startswith("import ")]
        assert imports == (['import { examine } from "./tlog.js";'] if file == "proof.js" else [])
