"""Two shards issue side by side; a coordinator reads both, and says what is missing when one is down."""

from collections.abc import Iterator

import pytest

from tests.support import shards
from tests.support.service import ServiceFactory
from tests.support.shards import Two


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    with shards.two() as made:
        yield made


def test_it(two: Two, service: ServiceFactory) -> None:
    issuers = [shard.issuer(service) for shard in two.shards]
    print(two.coordinate())
