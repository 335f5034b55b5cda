"""Signed notes and checkpoints: c2sp.org/signed-note with Ed25519 (RFC 8032), and c2sp.org/tlog-checkpoint.

Keys are written as golang.org/x/mod/sumdb/note writes them, so that its tools read ours.
"""

import base64
import binascii
import re
from hashlib import sha256
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.domain.merkle import HASH_BYTES

LONGEST_NOTE = 65_536
"""Characters: room for a checkpoint with more cosignatures than any witness policy asks for."""

_ED25519 = b"\x01"
_KEY_BYTES = 32
_PRIVATE = "PRIVATE+KEY+"
_DASH = "\N{EM DASH} "
# Half a surrogate pair is what a byte that is not UTF-8 may have been decoded to: a note holds none, nor a name.
_NAME = re.compile(r"[^\s+\ud800-\udfff]{1,255}")
_ID = re.compile("[0-9a-f]{8}")
_SIZE = re.compile("0|[1-9][0-9]{0,18}", re.ASCII)
_UNFIT = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")


class NoteError(ValueError):
    """A key or note is malformed, or a signature does not fit."""


class VerifierKey:
    """The public half of a log's key, and the log's name: what an auditor needs, and all that he trusts."""

    kind = _ED25519
    """The signature type, one byte; a witness's is another (ledger.domain.cosignature)."""

    def __init__(self, name: str, public: bytes) -> None:
        if not _NAME.fullmatch(name):
            raise NoteError("A key's name has 1 to 255 characters, no space and no plus.")
        if len(public) != _KEY_BYTES:
            raise NoteError(f"An Ed25519 public key has {_KEY_BYTES} bytes.")
        self.name = name
        self.public = public
        self._encoded = self.kind + public
        self.id = sha256(name.encode() + b"\n" + self._encoded).digest()[:4]
        self._public = Ed25519PublicKey.from_public_bytes(public)

    def __str__(self) -> str:
        """``name+key id in hex+base64(signature type and the public key)``."""
        return f"{self.name}+{self.id.hex()}+{_base64(self._encoded)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a verifier key; NoteError where it is none."""
        name, identity, encoded = _parts(text, "A verifier key is written name+id+base64.")
        key = cls(name, _unwrap(encoded, cls.kind))
        _check_id(key, identity)
        return key

    def verify(self, text: str, signature: bytes) -> None:
        """Check a signature of 64 bytes over a text; NoteError where it does not fit."""
        try:
            self._public.verify(signature, text.encode())
        except InvalidSignature:
            raise NoteError(f"The signature does not fit the text and the key {self.name}+{self.id.hex()}.") from None


class SignerKey:
    """A log's key: signs its checkpoints. Whoever has it can speak for the log, so it is never printed by accident."""

    def __init__(self, name: str, seed: bytes) -> None:
        if len(seed) != _KEY_BYTES:
            raise NoteError(f"An Ed25519 private key has {_KEY_BYTES} bytes.")
        self._seed = seed
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerifierKey(name, self._private.public_key().public_bytes_raw())

    @classmethod
    def make(cls, name: str) -> Self:
        """A new key from the system's randomness."""
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a signer key; NoteError where it is none. No message holds any of it."""
        form = "A signer key is written PRIVATE+KEY+name+id+base64."
        if not text.startswith(_PRIVATE):
            raise NoteError(form)
        name, identity, encoded = _parts(text.removeprefix(_PRIVATE), form)
        key = cls(name, _unwrap(encoded, _ED25519))
        _check_id(key.verifier, identity)
        return key

    def export(self) -> str:
        """The secret: ``PRIVATE+KEY+name+key id in hex+base64(0x01 and the seed)``."""
        return f"{_PRIVATE}{self.verifier.name}+{self.verifier.id.hex()}+{_base64(_ED25519 + self._seed)}"

    def sign(self, text: str) -> bytes:
        """The signature over a text that ends with a line feed, 64 bytes; the same text gives the same one."""
        return self._private.sign(text.encode())


class Checkpoint(NamedTuple):
    """What a log says of itself: so many leaves, with this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


def write(checkpoint: Checkpoint, key: VerifierKey, signature: bytes) -> str:
    """A checkpoint with its signature, as a note."""
    return f"{checkpoint.text}\n{line(key, signature)}"


def line(key: VerifierKey, signature: bytes) -> str:
    """A line with a signature, as it stands below a note's blank line."""
    return f"{_DASH}{key.name} {_base64(key.id + signature)}\n"


def signatures(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """A note's text, and its signatures, of which none was verified: name, key id, the rest.

    Raises:
        NoteError: it is no note.
    """
    text, lines = _split(note)
    return text, [_signature(each) for each in lines]


def read(note: str, key: VerifierKey) -> tuple[Checkpoint, bytes]:
    """The checkpoint that a note holds, and the signature by ``key``, which was verified; others' are passed over.

    Raises:
        NoteError: not a checkpoint of the log that ``key`` names, or not signed by it.
    """
    text, given = signatures(note)
    found = None
    for name, identity, signature in given:
        if (name, identity) == (key.name, key.id):
            key.verify(text, signature)
            found = signature
    if found is None:
        raise NoteError(f"The note is not signed by {key.name}+{key.id.hex()}.")
    return _checkpoint(text, key.name), found


def _split(note: str) -> tuple[str, list[str]]:
    if len(note) > LONGEST_NOTE or _UNFIT.search(note):
        raise NoteError(f"A note is UTF-8, with at most {LONGEST_NOTE} characters and no control but the line feed.")
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise NoteError("A note is a text, a blank line, and lines with signatures.")
    return f"{text}\n", signatures[:-1].split("\n")


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    signature = _unbase64(encoded)
    if not line.startswith(_DASH) or not space or not _NAME.fullmatch(name) or len(signature) <= len(_ED25519) + 3:
        raise NoteError("A line with a signature is a dash, a name, and base64 of key id and signature.")
    return name, signature[:4], signature[4:]


def _checkpoint(text: str, origin: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004  # origin, size, root
        raise NoteError("A checkpoint has three lines or more: origin, size and root.")
    root = _unbase64(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError(f"A root has {HASH_BYTES} bytes.")
    if lines[0] != origin:
        raise NoteError(f"The checkpoint is of the log {lines[0]}, but the key is that of {origin}.")
    return Checkpoint(lines[0], int(lines[1]), root)


def _parts(text: str, form: str) -> tuple[str, str, str]:
    name, _, rest = text.partition("+")
    identity, _, encoded = rest.partition("+")  # base64 may hold a plus itself
    if not (name and _ID.fullmatch(identity) and encoded):
        raise NoteError(form)
    return name, identity, encoded


def _unwrap(encoded: str, kind: bytes) -> bytes:
    key = _unbase64(encoded)
    if key[:1] != kind:
        raise NoteError(f"The key is not an Ed25519 key of type {kind[0]}.")
    return key[1:]


def _check_id(key: VerifierKey, identity: str) -> None:
    if identity != key.id.hex():
        raise NoteError(f"The key's id is {key.id.hex()}, not {identity}: name or key was altered.")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    """Standard base64 with padding (RFC 4648, section 4), in its one canonical form."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if _base64(data) != text or not data:
        raise NoteError("This is not standard base64.")
    return data
