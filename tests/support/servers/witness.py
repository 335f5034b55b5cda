"""A small witness (c2sp.org/tlog-witness) on a real socket: it keeps what it cosigned, and can be made to fail."""

import base64
import threading
import time
from enum import StrEnum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.domain import merkle, note
from ledger.domain.cosignature import Cosignature, WitnessKey, message
from ledger.domain.merkle import ProofError
from ledger.domain.note import Checkpoint, NoteError, SignerKey
from tests.plugin import LEDGER_KEY

LOG = SignerKey.parse(LEDGER_KEY).verifier


class Fault(StrEnum):
    """What it does in place of a witness's work."""

    HANGS = auto()
    DRIPS = auto()
    """It sends a byte of a header now and then, so that no single read takes long."""
    BREAKS = auto()
    """It answers 500."""
    TOO_MANY = auto()
    """It answers 429."""
    RUBBISH = auto()
    ANOTHERS = auto()
    """It signs with another key."""
    OF_ANOTHER_LOG = auto()
    """It signs a checkpoint of another origin."""
    MUTE = auto()
    """It keeps the checkpoint, and the answer gets lost."""
    NO_SIZE = auto()
    """It answers 409 without a size."""


class Refusal(Exception):  # noqa: N818  # an answer, no error
    """What a witness answers in place of a cosignature."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__()
        self.status, self.text = status, text


class Witness:
    """One witness; leaving the block ends it. What it knows lasts as long as the object, over any number of blocks."""

    def __init__(self, name: str, seed: int, *, knows: str = LOG.name) -> None:
        """Make a key of the seed; ``knows`` is the origin of the one log whose key it has."""
        self._private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.key = WitnessKey(name, self._private.public_key().public_bytes_raw())
        self.known: tuple[int, bytes] = (0, merkle.EMPTY_ROOT)
        """Size and root of the latest checkpoint that it cosigned."""
        self.fault: Fault | None = None
        self.bodies: list[str] = []
        """What it was asked."""
        self.statuses: list[int] = []
        """What it answered."""
        self._origin = knows
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def address(self) -> str:
        """Its submission prefix."""
        return f"http://127.0.0.1:{self._server.server_port}/some/prefix"

    @property
    def setting(self) -> str:
        """What WITNESSES says of it."""
        return f"{self.key}@{self.address}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        witness = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                witness.bodies.append(body)
                if self.path != "/some/prefix/add-checkpoint":
                    self._answer(404, "")
                elif witness.fault is Fault.HANGS:
                    witness._ended.wait(60)
                elif witness.fault is Fault.DRIPS:
                    self._drip()
                else:
                    status, text = witness._answered(body)
                    if witness.fault is Fault.MUTE:
                        self.close_connection = True
                    else:
                        self._answer(status, text)

            def _answer(self, status: int, text: str) -> None:
                witness.statuses.append(status)
                self.send_response(status)
                self.send_header("Content-Type", "text/x.tlog.size" if status == 409 else "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def _drip(self) -> None:
                self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
                while not witness._ended.wait(0.1):
                    self.wfile.write(b"-")

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _answered(self, body: str) -> tuple[int, str]:
        """Status and body, in the order of the specification's checks."""
        of_its_own = {
            Fault.BREAKS: (500, "<html>"),
            Fault.TOO_MANY: (429, ""),
            Fault.RUBBISH: (200, "— nothing AAAA\n\n\ufffd"),
            Fault.NO_SIZE: (409, "some\n"),
        }
        if self.fault in of_its_own:
            return of_its_own[self.fault]
        try:
            return 200, self._cosign(self._taken(body).text)
        except Refusal as refusal:
            return refusal.status, refusal.text

    def _taken(self, body: str) -> Checkpoint:
        """The checkpoint that a request holds, once it is kept; raises Refusal."""
        head, _, signed = body.partition("\n\n")
        first, *lines = head.split("\n")
        old, proof = int(first.removeprefix("old ")), [base64.b64decode(each, validate=True) for each in lines]
        if signed.split("\n")[0] != self._origin:
            raise Refusal(404)
        try:
            checkpoint, _ = note.read(signed, LOG)
        except NoteError:
            raise Refusal(403) from None
        if old > checkpoint.size:
            raise Refusal(400)
        with self._turn:  # comparing and keeping are one step
            size, root = self.known
            if old != size or (old == checkpoint.size and root != checkpoint.root):
                raise Refusal(409, f"{size}\n")
            try:
                if old:
                    merkle.verify_consistency(old, checkpoint.size, root, checkpoint.root, proof)
                elif proof:
                    raise Refusal(422)
            except ProofError:
                raise Refusal(422) from None
            self.known = checkpoint.size, checkpoint.root
        return checkpoint

    def _cosign(self, text: str) -> str:
        now = int(time.time())
        if self.fault is Fault.OF_ANOTHER_LOG:
            text = "another.example/log\n" + text.partition("\n")[2]
        private = Ed25519PrivateKey.from_private_bytes(bytes(32)) if self.fault is Fault.ANOTHERS else self._private
        return note.line(self.key, Cosignature(now, private.sign(message(text, now).encode())).data)


def settings(*witnesses: Witness, quorum: int | None = None, seconds: float = 0.2) -> dict[str, str]:
    """The environment of a sealer or service that has these witnesses."""
    given = {"WITNESSES": ",".join(each.setting for each in witnesses), "WITNESS_SECONDS": str(seconds)}
    return given if quorum is None else given | {"WITNESS_QUORUM": str(quorum)}
