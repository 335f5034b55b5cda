"""How a log asks a witness for its cosignature, and what the answers mean: c2sp.org/tlog-witness, add-checkpoint."""

import base64
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.domain import cosignature
from ledger.domain.cosignature import Cosignature, WitnessKey
from ledger.domain.merkle import ProofError
from ledger.domain.note import Checkpoint, NoteError

PATH: Final = "/add-checkpoint"
LONGEST_ANSWER: Final = 65_536
_MOST_HASHES: Final = 63
_OK, _CONFLICT, _UNPROVEN = 200, 409, 422
_SIZE = re.compile("(0|[1-9][0-9]{0,18})\n", re.ASCII)


class Answer(NamedTuple):
    """What came back over HTTP: a status, and the body as far as it was read."""

    status: int
    body: bytes


class Question(NamedTuple):
    """A checkpoint to be cosigned by a witness that is thought to know the first ``old`` leaves."""

    old: int
    checkpoint: Checkpoint
    note: str
    """The checkpoint as the log signed it."""
    proof: Sequence[bytes]
    """From the old size to the checkpoint's; it was verified. Empty if either there is nothing old, or nothing new."""

    @property
    def body(self) -> bytes:
        """The request's; raises ProofError where the proof is longer than a witness reads."""
        if len(self.proof) > _MOST_HASHES:
            raise ProofError(f"A consistency proof of more than {_MOST_HASHES} hashes is not sent.")
        hashes = "".join(f"{base64.b64encode(each).decode()}\n" for each in self.proof)
        return f"old {self.old}\n{hashes}\n{self.note}".encode()


class Elsewhere(NamedTuple):
    """The witness knows another size than we thought, and has to be asked from there."""

    size: int


class Refused(NamedTuple):
    """No cosignature this time: the witness does not know us, is overloaded, or answers what makes no sense."""

    reason: str


class Contradicted(NamedTuple):
    """The witness refused what we have proven to ourselves: it was shown another history than ours."""

    reason: str


def meaning(question: Question, answer: Answer, key: WitnessKey) -> Cosignature | Elsewhere | Refused | Contradicted:
    """What an answer says to a question."""
    checkpoint = question.checkpoint
    if answer.status == _OK:
        try:
            given = cosignature.found(f"{checkpoint.text}\n{answer.body.decode()}", [key])
            return given[key.name] if given else Refused("answered without a cosignature of its key")
        except (NoteError, UnicodeDecodeError):
            return Refused("answered with what is no cosignature of the checkpoint by its key")
    if answer.status == _UNPROVEN and question.old:
        return Contradicted(
            f"refuses the proof that the log of {checkpoint.size} leaves begins with the {question.old} it cosigned"
        )
    if answer.status == _CONFLICT:
        return _conflict(question, answer.body)
    return Refused(f"answered {answer.status}")


def _conflict(question: Question, body: bytes) -> Elsewhere | Refused | Contradicted:
    """409 is either a size to go on from, or says that of one size there are two roots."""
    known = _SIZE.fullmatch(body.decode("ascii", "replace"))
    if known is not None and int(known[1]) != question.old:
        return Elsewhere(int(known[1]))
    if question.old == question.checkpoint.size:
        return Contradicted(f"knows another tree of {question.old} leaves")
    return Refused("answered 409 without the size that it knows")
