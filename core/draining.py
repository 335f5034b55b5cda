"""Whether this process is about to stop: it still serves, and asks not to be sent more."""

_begun = False


def begin() -> None:
    """From now on `/readyz` says no, so that proxies turn to another process."""
    global _begun
    _begun = True


def begun() -> bool:
    return _begun
