"""verify_proof as the holder of a number runs it: offline, on any machine, with an exit code that scripts can use."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.domain import merkle, note, proof
from ledger.domain.growth import Growth
from ledger.domain.note import Checkpoint, SignerKey
from ledger.domain.proof import Proof
from tests.plugin import ROOT
from tests.support.processes import commands
from tests.support.processes.commands import UNSET, Done

SIGNER = SignerKey("tracking.example/log", bytes(range(32)))
KEY = str(SIGNER.verifier)
ENTRIES = [b'{"number":"%d"}' % number for number in range(5)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]
NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"
AWAY = {"DATABASE_URL": NOWHERE, "DATABASE_OWNER_URL": NOWHERE, "DATABASE_SEALER_URL": NOWHERE}


def run(*arguments: str, given: bytes = b"", settings: dict[str, str] | None = None) -> Done:
    """Run a command beside a database that nobody can reach."""
    return commands.run(*arguments, given=given, environment=AWAY | (settings or {}))


def proven(index: int) -> str:
    """The proof of a leaf in the tree of all of them."""
    growth = Growth()
    growth.extend(LEAVES)
    checkpoint = Checkpoint(SIGNER.verifier.name, len(LEAVES), growth.root)
    ranges = merkle.inclusion_path(index, len(LEAVES))
    hashes = []
    for each in ranges:
        part = Growth()
        part.extend(LEAVES[each.begin : each.end])
        hashes.append(part.root)
    signed = note.write(checkpoint, SIGNER.verifier, SIGNER.sign(checkpoint.text))
    return proof.write(Proof(index, hashes, signed))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The proof of leaf 2."""
    path = tmp_path / "a.tlog-proof"
    path.write_text(proven(2), encoding="utf-8")
    return path


def verify(file: Path, *, key: str = KEY, leaf: str = LEAVES[2].hex()) -> Done:
    return run("verify_proof", str(file), "--key", key, "--leaf-hash", leaf)


def outcome(done: Done) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


def test_a_good_proof_is_said_to_be_one(file: Path) -> None:
    said = (0, "Proven: leaf 2 of 5 in the log tracking.example/log.\n", "")
    assert outcome(verify(file)) == said
    assert outcome(verify(file, leaf=LEAVES[2].hex().upper())) == said
    assert outcome(verify(file, key=f" {KEY}\n")) == said, "pasted with what was around it"


def test_the_exact_entry_does_as_well_as_its_hash(file: Path, tmp_path: Path) -> None:
    entry = tmp_path / "entry.json"
    entry.write_bytes(ENTRIES[2])
    good = run("verify_proof", str(file), "--key", KEY, "--entry", str(entry))
    assert (good.returncode, good.stdout) == (0, "Proven: leaf 2 of 5 in the log tracking.example/log.\n")
    entry.write_bytes(ENTRIES[2] + b"\n")
    bad = run("verify_proof", str(file), "--key", KEY, "--entry", str(entry))
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "Not proven: The leaf is not in the tree" in bad.stderr


def test_a_proof_is_read_from_standard_input(file: Path) -> None:
    arguments = ("verify_proof", "-", "--key", KEY, "--leaf-hash", LEAVES[2].hex())
    assert run(*arguments, given=file.read_bytes()).returncode == 0
    assert run(*arguments, given=b"").returncode == 1


def test_whoever_has_neither_database_nor_settings_can_verify(file: Path, tmp_path: Path) -> None:
    arguments = ("verify_proof", str(file), "--key", KEY, "--leaf-hash", LEAVES[2].hex())
    folder = tmp_path / "none"
    environment = os.environ | UNSET | {"DATA_DIR": str(folder)}
    line = [sys.executable, str(ROOT / "manage.py"), *arguments]
    assert subprocess.run(line, env=environment, check=False, timeout=60).returncode == 0
    assert not folder.exists(), "nothing is made"


