"""Offline proofs that an entry is in the log: c2sp.org/tlog-proof@v1, written and verified."""

import base64
import binascii
import re
from typing import NamedTuple

from ledger.domain import cosignature, note
from ledger.domain.cosignature import Policy
from ledger.domain.merkle import HASH_BYTES, ProofError, verify_inclusion
from ledger.domain.note import Checkpoint, NoteError, VerifierKey

HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile("index (0|[1-9][0-9]{0,18})", re.ASCII)
_EXTRA = "extra "
_LONGEST_PATH = 63


class Proof(NamedTuple):
    """That the log of a checkpoint has a leaf at an index; ``checkpoint`` is the signed note, word for word."""

    leaf_index: int
    hashes: list[bytes]
    checkpoint: str


def write(proof: Proof) -> str:
    """The proof as a text; a file of it is named ``*.tlog-proof``."""
    lines = [HEADER, f"index {proof.leaf_index}", *(base64.b64encode(each).decode() for each in proof.hashes)]
    return "\n".join(lines) + "\n\n" + proof.checkpoint


def read(text: str) -> Proof:
    """Take a proof apart; extra data, which no one vouches for, is passed over.

    Raises:
        ProofError: not of the format.
    """
    if len(text) > 2 * note.LONGEST_NOTE:
        raise ProofError("The proof is too long.")
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if lines.pop(0) != HEADER or not blank:
        raise ProofError(f"A proof begins with the line {HEADER}, and has a blank line before its checkpoint.")
    if lines and lines[0].startswith(_EXTRA):
        _decode(lines.pop(0).removeprefix(_EXTRA))
    index = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if index is None:
        raise ProofError("The proof has no line with the index of its leaf.")
    if len(lines) > _LONGEST_PATH:
        raise ProofError("The inclusion proof is too long.")
    return Proof(int(index[1]), [_decode(line, HASH_BYTES) for line in lines], checkpoint)


def verify(text: str, key: VerifierKey, leaf: bytes, policy: Policy | None = None) -> tuple[int, Checkpoint]:
    """Check a proof with nothing but the log's verifier key and a leaf hash; returns the leaf's index, and the tree.

    Args:
        text: of the proof.
        key: the log's.
        leaf: its hash.
        policy: whose cosignatures the checkpoint must have, too.

    Raises:
        ProofError: it is malformed, not signed by the key, not cosigned by enough witnesses, or does not hold the leaf.
    """
    proof = read(text)
    try:
        checkpoint, _ = note.read(proof.checkpoint, key)
        witnesses = len(cosignature.found(proof.checkpoint, policy.keys)) if policy else 0
    except NoteError as error:
        raise ProofError(str(error)) from error
    if policy and witnesses < policy.quorum:
        raise ProofError(f"{witnesses} of the witnesses have cosigned the checkpoint, not {policy.quorum}.")
    verify_inclusion(proof.leaf_index, checkpoint.size, leaf, proof.hashes, checkpoint.root)
    return proof.leaf_index, checkpoint


def _decode(line: str, length: int | None = None) -> bytes:
    try:
        data = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if base64.b64encode(data).decode() != line or (length is not None and len(data) != length):
        raise ProofError("A line of the proof is not a hash in standard base64.")
    return data
