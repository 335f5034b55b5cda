"""What clients wrote down of each request, in a file that only grows: their word against the ledger's."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request and its answer.

    Attributes:
        client: which of the clients asked.
        request_id: the X-Request-ID that was sent; a retry sends it again.
        asked: when, in seconds of the machine's monotonic clock.
        answered: when the answer was read, or the connection broke.
        status: of the answer; 0 where there was none.
        origin: of the order.
        destination: of the order.
        keyed: whether an Idempotency-Key was sent, which is the request's id.
        number: the answer's `tracking_number`, and so on.
        created_at: see number.
        leaf_hash: see number.
        problem: the problem's type, of an answer that holds no number.
    """

    client: int
    request_id: str
    asked: float
    answered: float
    status: int
    origin: str
    destination: str
    keyed: bool = False
    number: str = ""
    created_at: str = ""
    leaf_hash: str = ""
    problem: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class Writer:
    """Appends lines; each is in the file when ``write`` returns, whatever becomes of us then."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def write(self, line: Line) -> None:
        """Append one."""
        os.write(self._handle, _encode(line) + b"\n")


class Reader:
    """Reads on where it stopped the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def fresh(self) -> Iterator[Line]:
        """The lines that are complete and were not read yet."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield _decode(line)
