"""What the private servers of `make run` have in common: one folder with a socket and a log, and one process."""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self

if TYPE_CHECKING:
    from subprocess import Popen

SOCKET_PATH_LIMIT: Final = 107  # unix(7): sun_path is 108 bytes, the last one NUL


class PrivateServer(ABC):
    """One server; as a context manager it runs inside the block.

    It dies with the *thread* that started it (PR_SET_PDEATHSIG follows threads), so start it from the main thread.
    """

    name: ClassVar[str]
    failure: ClassVar[type[Exception]]
    """What is raised where it can't be had."""

    def __init__(self, home: Path, socket: Path) -> None:
        """Choose the folder, and the socket in it; nothing is made or started yet.

        Raises:
            Exception: ``failure``, where the socket's path is too long.
        """
        self.home = home.absolute()
        self._log = self.home / "log"
        self._process: Popen[bytes] | None = None
        excess = len(os.fsencode(socket)) - SOCKET_PATH_LIMIT
        if excess > 0:
            raise self.failure(
                f"The path of the folder {self.home} is {excess} bytes too long for a unix socket in it. "
                "Choose a shorter one: DATA_DIR=/some/folder."
            )

    @property
    def pid(self) -> int:
        """Its process id; raises ``failure`` where it was not started."""
        if self._process is None:
            raise self.failure(f"{self.name} was not started.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is alive."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # Ctrl-C too: __exit__ will not be called
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it answers; raises ``failure`` where it does not, with the end of its log."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it in order. Stopping twice is fine."""

    def _log_end(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-8:])
