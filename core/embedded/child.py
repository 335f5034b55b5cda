"""Turns itself into another program that dies with the process that started it, as another user if asked.

Run by file name (``python -I -S child.py PARENT USER GROUP SIGNAL PROGRAM ARGUMENTS…``), it imports nothing of this
project. It stands between fork and exec because ``preexec_fn`` may deadlock in a process that has threads.
"""

import ctypes
import os
import sys
from collections.abc import Sequence

# linux/prctl.h, linux/securebits.h, linux/capability.h
PR_SET_PDEATHSIG, PR_CAPBSET_READ, PR_SET_SECUREBITS, PR_CAP_AMBIENT = 1, 23, 28, 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522

if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)


def _prctl(*arguments: int) -> int:
    result: int = _libc.prctl(*(ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:5]))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"prctl{arguments}: {os.strerror(ctypes.get_errno())}")
    return result


def die_with_parent(parent: int, signal: int) -> None:
    """Ask the kernel for ``signal`` when the thread that forked this process ends.

    macOS has no such promise; there a child outlives a parent that was killed.
    """
    if sys.platform != "linux":
        return
    _prctl(PR_SET_PDEATHSIG, signal)
    if os.getppid() != parent:  # it ended before the request was made
        sys.exit(1)


def become(user: int, group: int) -> None:
    """Become ``user`` for good, but still reach files below folders that only root may enter.

    PostgreSQL refuses to run as root, while its programs and its data may be below root's home. The one capability
    kept is the weakest that opens such folders: reading and searching, or overriding permissions where a container
    offers no other. It is ambient, so it survives exec (capabilities(7)); without the secure bit, access(2), by which
    initdb looks for its programs, would not count it.
    """
    capability = next((each for each in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if _prctl(PR_CAPBSET_READ, each)), None)
    try:
        _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)  # capabilities now outlive the change of user
    except PermissionError:  # a container without CAP_SETPCAP: what everybody may read must do
        capability = None
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    kept = 0 if capability is None else 1 << capability
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)
    if _libc.capset(header, effective_permitted_inheritable) < 0:
        raise OSError(ctypes.get_errno(), f"capset: {os.strerror(ctypes.get_errno())}")
    if capability is not None:
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def command(program: Sequence[str], *, signal: int, user: tuple[int, int] | None = None) -> list[str]:
    """The command line that runs ``program`` through this module; ``user`` is (uid, gid)."""
    uid, gid = user or (-1, -1)
    return [sys.executable, "-I", "-S", __file__, *map(str, (os.getpid(), uid, gid, int(signal))), *program]


def main() -> None:
    """Do what the command line says; it never returns."""
    parent, user, group, signal = map(int, sys.argv[1:5])
    program = sys.argv[5:]
    try:
        if user >= 0:
            become(user, group)
        die_with_parent(parent, signal)  # after become(): a change of user clears it
        os.execv(program[0], program)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"{program[0]} cannot run as user {user if user >= 0 else os.getuid()}: {error.strerror}.")


if __name__ == "__main__":
    main()
