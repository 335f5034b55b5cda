"""The arithmetic of quotas: never more than a quota and what time adds, all of it to whoever asks, exact waits."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.throttle import domain
from core.throttle.domain import LARGEST, SHARE, TOKEN, Policy, Taken

quotas = st.integers(1, LARGEST)
MINUTE = 60_000_000


class Bucket:
    """A caller's level, as time goes by."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.level = domain.full(quota)

    def after(self, microseconds: int) -> None:
        self.level = domain.refilled(self.level, microseconds, self.quota)

    def take(self, need: int, wanted: int, share: int = 0) -> int:
        given = domain.granted(self.level, need, wanted, share)
        self.level -= given * TOKEN
        return given


asks = st.tuples(st.integers(0, 2 * MINUTE), st.integers(0, 30), st.integers(0, 30), st.sampled_from((0, 2, SHARE)))


@given(st.integers(1, 1000) | quotas, st.lists(asks, max_size=30))
def test_nobody_is_ever_granted_more_than_a_quota_and_what_time_has_added(
    quota: int, asked: list[tuple[int, int, int, int]]
) -> None:
    bucket = Bucket(quota)
    given = []
    for passed, need, more, share in asked:
        bucket.after(passed)
        given.append(bucket.take(need, need + more, share))
        assert bucket.level >= 0
    times = list(accumulate(passed for passed, *_ in asked))
    for begin in range(len(given)):
        for end in range(begin, len(given)):
            assert sum(given[begin : end + 1]) * MINUTE <= quota * (MINUTE + times[end] - times[begin])


@given(st.integers(1, 500))
def test_a_whole_quota_is_there_at_once_and_then_nothing(quota: int) -> None:
    bucket = Bucket(quota)
    assert [bucket.take(1, 1) for _ in range(quota)] == [1] * quota
    assert bucket.take(1, 1) == 0


@given(quotas, st.data())
def test_after_the_wait_there_is_enough_and_a_microsecond_before_there_is_not(quota: int, data: st.DataObject) -> None:
    bucket = Bucket(quota)
    bucket.level = data.draw(st.integers(0, domain.full(quota)))
    count = data.draw(st.integers(1, quota))
    wait = domain.wait(bucket.level, quota, count)
    if wait:
        bucket.after(wait - 1)
        assert bucket.take(count, count) == 0
        bucket.after(1)
    assert bucket.take(count, count) == count


@given(quotas)
def test_what_is_taken_ahead_leaves_nineteen_twentieths_to_others(quota: int) -> None:
    assert Bucket(quota).take(0, 0, SHARE) == quota // 20


def test_the_largest_level_is_a_number_that_lua_holds_exactly() -> None:
    assert domain.full(LARGEST) < 2**53


@pytest.mark.parametrize(
    ("quota", "taken", "told"),
    [
        (600, (True, 599, 1), {"ratelimit": '"address";r=599;t=1'}),
        (5, (True, 4, 12), {"ratelimit": '"address";r=4;t=12'}),
        (5, (False, 0, 7), {"ratelimit": '"address";r=0;t=7', "retry-after": "7"}),
        (5, (False, 5, 0), {}),
    ],
)
def test_headers_are_as_the_draft_has_them(quota: int, taken: tuple[bool, int, int], told: dict[str, str]) -> None:
    headers = {name.decode(): value.decode() for name, value in Taken(Policy("address", quota), *taken).headers}
    assert headers == {"ratelimit-policy": f'"address";q={quota};w=60'} | told


def test_a_policy_knows_when_the_next_token_comes() -> None:
    assert [Policy("key", quota).interval for quota in (1, 7, 60, 61, 600)] == [60, 9, 1, 1, 1]
