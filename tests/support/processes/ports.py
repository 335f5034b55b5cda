"""Ports of 127.0.0.1 for the servers of tests, such that no other run of tests on this machine takes them too."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

_PORTS: Final = range(20_000, 32_000)
"""Below those that the kernel gives to clients, of whom one could have it before our server does."""
_TOGETHER: Final = 100
"""Ports of a claim: few claims, since each is an open file, and some tests allow a process few of those."""
_claims: Final[list[socket.socket]] = []


def free_port() -> int:
    """A port that nobody uses, nor will another run of tests as long as this process lives."""
    for port in _turns:
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            return port
    raise AssertionError("a cycle has no end")


def _cycle() -> Iterator[int]:
    """Every claimed port once, and claims of more, then all of them again."""
    found: list[int] = []
    for begin in _PORTS[::_TOGETHER]:
        if _claim(begin):
            fresh = range(begin, begin + _TOGETHER)
            found += fresh
            yield from fresh
    assert found, "other runs of tests have claimed all ports"
    while True:
        yield from found


def _claim(begin: int) -> bool:
    """Claim ports by an abstract socket of Linux (unix(7)): no file, the same for all users, gone with its process."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0tracking-tests-ports-{begin}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


_turns: Final = _cycle()
