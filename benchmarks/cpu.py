"""CPU time of a process and all below it, from /proc."""

import os
from pathlib import Path

_TICK = 1_000_000 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
# Fields of /proc/<pid>/stat after the command, which may hold spaces (proc(5)): parent is field 4, times are 14 to 17.
_PARENT, _TIMES = 1, slice(11, 15)


def _stat(pid: int) -> list[str] | None:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(root: int) -> dict[int, list[str]]:
    """``root`` and its living descendants, with what /proc says of each."""
    stats = {
        int(entry.name): stat for entry in _PROC.iterdir() if entry.name.isdigit() and (stat := _stat(int(entry.name)))
    }
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(int(stat[_PARENT]), []).append(pid)
    found, waiting = {}, [root]
    while waiting:
        pid = waiting.pop()
        if pid in stats:
            found[pid] = stats[pid]
            waiting += children.get(pid, [])
    return found


def used(root: int) -> float:
    """CPU microseconds, user and system, of ``root`` and all below it.

    Each process counts with the children it has already waited for (cutime, cstime), so nothing is lost when one
    ends between two calls, and the difference of two calls is what the tree used. Steps of 10 ms.
    """
    return sum(int(ticks) for stat in tree(root).values() for ticks in stat[_TIMES]) * _TICK
