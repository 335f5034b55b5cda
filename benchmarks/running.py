"""A target that runs: started, awaited, checked, stopped."""

import http.client
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Self

import msgspec

from benchmarks.database import ROOT
from benchmarks.targets import Target
from core.embedded import child

_START_SECONDS, _STOP_SECONDS = 60, 35
GOOD = (
    "/next-tracking-number?origin_country_id=MY&destination_country_id=ID&weight=1.234"
    "&created_at=2018-11-20T19%3A29%3A32%2B08%3A00&customer_id=de619854-b59b-425e-9db4-943979e1bd49"
    "&customer_name=RedBox%20Logistics&customer_slug=redbox-logistics"
)
BAD = (
    GOOD.replace("=MY", "=ZZ"),
    GOOD.replace("=1.234", "=-1"),
    GOOD.replace("2018-11-20", "2018-13-20"),
    GOOD.replace("de619854-b59b", "de619854"),
    GOOD.replace("RedBox%20Logistics", ""),
    GOOD.replace("redbox-logistics", "RedBox!"),
    GOOD.partition("&customer_slug")[0],
)


class TargetError(Exception):
    """A target does not do what it is measured for; the message says what."""


class Running:
    """A server that runs inside the block."""

    def __init__(self, target: Target, environment: Mapping[str, str], log: Path) -> None:
        """Start it at the PORT of its environment; it dies with us."""
        self.target = target
        self.port = int(environment["PORT"])
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                child.command(target.command, signal=signal.SIGTERM),
                env={**environment},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process above all the target's processes."""
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def check(self) -> None:
        """See that it keeps the promise it is measured for.

        Raises:
            TargetError: no number for a good request, or something else than 4xx for a bad one.
        """
        if not self.target.issues:
            return
        status, body = self._ask(GOOD)
        answer = msgspec.json.decode(body) if status == HTTPStatus.OK else {}
        if not re.fullmatch("[A-Z0-9]{16}", answer.get("tracking_number", "")) or "created_at" not in answer:
            raise TargetError(f"{self.target.name} answers a good request with {status} {body!r}\n{self._log_end()}")
        for path in BAD:
            status, body = self._ask(path)
            if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise TargetError(f"{self.target.name} answers {path} with {status} {body!r}")

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self._ask("/")
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise TargetError(f"{self.target.name} does not start:\n{self._log_end()}")

    def _log_end(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
