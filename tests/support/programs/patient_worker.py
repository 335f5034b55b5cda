"""The web process with more patience: `--worker-class tests.support.programs.patient_worker.Worker`."""

from typing import Any

from core import replica, worker
from core.worker import Worker

__all__ = ["Worker"]

PATIENT = ("--worker-class", f"{__name__}.Worker")
"""Gunicorn's arguments that choose it."""
LAG = 20.0
LAST_WORDS = 5.0

_OTHERWISE: dict[str, tuple[Any, float]] = {"LAG": (replica, LAG), "LAST_WORDS": (worker, LAST_WORDS)}

for name, (owner, seconds) in _OTHERWISE.items():
    setattr(owner, name, seconds)
