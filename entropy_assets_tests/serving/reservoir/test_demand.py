"""Demand: how much is held, and how many blocks are leased for it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entropy_assets.serving.reservoir.demand import (
    LEASE_BLOCKS,
    LONGEST_WAIT_S,
    SHORTEST_S,
    Demand,
    Rates,
    ReservoirLimits,
)
from entropy_assets.serving.reservoir.stock import Stock
from entropy_assets.stores.pool.blocks import LeasedBlock
from entropy_assets_tests.pool_blocks import pool_blocks

LIMITS = ReservoirLimits(least_bytes=4 * 4096, most_bytes=1024 * 4096)


def _demand(held_blocks: int = 0) -> tuple[Demand, Stock]:
    stock = Stock()
    stock.add([LeasedBlock(block, 100.0) for block in pool_blocks(held_blocks)], 0.0)
    return Demand(LIMITS, stock, 0.0), stock


@given(st.floats(0, 1e12), st.integers(-(2**40), 2**40))
@example(5e-324, 1024)
@example(5e-324, -1024)
def test_a_guess_of_the_wait_is_made_at_every_rate(arriving: float, n_bytes: int) -> None:
    """Every refusal carries one, so it must never raise, however slow the rate has become."""
    rates = Rates(0.0)
    rates.arriving = arriving
    assert 1 <= rates.wait_s(n_bytes) <= LONGEST_WAIT_S


@given(
    st.lists(st.tuples(st.floats(0, 1e12), st.integers(0, 2**60), st.integers(0, 2**60)), max_size=20),
    st.integers(-(2**40), 2**40),
)
@example([(1.0, 0, 4096), *[(86_400.0, 0, 0)] * 800], 1024)
@example([(SHORTEST_S, 2**60, 2**60), (1e12, 0, 0)], -1)
def test_every_history_gives_a_wait_and_a_target(history: list[tuple[float, int, int]], n_bytes: int) -> None:
    """Whatever came and went, in whatever time, and however long nothing did."""
    demand, now, served, arrived = _demand()[0], 0.0, 0, 0
    for gap_s, out_bytes, in_bytes in history:
        now, served, arrived = now + gap_s, served + out_bytes, arrived + in_bytes
        demand.follow(now, served, arrived)
        assert 1 <= demand.rates.wait_s(n_bytes) <= LONGEST_WAIT_S
        assert LIMITS.least_bytes <= demand.target_bytes <= LIMITS.most_bytes
        assert 0 <= demand.blocks_wanted() <= LEASE_BLOCKS


def test_hours_without_a_block_end_in_the_longest_wait_and_not_in_an_error() -> None:
    """The mean of a rate that is over falls for ever, and stays at the smallest number that there is."""
    rates = Rates(0.0)
    rates.update(1.0, 0, 4096)
    waits = [rates.wait_s(1024) for second in range(2, 4000) if rates.update(float(second), 0, 4096)]
    assert len(waits) == 3998
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_S


def test_what_is_held_and_what_is_on_its_way_is_not_wanted_again() -> None:
    demand, stock = _demand(1)
    assert demand.blocks_wanted() == 3
    demand.leased(3, left_bytes=2**30)
    assert (demand.blocks_on_the_way, demand.blocks_wanted()) == (3, 0)
    demand.opened(2)
    stock.add([LeasedBlock(block, 100.0) for block in pool_blocks(2, 1)], 0.0)
    assert (demand.blocks_on_the_way, demand.blocks_wanted()) == (1, 0)


def test_it_is_filled_up_to_the_brim_once_half_is_gone() -> None:
    demand, stock = _demand(4)
    assert demand.low_bytes == 2 * 4096
    stock.draw(2 * 4096 - 1, 0.0)
    assert demand.blocks_wanted() == 0
    stock.draw(1, 0.0)
    assert demand.blocks_wanted() == 2
    stock.add([LeasedBlock(block, 100.0) for block in pool_blocks(1, 4)], 0.0)
    assert demand.blocks_wanted() == 1


def test_who_waits_is_covered_and_makes_it_grow_once_until_blocks_come() -> None:
    demand, _ = _demand()
    for _ in range(40):
        demand.begin_wait(4096)
    assert demand.wake.is_set()
    assert demand.target_bytes == 4 * LIMITS.least_bytes
    assert demand.blocks_wanted() == 40
    for _ in range(40):
        demand.end_wait(4096)
    assert demand.blocks_wanted() == 16
    demand.opened(0)
    demand.begin_wait(1)
    assert demand.target_bytes == 16 * LIMITS.least_bytes


def test_one_lease_has_its_limit_and_so_has_the_target() -> None:
    demand, _ = _demand()
    for _ in range(9):
        demand.opened(0)
        demand.begin_wait(1)
    assert demand.target_bytes == LIMITS.most_bytes
    assert demand.blocks_wanted() == LEASE_BLOCKS


def test_of_a_small_pool_others_are_left_as_much() -> None:
    demand, _ = _demand(30)
    for _ in range(9):
        demand.opened(0)
        demand.begin_wait(1)
    demand.leased(0, left_bytes=70 * 4096)
    assert demand.blocks_wanted() == 20


def test_it_follows_the_rate_at_once_upwards_and_slowly_downwards() -> None:
    demand, _ = _demand()
    demand.follow(1.0, 100 * 4096, 0)
    assert demand.target_bytes == 100 * 4096
    demand.follow(1.05, 200 * 4096, 0)
    assert demand.target_bytes == 100 * 4096, "too short a time for a rate"
    for second in range(2, 12):
        before = demand.target_bytes
        demand.follow(float(second), 100 * 4096, 0)
        assert max(LIMITS.least_bytes, before // 2) <= demand.target_bytes <= before
    for second in range(12, 40):
        demand.follow(float(second), 100 * 4096, 0)
    assert demand.target_bytes == LIMITS.least_bytes


def test_what_it_grew_by_is_given_up_by_halves() -> None:
    demand, _ = _demand()
    demand.begin_wait(1)
    targets = []
    for second in range(1, 4):
        demand.follow(float(second), 0, 0)
        targets.append(demand.target_bytes)
    assert targets == [2 * LIMITS.least_bytes, LIMITS.least_bytes, LIMITS.least_bytes]


def test_rates_are_bytes_per_second() -> None:
    rates = Rates(10.0)
    assert not rates.update(10.05, 100, 100)
    assert rates.update(12.0, 1000, 500)
    assert rates.served == 500
    assert rates.arriving == pytest.approx(0.3 * 250)
    assert rates.update(13.0, 1000, 500)
    assert rates.served == pytest.approx(0.7 * 500)
