"""The throttle on a real Valkey: several processes together stay within a quota, and whoever may have it gets all."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from random import Random

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.embedded.valkey import Valkey
from core.throttle import domain, local
from core.throttle.asking import Ask, AwayError, Given
from core.throttle.domain import TOKEN, Policy
from core.throttle.guesses import RETRY, Guesses, TooManyGuessesError
from core.throttle.local import Throttle
from core.throttle.store import Store, ThreadStore
from tests.support.servers.throttle_valkey import KEYS, client, patient, processes, take, valkey

MINUTE = 60_000_000
PATIENCE = 3.0
_names = (f"caller {n}" for n in itertools.count())


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as made:
        yield made


@pytest.fixture
def own() -> Iterator[Valkey]:
    """One that may be stopped."""
    with valkey() as made:
        yield made


def now(server: Valkey) -> int:
    """Valkey's time, in microseconds."""
    with client(server) as connection:
        return time_of(connection)


def time_of(connection: redis.Redis) -> int:
    """The same over a connection that there is."""
    seconds, microseconds = connection.time()
    return int(seconds) * 1_000_000 + int(microseconds)


type Scenario = Callable[[list[Throttle]], Coroutine[None, None, None]]


def play(server: Valkey, count: int, scenario: Scenario, seconds: float = 20) -> None:
    """Run a scenario of so many processes."""

    async def run() -> None:
        async with processes(server, count, seconds) as throttles:
            await scenario(throttles)

    asyncio.run(run())


slow = settings(deadline=None, suppress_health_check=list(HealthCheck))


@slow
@given(
    st.sampled_from((1, 2, 5, 7, 59, 60, 600, 6_000, 600_000, 100_000_000)),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=25),
    st.sampled_from((0, domain.SHARE)),
)
def test_the_script_does_what_the_arithmetic_says(
    server: Valkey, quota: int, asked: list[tuple[int, int]], share: int
) -> None:
    key = KEYS.of(next(_names))
    ask = from_loop(server) if share else ThreadStore(patient(server)).take
    level, then = domain.full(quota), 0
    with client(server) as connection:
        for need, more in asked:
            begun = time_of(connection)
            given = ask(Ask(key, quota, need, need + more))
            found = connection.get(key)
            if found is None:  # a level that is full again by now
                assert given.level + (time_of(connection) - begun) * quota >= domain.full(quota)
                level, then = domain.full(quota), 0
                continue
            kept, at = map(int, str(found, "ascii").split())
            level = domain.refilled(level, at - then if then else 0, quota)
            assert given.tokens == domain.granted(level, need, need + more, share)
            level -= given.tokens * TOKEN
            assert given.level == kept == level
            assert connection.pttl(key) <= 60_001
            then = at


@settings(slow, max_examples=25)
@given(st.sampled_from((3, 20, 90, 600, 2_000, 20_000)), st.integers(1, 5), st.integers(1, 400), st.integers())
def test_several_processes_never_grant_more_than_the_quota_and_what_time_adds(
    server: Valkey, quota: int, count: int, requests: int, seed: int
) -> None:
    policy, caller, chance = Policy("address", quota), next(_names), Random(seed)

    async def scenario(throttles: list[Throttle]) -> None:
        begin, granted = now(server), 0
        for _ in range(5):
            counts = [chance.choice((1, 1, 1, 2, 10)) for _ in range(requests)]
            asked = [chance.choice(throttles) for _ in counts]
            asking = [take(throttle, policy, caller, each) for throttle, each in zip(asked, counts, strict=True)]
            granted += sum(each * got for each, got in zip(counts, await asyncio.gather(*asking), strict=True))
            assert granted * MINUTE <= quota * (MINUTE + now(server) - begin)
            await asyncio.sleep(chance.random() / 50)

    play(server, count, scenario)


@pytest.mark.parametrize("quota", [1, 5, 7, 60, 600])
def test_whoever_asks_one_process_after_the_other_gets_all_of_its_quota(server: Valkey, quota: int) -> None:
    policy, caller = Policy("address", quota), next(_names)

    async def scenario(throttles: list[Throttle]) -> None:
        begin, granted, refused = now(server), 0, 0
        for throttle in itertools.cycle(throttles):
            got = await take(throttle, policy, caller)
            granted, refused = granted + got, 0 if got else refused + 1
            if refused == len(throttles):
                break
        assert quota * MINUTE <= granted * MINUTE <= quota * (MINUTE + now(server) - begin)

    play(server, 4, scenario)


def test_five_a_minute_are_five_however_they_meet_the_processes(server: Valkey) -> None:
    async def scenario(throttles: list[Throttle]) -> None:
        for _ in range(20):
            caller = next(_names)
            asking = (take(throttle, Policy("address", 5), caller) for throttle in throttles for _ in range(10))
            assert sum(await asyncio.gather(*asking)) == 5

    play(server, 4, scenario)


