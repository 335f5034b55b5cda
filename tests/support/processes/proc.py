"""What tests need to know about processes, from /proc."""

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes that a process started and that live."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):  # it has left
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    return {pid}.union(*(family(child) for child in children(pid)))


@contextmanager
def standing_still(postmaster: int) -> Iterator[None]:
    """A PostgreSQL whose processes are all stopped."""
    os.kill(postmaster, signal.SIGSTOP)  # so that it starts no more
    stopped = family(postmaster)
    try:
        _strike(stopped, signal.SIGSTOP)
        yield
    finally:
        _strike(stopped, signal.SIGCONT)


def _strike(pids: Collection[int], how: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it had left by then
            os.kill(pid, how)


def alive(pids: Collection[int]) -> list[int]:
    """Those of the processes that still run; a zombie has ended."""
    return [pid for pid in pids if _state(pid) not in {"", "Z"}]


def eventually(holds: Callable[[], bool], seconds: float = 90.0) -> bool:
    """Whether it comes true in time; a busy machine may take a minute for what begins a process."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def stops(works: Callable[[], bool], seconds: float) -> bool:
    """Whether what was just ended works no more for anybody who asks so many seconds from now, or later.

    When the answer comes is all the same: where all is slow, it was given long before it is read.
    """
    since = time.monotonic()
    while True:
        asked = time.monotonic()
        if not works():
            return True
        if asked >= since + seconds:
            return False
        time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
