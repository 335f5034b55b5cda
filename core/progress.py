"""How far a command is, for whoever waits for it."""

import sys
import time

_BAR = 40


class Progress:
    """A bar on a terminal, a line every five seconds elsewhere."""

    def __init__(self, unit: str = "leaves") -> None:
        """Count in ``unit``, a plural."""
        self._unit = unit
        self._terminal = sys.stderr.isatty()
        self._said = time.monotonic()
        self._shown = False

    def show(self, done: int, of: int) -> None:
        """Say how far it is, if it is time to."""
        if time.monotonic() - self._said < (0.1 if self._terminal else 5):
            return
        self._said = time.monotonic()
        if self._terminal:
            filled = min(_BAR, round(done / max(of, 1) * _BAR))
            sys.stderr.write(f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {done:,} of {of:,} {self._unit} ")
            self._shown = True
        else:
            sys.stderr.write(f"{done:,} of {of:,} {self._unit}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the bar's line."""
        if self._shown:
            sys.stderr.write("\n")
