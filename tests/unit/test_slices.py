"""Work in slices: all of it is done, in order, and everybody else gets a turn meanwhile."""

import asyncio
import time

import pytest

from issuance.slices import SLICE, sliced


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 1000])
def test_every_item_is_worked_on_in_order(count: int) -> None:
    assert asyncio.run(sliced(lambda item: item * item, range(count))) == [item * item for item in range(count)]


def test_others_get_a_turn_after_each_slice() -> None:
    async def run() -> list[float]:
        turns: list[float] = []

        async def take_turns() -> None:
            while True:
                turns.append(time.monotonic())
                await asyncio.sleep(0)

        others = asyncio.ensure_future(take_turns())
        await asyncio.sleep(0)
        begun = len(turns)
        await sliced(lambda _: time.sleep(SLICE / 4), range(400))
        others.cancel()
        return turns[begun:]

    turns = asyncio.run(run())
    assert len(turns) >= 20, "a turn for each 16 items that take longer than a slice"


def test_an_error_ends_the_work() -> None:
    worked: list[int] = []

    def work(item: int) -> None:
        worked.append(item)
        if item == 20:
            raise KeyError(item)

    with pytest.raises(KeyError):
        asyncio.run(sliced(work, range(1000)))
    assert worked == list(range(21))
