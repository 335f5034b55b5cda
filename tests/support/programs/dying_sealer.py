"""``python -m tests.support.programs.dying_sealer STEP SIGNAL``: a sealer that signals itself at a step.

Or in a fork of this process, since a start of its own costs a second.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import django
from django.core.management import call_command

from ledger import publication
from ledger.growing import Growing
from ledger.sealer import Sealer

STEPS: dict[str, tuple[Any, str, bool]] = {
    "the read": (Sealer, "_read", True),
    "the tiles' insert": (Growing, "_write_runs", False),
    "all statements": (Sealer, "_append", True),
    "the commit": (Sealer, "_copy", False),
    "a file's bytes": (publication, "_write_all", True),
    "a file's move": (os, "replace", True),
    "the copy": (Sealer, "_copy", True),
    "the signature": (Sealer, "_sign", True),
    "the outside checkpoint": (Sealer, "_move_outside", True),
    "the record": (Sealer, "_record", True),
    "everything": (Sealer, "_forget", True),
}
"""After what it happens: a function, and whether after it or before it."""


def ended_by(seal: Callable[[], object], step: str, how: int) -> int:
    """How a sealer ended that seals until it is there: minus the signal, or its exit code."""
    child = os.fork()
    if child == 0:
        try:
            _alter(step, how)
            seal()
        finally:
            os._exit(1)  # it was to be ended before
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _alter(step: str, how: int) -> None:
    owner, name, after = STEPS[step]
    function = getattr(owner, name)

    def altered(*arguments: Any) -> Any:
        if not after:
            os.kill(os.getpid(), how)
        result = function(*arguments)
        events = {"_read": lambda: result[0], "_append": lambda: arguments[1]}.get(name)
        if after and (events is None or events()):  # to find nothing is no step
            os.kill(os.getpid(), how)
        return result

    setattr(owner, name, altered)


if __name__ == "__main__":
    _alter(sys.argv[1], int(sys.argv[2]))
    os.environ["DJANGO_SETTINGS_MODULE"] = "core.settings"
    django.setup()
    call_command("seal_ledger")