def test_a_steady_caller_is_served_of_slices_and_many_callers_share_a_round_trip(server: Valkey) -> None:
    async def scenario(throttles: list[Throttle]) -> None:
        (throttle,) = throttles
        trips = counted(throttle)
        for _ in range(2000):
            assert await take(throttle, Policy("address", 10_000), "steady")
        assert trips[0] < 15
        trips[0] = 0
        callers = [next(_names) for _ in range(300)]
        policy = Policy("address", 600)
        assert all(await asyncio.gather(*(take(throttle, policy, caller) for caller in callers)))
        assert trips[0] == 1

    play(server, 1, scenario)


def test_a_refusal_is_remembered_and_says_when_to_come_again(server: Valkey) -> None:
    policy, caller = Policy("address", 5), next(_names)

    async def scenario(throttles: list[Throttle]) -> None:
        (throttle,) = throttles
        begun = time.monotonic()
        seen = [await throttle.take(policy, caller) for _ in range(5)]
        assert [taken.remaining for taken in seen if taken] == [4, 3, 2, 1, 0]
        trips = counted(throttle)
        for _ in range(1000):
            refused = await throttle.take(policy, caller)
            assert refused is not None
            assert (refused.granted, refused.remaining) == (False, 0)
            assert 11 - (time.monotonic() - begun) <= refused.seconds <= 12
        assert trips[0] <= 1
        assert throttle.refused == 1000

    play(server, 1, scenario)


def test_when_the_time_that_was_told_has_passed_there_is_a_token(server: Valkey) -> None:
    policy = Policy("address", 60)

    async def scenario(throttles: list[Throttle]) -> None:
        one, other = throttles
        for _ in range(20):
            caller = next(_names)
            assert await take(one, policy, caller, 60)
            refused = await other.take(policy, caller)
            assert refused is not None
            if not refused.granted:
                break  # else the second was over before it was asked, on a busy machine
        assert refused is not None
        assert (refused.granted, refused.seconds) == (False, 1)
        await asyncio.sleep(refused.seconds)
        assert await take(other, policy, caller)

    play(server, 2, scenario)


def test_many_tokens_are_had_together_or_not_at_all(server: Valkey) -> None:
    policy, caller = Policy("key", 600), next(_names)

    async def scenario(throttles: list[Throttle]) -> None:
        one, other = throttles
        begun = time.monotonic()
        assert await take(one, policy, caller, 400)
        refused = await one.take(policy, caller, 400)
        assert refused is not None
        assert not refused.granted
        assert 19 - (time.monotonic() - begun) <= refused.seconds <= 20
        assert await take(other, policy, caller, 190), "a refusal takes nothing"
        never = await one.take(policy, caller, 601)
        assert never is not None
        assert (never.granted, never.seconds) == (False, 0)

    play(server, 2, scenario)


def test_tokens_that_nobody_uses_are_given_back(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "HELD", 3600.0)
    policy, caller = Policy("address", 1000), next(_names)

    async def at_rest(throttle: Throttle) -> None:
        while throttle._timer or throttle._working or throttle._wanted or throttle._returned:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def scenario(throttles: list[Throttle]) -> None:
        (throttle,) = throttles
        for _ in range(500):
            assert await take(throttle, policy, caller)
        await at_rest(throttle)
        in_hand = throttle._shares[caller].tokens
        assert in_hand > 10
        level, then = kept(server, caller)
        monkeypatch.setattr(local, "HELD", 0.05)
        throttle._sweep()
        while throttle._shares:  # noqa: ASYNC110  # it says so to nobody
            await asyncio.sleep(0.01)
        await at_rest(throttle)
        after, at = kept(server, caller)
        assert after == domain.refilled(level, at - then, policy.quota) + in_hand * TOKEN

    play(server, 1, scenario)


def test_valkey_holds_nothing_that_tells_who_called(server: Valkey) -> None:
    async def scenario(throttles: list[Throttle]) -> None:
        assert await take(throttles[0], Policy("address", 60), "198.51.100.77")

    play(server, 1, scenario)
    with client(server) as connection:
        names = connection.keys()
        everything = b"\n".join((*names, *filter(None, connection.mget(names))))
    assert b"throttle:" in everything
    assert b"198.51.100" not in everything


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_without_valkey_all_are_served_at_once_and_counted_and_limits_hold_again_when_it_is_back(
    own: Valkey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: signal.Signals
) -> None:
    monkeypatch.setattr(local, "RETRY", 0.1)
    policy = Policy("address", 5)
    assert own.pid is not None
    pid: int = own.pid

    async def scenario(throttles: list[Throttle]) -> None:
        (throttle,) = throttles
        assert [await take(throttle, policy, "a") for _ in range(6)] == [True] * 5 + [False]
        os.kill(pid, how)
        begun = time.monotonic()
        lost = await asyncio.gather(*(throttle.take(policy, f"caller {n}") for n in range(200)))
        assert lost == [None] * 200
        assert time.monotonic() - begun < 20 * PATIENCE, "all of them once, and not one after the other"
        assert throttle.away
        later = [await throttle.take(policy, "a") for _ in range(1000)]
        assert later == [None] * 1000, "nobody is refused, not even who was"
        assert throttle.failed_open == 1200
        await asyncio.sleep(0.5)
        assert throttle.away
        if how == signal.SIGSTOP:
            os.kill(pid, signal.SIGCONT)
        else:
            await asyncio.to_thread(own.stop)
            await asyncio.to_thread(own.start)
        await back(throttle)
        counted_again = [await take(throttle, policy, "b") for _ in range(6)]
        assert counted_again == [True] * 5 + [False]
        assert throttle.failed_open == 1200

    play(own, 1, scenario, PATIENCE)
    said = [record.getMessage() for record in caplog.records if record.name == "core.throttle.local"]
    assert len(said) == 2, "that it went, and that it came"
    assert "lost Redis" in said[0]
    assert "counts again" in said[1]