@pytest.mark.parametrize(
    ("leaf", "sentence"),
    [
        (LEAVES[3].hex(), "Not proven: The leaf is not in the tree"),
        ("00" * 32, "Not proven: The leaf is not in the tree"),
        (LEAVES[2].hex()[:-2], "A leaf hash is 64 hex digits."),
        (LEAVES[2].hex() + "00", "A leaf hash is 64 hex digits."),
        ("", "A leaf hash is 64 hex digits."),
        ("not hex", "A leaf hash is 64 hex digits."),
        ("é" * 64, "A leaf hash is 64 hex digits."),
    ],
)
def test_another_leaf_hash_is_not_proven(file: Path, leaf: str, sentence: str) -> None:
    ended = verify(file, leaf=leaf)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert sentence in ended.stderr


OTHERS = {
    "another key of the same name": (str(SignerKey("tracking.example/log", bytes(32)).verifier), "not signed by"),
    "the same key under another name": (str(SignerKey("other.example", bytes(range(32))).verifier), "not signed by"),
    "a damaged key": (KEY[:-4] + "AAAA", "name or key was altered"),
    "a key that is none": ("hunter2", "A verifier key is written name+id+base64."),
    "no key": ("", "A verifier key is written name+id+base64."),
}


@pytest.mark.parametrize(("key", "sentence"), OTHERS.values(), ids=OTHERS)
def test_another_key_proves_nothing(file: Path, key: str, sentence: str) -> None:
    ended = verify(file, key=key)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Not proven: " in ended.stderr
    assert sentence in ended.stderr


def altered(what: str, by: str) -> bytes:
    text = proven(2)
    assert what in text
    return text.replace(what, by, 1).encode()


GARBAGE = {
    "nothing": b"",
    "a text": b"This is no proof.\n",
    "not UTF-8": b"\xff\xfe" * 100,
    "NUL": b"\0" * 100,
    "a long text": b"c2sp.org/tlog-proof@v1\n" * 100_000,
    "another index": altered("index 2", "index 3"),
    "another size": altered("\n5\n", "\n6\n"),
    "another hash": altered(base64.b64encode(LEAVES[3]).decode(), base64.b64encode(LEAVES[4]).decode()),
    "a hash less": altered(base64.b64encode(LEAVES[3]).decode() + "\n", ""),
    "another version": altered("@v1", "@v2"),
    "no checkpoint": proven(2).partition("\n\n")[0].encode(),
    "no signature": proven(2).rpartition("\n\n")[0].encode(),
    "a signature cut short": proven(2)[:-6].encode(),
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_an_altered_proof_proves_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "altered"
    file.write_bytes(content)
    ended = verify(file)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.strip()


def test_a_file_that_cannot_be_read_is_named(file: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for ended in (verify(missing), run("verify_proof", str(file), "--key", KEY, "--entry", str(missing))):
        assert ended.returncode == 1
        assert str(missing) in ended.stderr
        assert "can't be read" in ended.stderr
        assert str(file) not in ended.stderr, "the other one is fine"
    assert "can't be read" in verify(tmp_path).stderr, "a folder"


def test_the_command_line_says_what_it_lacks(file: Path) -> None:
    leaf = ("--leaf-hash", LEAVES[2].hex())
    for arguments in (
        (*leaf, "--key", KEY),
        (str(file), *leaf),
        (str(file), "--key", KEY),
        (str(file), "--key", KEY, *leaf, "--entry", str(file)),
    ):
        ended = run("verify_proof", *arguments)
        assert ended.returncode == 2
        assert "usage: " in ended.stderr


def test_the_printed_key_is_the_public_half_and_a_new_one_is_a_secret_that_signs() -> None:
    for key in (SIGNER.export(), KEY):  # whoever has only the public half can print it
        assert outcome(run("ledger_key", settings={"LEDGER_KEY": key})) == (0, f"{KEY}\n", "")
    made = [run("ledger_key", "--make", "tracking.example/log").stdout.strip() for _ in range(2)]
    assert made[0] != made[1]
    assert {SignerKey.parse(each).verifier.name for each in made} == {"tracking.example/log"}
    assert run("ledger_key", "--make", "two words").returncode == 1


def test_a_service_that_has_no_key_yet_says_what_makes_one(tmp_path: Path) -> None:
    ended = run("ledger_key", settings=UNSET | {"DATA_DIR": str(tmp_path)})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "There is no LEDGER_KEY yet. `make run` makes one" in ended.stderr
