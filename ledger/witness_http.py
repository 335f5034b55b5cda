"""Asks a witness over HTTP, in a thread of its own: nobody else waits for one that hangs.

A socket's time limit is one of each read, so a witness that sends a byte now and then could hold a thread for ever. It
does hold its own, which is given up after ``PATIENCE``; until that thread has ended, the witness is not asked again.
"""

import http.client
import queue
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from ledger.domain.witnessing import LONGEST_ANSWER, PATH, Answer

PATIENCE: Final = 5.0
"""Seconds for one question, in all."""
_AT_ONCE: Final = 8_192
_HEADERS: Final = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "tracking-authority"}


class Asker:
    """Sends questions to witnesses by their addresses, all at once."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._threads: dict[str, threading.Thread] = {}

    def ask(self, bodies: Mapping[str, bytes]) -> dict[str, Answer | str]:
        """Ask each address, and wait for the answers; why there is none stands in an answer's place.

        Args:
            bodies: of the requests, by the submission prefix of the witness.
        """
        answers: queue.SimpleQueue[tuple[str, Answer | str]] = queue.SimpleQueue()
        until = time.monotonic() + self._patience
        found: dict[str, Answer | str] = {}
        waiting = set()
        for address, body in bodies.items():
            before = self._threads.get(address)
            if before is not None and before.is_alive():
                found[address] = "still has not ended its last answer"
                continue
            # A daemon: a process that is told to end does not wait for it.
            thread = threading.Thread(target=_put, args=(answers, address, body, until), name="witness", daemon=True)
            self._threads[address] = thread
            waiting.add(address)
            thread.start()
        while waiting:
            try:
                address, answer = answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            found[address] = answer
            waiting.remove(address)
            del self._threads[address]  # it has nothing more to do, whether or not it has ended yet
        return found | dict.fromkeys(waiting, f"did not answer within {self._patience:g} seconds")


def _put(answers: "queue.SimpleQueue[tuple[str, Answer | str]]", address: str, body: bytes, until: float) -> None:
    try:
        answers.put((address, _post(address, body, until)))
    except TimeoutError:
        return  # whoever waits for it says so
    except (OSError, http.client.HTTPException, ValueError) as error:
        answers.put((address, f"can't be asked: {_reason(error)}"))


def _post(address: str, body: bytes, until: float) -> Answer:
    """One request; a redirect is an answer like any other.

    Raises:
        OSError, http.client.HTTPException: it could not be sent, or was not answered.
    """
    parts = urlsplit(address)
    host, timeout = parts.hostname or "", max(0.1, until - time.monotonic())
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=timeout)
    )
    try:
        connection.request("POST", parts.path.rstrip("/") + PATH, body, _HEADERS)
        response = connection.getresponse()
        content = b""
        while len(content) < LONGEST_ANSWER and (part := response.read1(_AT_ONCE)):
            content += part
            if time.monotonic() > until:
                raise TimeoutError("too slow")
        return Answer(response.status, content)
    finally:
        connection.close()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
