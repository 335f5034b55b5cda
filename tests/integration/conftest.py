"""What holds for all services of these tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _patient() -> Iterator[None]:
    """A number that a busy machine takes long to commit is answered all the same, and not by 503."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DEADLINE", "60")
        yield
