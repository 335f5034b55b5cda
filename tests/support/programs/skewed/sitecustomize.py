"""Sleeping for processes under libfaketime, whose clock_nanosleep of an absolute monotonic time fails (0.9.10).

CPython sleeps by that since 3.11; waiting for no file to become ready takes as long.
"""

import select
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex, /) -> None:
    select.select([], [], [], float(seconds))


time.sleep = _sleep