def test_a_throttle_that_begins_without_valkey_counts_once_it_is_there(
    own: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "RETRY", 0.1)
    own.stop()

    async def scenario(throttles: list[Throttle]) -> None:
        (throttle,) = throttles
        assert await throttle.take(Policy("address", 5), "a") is None
        await asyncio.to_thread(own.start)
        await back(throttle)
        assert await take(throttle, Policy("address", 5), "a")

    play(own, 1, scenario)


def admitted(guesses: Guesses, address: str) -> bool:
    """Whether a guess is looked at."""
    try:
        guesses.admit(address)
    except TooManyGuessesError:
        return False
    return True


def test_processes_count_wrong_keys_together(server: Valkey) -> None:
    several = [Guesses(20, lambda: (ThreadStore(patient(server)), KEYS)) for _ in range(4)]
    address, looked_at, begun = next(_names), 0, now(server)
    for guesses in itertools.islice(itertools.cycle(several), 100):
        looked_at += admitted(guesses, address)
    assert 20 <= looked_at <= 20 + (now(server) - begun) / 3_000_000  # one more every three seconds
    assert sum(guesses.refused for guesses in several) == 100 - looked_at
    several[0].forgive(address)
    several[0].admit(address)


def test_while_valkey_is_away_each_process_counts_wrong_keys_alone(own: Valkey) -> None:
    moment = 0.0
    several = [Guesses(20, lambda: (ThreadStore(patient(own)), KEYS), lambda: moment) for _ in range(2)]
    own.stop()
    for guesses in several:
        assert sum(admitted(guesses, "192.0.2.1") for _ in range(50)) == 20
        assert guesses.away
        assert guesses.failed_open == 20
    own.start()
    moment = RETRY
    assert not several[0].away
    several[0].admit("192.0.2.2")
    assert several[0].failed_open == 20


def from_loop(server: Valkey) -> Callable[[Ask], Given]:
    """Asks as the lane does."""

    def ask(wanted: Ask) -> Given:
        async def run() -> Given:
            store = Store(patient(server))
            (given,) = await store.take((wanted,))
            await store.close()
            return given

        return asyncio.run(run())

    return ask


async def back(throttle: Throttle) -> None:
    """Wait until it counts again."""
    async with asyncio.timeout(120):
        while throttle.away:  # noqa: ASYNC110  # it says so to nobody
            await asyncio.sleep(0.02)


def kept(server: Valkey, caller: str) -> tuple[int, int]:
    """The level of a caller as Valkey keeps it, and the time that it is of."""
    with client(server) as connection:
        level, at = str(connection.get(KEYS.of(caller)), "ascii").split()
    return int(level), int(at)


def counted(throttle: Throttle) -> list[int]:
    """Counts the round trips of a throttle from here on."""
    trips = [0]
    store = throttle._store
    assert isinstance(store, Store)
    original = store.take

    async def counting(asks: list[Ask]) -> list[object]:
        trips[0] += 1
        return await original(asks)  # type: ignore[return-value]

    store.take = counting  # type: ignore[method-assign, assignment]
    return trips


def test_a_store_that_only_reads_does_not_count(own: Valkey) -> None:
    with client(own) as connection:
        connection.execute_command("REPLICAOF", "127.0.0.1", "1")

    async def scenario(throttles: list[Throttle]) -> None:
        (throttle,) = throttles
        assert await throttle.take(Policy("address", 5), "a") is None
        assert throttle.away

    play(own, 1, scenario)


def test_the_redis_client_and_redis_itself_agree_on_the_script(server: Valkey) -> None:
    with client(server) as connection:
        connection.script_flush()
    assert ThreadStore(patient(server)).take(Ask(KEYS.of(next(_names)), 60, 1, 1)).tokens == 1
    with pytest.raises(AwayError, match="ResponseError"):
        ThreadStore(patient(server)).take(Ask(KEYS.of("a"), "x", 1, 1))  # type: ignore[arg-type]
