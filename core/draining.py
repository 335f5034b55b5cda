"""Whether this process is about to stop: it still serves, and asks not to be sent more."""

_begun = False


def begin() -> None:
    """From now on `/readyz` says no, so that proxies turn to another process."""
    global _begun  # noqa: PLW0603  # of this process
    _begun = True


def begun() -> bool:
    """Whether it is."""
    return _begun
