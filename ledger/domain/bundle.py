"""Entry bundles, as c2sp.org/tlog-tiles defines them: up to 256 entries, each behind its length in two bytes."""

from collections.abc import Iterable

_LENGTH_BYTES = 2


def write(entries: Iterable[bytes]) -> bytes:
    """The bundle of some entries, each of at most 65,535 bytes."""
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def read(bundle: bytes) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        ValueError: it ends in the middle of one.
    """
    entries = []
    start = 0
    while start < len(bundle):
        begin = start + _LENGTH_BYTES
        start = begin + int.from_bytes(bundle[begin - _LENGTH_BYTES : begin], "big")
        if begin > len(bundle) or start > len(bundle):
            raise ValueError("The bundle ends in the middle of an entry.")
        entries.append(bundle[begin:start])
    return entries
