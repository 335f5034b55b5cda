"""Serials in hand for calls: they follow on each other, and increase."""

import pytest

from issuance.domain.lease import Demand, Stretch
from ledger.domain.serial import BLOCK_SIZE


def test_a_stretch_goes_on_in_the_next_lease_where_that_follows_and_never_goes_back() -> None:
    stretch = Stretch()
    stretch.renew(range(7, 8))
    assert stretch.take(1000) == range(7 * BLOCK_SIZE, 7 * BLOCK_SIZE + 1000)
    with pytest.raises(IndexError):
        stretch.take(25)
    stretch.renew(range(8, 9))
    assert stretch.take(1048) == range(7 * BLOCK_SIZE + 1000, 9 * BLOCK_SIZE)
    stretch.renew(range(11, 12))
    assert stretch.take(1) == range(11 * BLOCK_SIZE, 11 * BLOCK_SIZE + 1)
    with pytest.raises(ValueError, match="must increase"):
        stretch.renew(range(11, 12))
    stretch.renew(range(20, 21))
    assert len(stretch) == BLOCK_SIZE, "the rest of block 11 is burned"


def test_a_call_leases_what_it_needs_or_a_second_s_worth_where_calls_come_thick() -> None:
    demand = Demand(0.0)
    assert demand.blocks_for_call(100) == 1
    assert demand.blocks_for_call(10_000) == 10
    demand.used(1000, 0.01)
    assert demand.blocks_for_call(1000) == 1
    for tenth in range(1, 11):
        demand.used(1000, tenth / 10)
    assert demand.blocks_for_call(1000) == 11
    demand.used(1, 100.0)
    assert demand.blocks_for_call(1000) == 1, "the rate has fallen"


def test_the_longer_a_lease_takes_the_sooner_and_the_more_is_leased() -> None:
    demand = Demand(0.0)
    demand.used(10 * BLOCK_SIZE, 1.0)
    assert (demand.blocks_to_lease(5 * BLOCK_SIZE + 1), demand.blocks_to_lease(5 * BLOCK_SIZE)) == (0, 10)
    demand.leased(1.0)
    assert (demand.blocks_to_lease(15 * BLOCK_SIZE + 1), demand.blocks_to_lease(15 * BLOCK_SIZE)) == (0, 30)
    demand.leased(0.0)
    assert demand.blocks_to_lease(10 * BLOCK_SIZE) == 20, "one that was quick does not make it forget the slow one"
    demand.leased(3600.0)
    assert demand.blocks_to_lease(0) == 110
