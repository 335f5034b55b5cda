"""On PYTHONPATH it lets a file stop the clock that the issuer reads, so that one process makes events of any day."""

import os
import time
from pathlib import Path

if "CLOCK" in os.environ:
    FILE = Path(os.environ["CLOCK"])
    _machine = time.time_ns

    def time_ns() -> int:
        """The file's moment; the machine's where there is no file."""
        try:
            return int(FILE.read_bytes())
        except FileNotFoundError:
            return _machine()

    time.time_ns = time_ns
