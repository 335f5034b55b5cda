"""A program that runs beside us: started with its own process group, stopped in order, never left behind."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from core.embedded import child


class Process:
    """A program that is stopped by SIGTERM, at the end of the block or when we end; start it from the main thread."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stop_seconds: float = 35.0,
    ) -> None:
        """Start it; ``environment`` and ``folder`` are ours unless given."""
        self.name = name
        self._stop_seconds = stop_seconds
        self._stopped = False
        self._process = subprocess.Popen(  # noqa: S603 - our own commands
            child.command(command, signal=signal.SIGTERM),
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
            start_new_session=True,  # the terminal's Ctrl-C is for us, who stop things in order
        )

    @property
    def pid(self) -> int:
        """Its process id, which is also its group's."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is alive."""
        return self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self) -> int:
        """Wait for its end; the exit code, or minus the signal that ended it."""
        return self._process.wait()

    def stop(self) -> bool:
        """Stop it, and kill what is left of its group; whether it ended by itself in time. Stopping twice is fine."""
        if self._stopped:
            return True
        in_time = True
        self._process.terminate()
        try:
            self._process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            in_time = False
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._stopped = True
        return in_time
