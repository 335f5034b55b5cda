"""Cosignatures of witnesses: c2sp.org/tlog-cosignature, version 1 (timestamped Ed25519, signature type 0x04)."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Self

from ledger.domain import note
from ledger.domain.note import NoteError, VerifierKey

_TYPE: Final = b"\x04"
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_LATEST: Final = (1 << 63) - 1


class Cosignature(NamedTuple):
    """What a witness says of a checkpoint: it is the largest that I know of this log, as of this time.

    Attributes:
        timestamp: POSIX seconds, of the witness's clock.
        signature: Ed25519, 64 bytes.
    """

    timestamp: int
    signature: bytes

    @property
    def data(self) -> bytes:
        """What stands behind the key id in a signature line, 72 bytes."""
        return self.timestamp.to_bytes(_TIME_BYTES) + self.signature


class WitnessKey(VerifierKey):
    """The public half of a witness's key, and its name."""

    kind = _TYPE

    def open(self, text: str, data: bytes) -> Cosignature:
        """Check what a signature line of this witness holds behind the key id, over a checkpoint's text.

        Raises:
            NoteError: it is no cosignature, or not one of this text by this witness.
        """
        if len(data) != _TIME_BYTES + _SIGNATURE_BYTES:
            raise NoteError(f"A cosignature has {_TIME_BYTES + _SIGNATURE_BYTES} bytes.")
        found = Cosignature(int.from_bytes(data[:_TIME_BYTES]), data[_TIME_BYTES:])
        if found.timestamp > _LATEST:
            raise NoteError("A cosignature's time is less than 2^63.")
        self.check(text, found)
        return found

    def check(self, text: str, given: Cosignature) -> None:
        """Check a cosignature over a checkpoint's text; NoteError where it does not fit."""
        self.verify(message(text, given.timestamp), given.signature)


class Policy(NamedTuple):
    """Whose cosignatures count, and how many of them make a checkpoint a witnessed one."""

    keys: tuple[WitnessKey, ...]
    quorum: int

    @classmethod
    def of(cls, keys: Sequence[WitnessKey], quorum: int | None) -> Self:
        """The policy of some witnesses; without a quorum, more than half of them.

        Raises:
            NoteError: two are the same one, or there are fewer than the quorum.
        """
        # The signed message does not hold the name, so one key under two names would be one witness counted twice.
        if len({key.public for key in keys}) != len(keys) or len({key.name for key in keys}) != len(keys):
            raise NoteError("Two witnesses have one name or one key.")
        quorum = len(keys) // 2 + 1 if quorum is None else quorum
        if not 1 <= quorum <= len(keys):
            raise NoteError(f"A quorum of {quorum} can't be had of {len(keys)} witnesses.")
        return cls(tuple(keys), quorum)


def message(text: str, timestamp: int) -> str:
    """What a witness signs: two lines, and the checkpoint's text with its last line feed."""
    return f"cosignature/v1\ntime {timestamp}\n{text}"


def found(signed: str, keys: Iterable[WitnessKey]) -> dict[str, Cosignature]:
    """The cosignatures below a note, by the name of the witness; those of unknown keys are passed over.

    Raises:
        NoteError: it is no note, or one of a known key does not fit it.
    """
    known = {(key.name, key.id): key for key in keys}
    text, lines = note.signatures(signed)
    return {name: known[name, identity].open(text, data) for name, identity, data in lines if (name, identity) in known}
