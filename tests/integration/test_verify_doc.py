"""docs/verify.md: its programs, as a reader would copy them, prove a good log and no other."""

import asyncio
import base64
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.domain import bundle, cosignature, merkle, note, tiles
from ledger.domain.cosignature import Cosignature, WitnessKey
from ledger.domain.growth import Growth
from ledger.domain.note import Checkpoint, SignerKey, VerifierKey
from ledger.domain.tiles import ENTRIES, Tile
from tests.plugin import LEDGER_KEY, ROOT, Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.load import Answered, load
from tests.support.processes import commands
from tests.support.processes.sealers import seal
from tests.support.processes.service import ServiceFactory

DOCUMENT = (ROOT / "docs" / "verify.md").read_text()
KEY = SignerKey.parse(LEDGER_KEY)
VKEY = str(KEY.verifier)
EARLY, LATE = 5, 300  # the second has a full tile, a partial one, and two levels


class Log(NamedTuple):
    """A running log, and what a reader of the document has of it."""

    url: str
    answer: Answered
    proof: str
    old: str
    """The checkpoint of the first few leaves."""
    auditor: str
    """An auditor's key."""


type Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def log(database: Database, service: ServiceFactory) -> Iterator[Log]:
    web = service(database, WEB_CONCURRENCY="1")
    with httpx.Client(base_url=web.base_url, timeout=60) as client:
        answers = asyncio.run(load(web.port, EARLY)).answers
        seal(database, EARLY)
        old = client.get("/checkpoint").text
        asyncio.run(load(web.port, LATE - EARLY))
        seal(database, LATE)
        proof = client.get(answers[0].document["links"]["proof"]).text
        yield Log(web.base_url, answers[0], proof, old, make_key(database, "audit"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a program of the document in a folder where nothing of this project is."""
    folder = tmp_path_factory.mktemp("programs")
    for program, name in re.findall(r"^```python\n(# (\w+\.py).*?)^```$", DOCUMENT, flags=re.MULTILINE | re.DOTALL):
        (folder / name).write_text(program)

    def start(name: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, name, *map(str, arguments)]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return start


@pytest.fixture
def mirror(log: Log, tmp_path: Path) -> Path:
    """A copy of the log as it is served, for a test to spoil."""
    with httpx.Client(base_url=log.url, headers=bearer(log.auditor), timeout=60) as client:
        wanted = ["checkpoint", *(f"tile/{tile.path}" for tile in served(LATE))]
        for path in wanted:
            put(tmp_path / path, client.get(f"/{path}").raise_for_status().content)
    return tmp_path


def served(size: int) -> list[Tile]:
    """All tiles and bundles of a tree with one full tile on its lowest level and a partial one beside it."""
    return [*tiles.growing(size), Tile(0, 0), Tile(ENTRIES, 0), Tile(ENTRIES, 1, size - tiles.WIDTH)]


def put(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def spoil(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def kept(folder: Path, text: str) -> Path:
    put(folder / "kept", text.encode())
    return folder / "kept"


def rewrite(mirror: Path, leaf: int, old: bytes = b'"issued"', new: bytes = b'"Issued"', *, sign: bool = True) -> None:
    """What an operator could do: change an entry, recompute every tile, and sign the other history."""
    bundles = [mirror / "tile" / Tile(ENTRIES, at, width).path for at, width in ((0, 256), (1, LATE - 256))]
    entries = [entry for file in bundles for entry in bundle.read(file.read_bytes())]
    assert old in entries[leaf]
    entries[leaf] = entries[leaf].replace(old, new)
    for at, file in enumerate(bundles):
        put(file, bundle.write(entries[at * 256 : at * 256 + 256]))
    growth = Growth()
    for place, hashes in growth.extend(map(merkle.leaf_hash, entries)):
        put(mirror / "tile" / Tile(*place).path, hashes)
    for tile in tiles.growing(LATE):
        put(mirror / "tile" / tile.path, growth.edge[tile.level])
    if sign:
        put(mirror / "checkpoint", signed(growth).encode())


def signed(growth: Growth) -> str:
    checkpoint = Checkpoint(KEY.verifier.name, growth.size, growth.root)
    return note.write(checkpoint, KEY.verifier, KEY.sign(checkpoint.text))


def proven(outcome: subprocess.CompletedProcess[str]) -> bool:
    says, ended_well = outcome.stdout.startswith("Proven: "), outcome.returncode == 0
    assert says == ended_well, outcome
    return says


def test_the_document_has_five_programs() -> None:
    names = re.findall(r"^```python\n# (\w+\.py): ", DOCUMENT, flags=re.MULTILINE)
    assert names == ["tlog.py", "receipt.py", "consistency.py", "quorum.py", "audit.py"]


def test_the_entry_shown_has_the_leaf_hash_shown() -> None:
    (entry,) = re.findall(r"^    (\{.*\})$", DOCUMENT, flags=re.MULTILINE)
    (leaf_hash,) = set(re.findall(r"receipt\.py \S+ ([0-9a-f]{64})", DOCUMENT))
    assert sha256(b"\x00" + entry.encode()).hexdigest() == leaf_hash


def test_a_receipt_is_proven(log: Log, run: Run, tmp_path: Path) -> None:
    outcome = run("receipt.py", VKEY, log.answer.document["leaf_hash"], kept(tmp_path, log.proof))
    assert proven(outcome), outcome.stderr
    assert f"of the {LATE} " in outcome.stdout


def test_a_receipt_with_any_line_altered_is_not_proven(log: Log, run: Run, tmp_path: Path) -> None:
    lines = log.proof.split("\n")
    assert len(lines) == 2 + 9 + 1 + 3 + 1 + 1 + 1
    for at, line in enumerate(lines[:-1]):
        altered = "!" if not line else line[:-3] + ("A" if line[-3] != "A" else "B") + line[-2:]
        changed = "\n".join([*lines[:at], altered, *lines[at + 1 :]])
        outcome = run("receipt.py", VKEY, log.answer.document["leaf_hash"], kept(tmp_path, changed))
        assert not proven(outcome), (line, altered)


def test_a_receipt_for_another_leaf_or_by_another_key_is_not_proven(log: Log, run: Run, tmp_path: Path) -> None:
    leaf_hash, file = log.answer.document["leaf_hash"], kept(tmp_path, log.proof)
    other = f"{int(leaf_hash[0], 16) ^ 1:x}{leaf_hash[1:]}"
    assert "not in this tree" in run("receipt.py", VKEY, other, file).stderr
    stranger = str(VerifierKey(KEY.verifier.name, SignerKey("x", bytes(32)).verifier._encoded[1:]))
    assert "not signed by" in run("receipt.py", stranger, leaf_hash, file).stderr
    altered = VKEY[:-2] + ("A" if VKEY[-2] != "A" else "B") + VKEY[-1]
    assert "key was altered" in run("receipt.py", altered, leaf_hash, file).stderr


def test_the_leaf_hash_is_that_of_the_entry_at_the_proofs_index(log: Log, mirror: Path) -> None:
    index = int(log.proof.split("\n")[1].removeprefix("index "))
    entries = bundle.read((mirror / "tile" / Tile(ENTRIES, 0).path).read_bytes())
    assert sha256(b"\x00" + entries[index]).hexdigest() == log.answer.document["leaf_hash"]
    assert f'"{log.answer.document["tracking_number"]}"'.encode() in entries[index]


def test_growth_is_proven_over_http_and_from_a_copy(log: Log, run: Run, mirror: Path, tmp_path: Path) -> None:
    old = kept(tmp_path, log.old)
    for url in (log.url, mirror.as_uri()):
        outcome = run("consistency.py", VKEY, url, old)
        assert proven(outcome), outcome.stderr
        assert f"the {LATE} leaves begin with the {EARLY} " in outcome.stdout


def test_growth_is_proven_from_the_checkpoint_at_the_end_of_a_proof(log: Log, run: Run, tmp_path: Path) -> None:
    (command,) = set(re.findall(r"^    (sed .*) number\.tlog-proof > ", DOCUMENT, flags=re.MULTILINE))
    cut = subprocess.run(f"{command} {kept(tmp_path, log.proof)}", shell=True, check=True, capture_output=True)  # noqa: S602  # the document's command
    put(tmp_path / "cut", cut.stdout)
    assert proven(run("consistency.py", VKEY, log.url, tmp_path / "cut"))
    assert proven(run("consistency.py", VKEY, log.url, kept(tmp_path, log.old), tmp_path / "cut"))
    assert not proven(run("consistency.py", VKEY, log.url, tmp_path / "cut", kept(tmp_path, log.old)))


def test_growth_from_sizes_of_every_kind_is_proven(run: Run, mirror: Path, tmp_path: Path) -> None:
    held = [(mirror / "tile" / Tile(0, at, width).path).read_bytes() for at, width in ((0, 256), (1, LATE - 256))]
    leaves = tiles.split(b"".join(held))
    for size in (1, 2, 3, 8, 200, 255, 256, 257, 299, 300):
        growth = Growth()
        growth.extend(leaves[:size])
        old = kept(tmp_path, signed(growth))
        assert proven(run("consistency.py", VKEY, mirror.as_uri(), old)), size


def test_growth_over_a_spoilt_tile_or_from_an_altered_checkpoint_is_not_proven(
    log: Log, run: Run, mirror: Path, tmp_path: Path
) -> None:
    old = kept(tmp_path, log.old)
    for tile in (Tile(0, 0), Tile(0, 1, LATE - 256)):
        file = mirror / "tile" / tile.path
        spoil(file, 7)
        assert not proven(run("consistency.py", VKEY, mirror.as_uri(), old))
        spoil(file, 7)
    assert proven(run("consistency.py", VKEY, mirror.as_uri(), old))
    put(old, log.old.replace(f"\n{EARLY}\n", f"\n{EARLY + 1}\n").encode())
    assert "does not fit" in run("consistency.py", VKEY, mirror.as_uri(), old).stderr


@pytest.mark.parametrize("leaf", [0, 3, 4])
def test_a_history_rewritten_and_signed_anew_is_not_proven(
    log: Log, run: Run, mirror: Path, tmp_path: Path, leaf: int
) -> None:
    rewrite(mirror, leaf)
    outcome = run("consistency.py", VKEY, mirror.as_uri(), kept(tmp_path, log.old))
    assert "NOT PROVEN: the tiles do not lead" in outcome.stderr
    assert not proven(outcome)


def test_a_second_history_passes_every_check_until_checkpoints_are_compared(run: Run, mirror: Path) -> None:
    put(mirror / "first", (mirror / "checkpoint").read_bytes())
    rewrite(mirror, LATE - 1)
    assert proven(run("audit.py", VKEY, mirror.as_uri()))
    outcome = run("consistency.py", VKEY, mirror.as_uri(), mirror / "first", mirror / "checkpoint")
    assert f"NOT PROVEN: the {LATE} leaves do not begin with" in outcome.stderr


def test_the_whole_log_is_proven_with_an_auditors_key_and_read_by_nobody_else(log: Log, run: Run, mirror: Path) -> None:
    outcome = run("audit.py", VKEY, log.url, AUDITOR_KEY=log.auditor)
    assert proven(outcome), outcome.stderr
    assert outcome.stdout.startswith(f"Proven: {LATE} entries, {LATE} numbers")
    assert "401" in run("audit.py", VKEY, log.url).stderr
    assert proven(run("audit.py", VKEY, mirror.as_uri()))


@pytest.mark.parametrize("tile", served(LATE), ids=lambda tile: tile.path)
def test_a_log_with_one_byte_of_a_tile_or_bundle_changed_is_not_proven(run: Run, mirror: Path, tile: Tile) -> None:
    spoil(mirror / "tile" / tile.path, 20)
    assert not proven(run("audit.py", VKEY, mirror.as_uri()))


def test_a_log_whose_entries_and_tiles_are_not_those_that_were_signed_is_not_proven(run: Run, mirror: Path) -> None:
    rewrite(mirror, 3, sign=False)
    assert "do not lead to the root" in run("audit.py", VKEY, mirror.as_uri()).stderr


def test_a_signed_log_with_an_entry_in_another_form_is_not_proven(run: Run, mirror: Path) -> None:
    rewrite(mirror, 3, b'"type":"issued"', b'"type": "issued"')
    assert "leaf 3 is not canonical JSON" in run("audit.py", VKEY, mirror.as_uri()).stderr


def test_a_signed_log_in_which_a_number_was_issued_twice_is_not_proven(run: Run, mirror: Path) -> None:
    first, second, *_ = bundle.read((mirror / "tile" / Tile(ENTRIES, 0).path).read_bytes())
    rewrite(mirror, 1, second, first)
    assert "was issued twice, the second time as leaf 1" in run("audit.py", VKEY, mirror.as_uri()).stderr


def test_a_quorum_is_proven_by_as_many_witnesses_as_have_cosigned_and_no_more(
    log: Log, run: Run, tmp_path: Path
) -> None:
    text = log.proof.partition("\n\n")[2]
    body, keys = text.rpartition("\n\n")[0] + "\n", []
    for seed in range(3):
        private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        keys.append(WitnessKey(f"witness.test/{seed}", private.public_key().public_bytes_raw()))
        if seed < 2:
            given = Cosignature(1_795_000_000, private.sign(cosignature.message(body, 1_795_000_000).encode()))
            text += note.line(keys[-1], given.data)
    file, first, second, third = kept(tmp_path, text), *map(str, keys)
    outcome = run("quorum.py", file, VKEY, 2, first, second, third)
    assert proven(outcome), outcome.stderr
    assert "witness.test/0 at 2026-11-18T" in outcome.stdout
    for quorum, named in ((3, (first, second, third)), (2, (first, third)), (0, (third,)), (2, (first, first))):
        assert "have cosigned, not" in run("quorum.py", file, VKEY, quorum, *named).stderr
    same = str(WitnessKey("witness.test/again", keys[0].public))
    assert not proven(run("quorum.py", file, VKEY, 2, first, same))
    stranger = str(WitnessKey(keys[0].name, keys[2].public))
    assert not proven(run("quorum.py", file, VKEY, 1, stranger))
    assert "was altered" in run("quorum.py", file, VKEY, 1, VKEY).stderr
    whole = log.proof.partition("\n\n")[0] + "\n\n" + text
    assert proven(run("receipt.py", VKEY, log.answer.document["leaf_hash"], kept(tmp_path, whole)))
    lines = text.split("\n")
    for at in (1, 2, *range(4, len(lines) - 1)):
        line = lines[at]
        altered = "7" if at == 1 else line[:-6] + ("A" if line[-6] != "A" else "B") + line[-5:]
        changed = kept(tmp_path, "\n".join([*lines[:at], altered, *lines[at + 1 :]]))
        assert not proven(run("quorum.py", changed, VKEY, 2, first, second)), line


def test_our_own_commands_agree_and_need_no_database(log: Log, mirror: Path, tmp_path: Path) -> None:
    def manage(*arguments: object) -> subprocess.CompletedProcess[str]:
        settings = {"DATA_DIR": str(tmp_path / "nothing"), "LEDGER_KEY": LEDGER_KEY}
        return commands.run(*map(str, arguments), environment=commands.UNSET | settings)

    assert manage("ledger_key").stdout == f"{VKEY}\n"
    proof, leaf_hash = kept(tmp_path, log.proof), str(log.answer.document["leaf_hash"])
    assert manage("verify_proof", proof, "--key", VKEY, "--leaf-hash", leaf_hash).stdout.startswith("Proven: ")
    index = int(log.proof.split("\n")[1].removeprefix("index "))
    entry = bundle.read((mirror / "tile" / Tile(ENTRIES, 0).path).read_bytes())[index]
    put(tmp_path / "entry", entry)
    assert manage("verify_proof", proof, "--key", VKEY, "--entry", tmp_path / "entry").stdout.startswith("Proven: ")
    put(tmp_path / "entry", entry.replace(b'"issued"', b'"Issued"'))
    refused = manage("verify_proof", proof, "--key", VKEY, "--entry", tmp_path / "entry")
    assert refused.returncode == 1
    assert "Not proven" in refused.stderr


def test_a_checkpoint_in_another_form_of_base64_is_not_taken(log: Log, run: Run, tmp_path: Path) -> None:
    first, rest = log.proof.split("\n\n", 1)
    *head, last = first.split("\n")
    loose = last[:-2] + chr(ord(last[-2]) + 1) + "="
    assert base64.b64decode(loose) == base64.b64decode(last)
    changed = kept(tmp_path, "\n".join([*head, loose]) + "\n\n" + rest)
    assert "is not base64 of 32 bytes" in run("receipt.py", VKEY, log.answer.document["leaf_hash"], changed).stderr
