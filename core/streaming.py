"""Answers of any size: made as they are sent, a few at a time, and broken off so that it shows."""

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Final, Protocol

from django.http import HttpRequest, StreamingHttpResponse

from core import problems
from core.problems import ProblemError
from core.replica import Kept
from core.server import CLIENT

MOST: Final = 3
"""As many at once in a process: each holds one of the threads that serve Django (core.asgi) for as long as it lasts."""

_slots: Final = threading.BoundedSemaphore(MOST)
_logger: Final = logging.getLogger(__name__)


class BrokenOffError(Exception):
    """The rest of an answer can't be had; whoever is sending it must close the connection, and not end the answer."""


class Client(Protocol):
    """Whoever the answer is for; core.server has it where it serves."""

    @property
    def gone(self) -> bool: ...  # noqa: D102

    def cut(self) -> None: ...  # noqa: D102


def respond(
    request: HttpRequest, chunks: Generator[bytes], *, content_type: str, filename: str
) -> StreamingHttpResponse:
    """Answer with ``chunks``, the first of which is made here, so that what is wrong then is answered in order.

    Raises:
        ProblemError: OVERLOADED, since as many are under way as may be.
        Exception: the first chunk can't be made, as the generator says.
    """
    if not _slots.acquire(blocking=False):
        raise ProblemError(problems.OVERLOADED)
    try:
        stream = _Stream(_client(request), next(chunks, b""), Kept(chunks))
    except BaseException:
        _slots.release()
        raise
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingHttpResponse(stream, content_type=content_type, headers=headers)


class _Stream:
    """The body; Django closes it, however it ends."""

    def __init__(self, client: Client | None, first: bytes, rest: Kept[bytes]) -> None:
        self._client = client
        self._first = first
        self._rest = rest
        self._release: Callable[[], None] | None = _slots.release

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield self._first
            while self._client is None or not self._client.gone:
                if (chunk := next(self._rest, None)) is None:
                    return
                yield chunk
        except Exception as error:  # noqa: BLE001  # whatever it is, the answer is not whole
            # The first line: what PostgreSQL says after it may quote the statement.
            _logger.error("An answer broke off midway: %s", str(error).partition("\n")[0])  # noqa: TRY400
            if self._client is not None:
                self._client.cut()
            raise BrokenOffError from None

    def close(self) -> None:
        """Let others have their turn."""
        self._rest.close()
        if self._release is not None:
            self._release()
            self._release = None


def _client(request: HttpRequest) -> Client | None:
    """None: the server can't tell."""
    extensions = request.META.get("asgi.scope", {}).get("extensions") or {}
    found: Client | None = extensions.get(CLIENT)
    return found
