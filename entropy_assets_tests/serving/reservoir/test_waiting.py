"""Waiting: a bounded time, first come, first served, and nothing is lost with who gives up."""

import asyncio
import threading
import time

import pytest

from entropy_assets.errors import PoolExhausted
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.reservoir.reservoir import Reservoir
from entropy_assets.stores.pool.ageing import ageing_s
from entropy_assets.stores.pool.blocks import SealedLease
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks
from entropy_assets_tests.serving.reservoir.leases import (
    PATIENT,
    Supply,
    assert_balanced,
    bytes_of,
    held,
    lease_of,
    running,
    sealed_of,
)


async def test_a_request_larger_than_what_is_held_waits_and_gets_its_bytes() -> None:
    blocks = pool_blocks(100)
    async with running(Supply(list(blocks)), PATIENT) as reservoir:
        draw = await reservoir.draw(65_536)
        assert draw.data == bytes_of(draw, blocks)
        assert_balanced(reservoir)


async def test_too_little_is_a_refusal_in_bounded_time_that_consumes_nothing() -> None:
    limits = ReservoirLimits(wait_s=0.1)
    async with running(Supply(pool_blocks(2)), limits) as reservoir:
        await held(reservoir, 8192)
        started = time.monotonic()
        with pytest.raises(PoolExhausted) as caught:
            await reservoir.draw(10_000)
        assert 0.09 < time.monotonic() - started < 5
        assert caught.value.data["ready"] == 8192
        assert 1 <= caught.value.data["retry_after_s"] <= 60
        assert reservoir.take(8192) is not None, "who gave up waiting is in nobody's way"


async def test_the_first_to_wait_is_the_first_to_be_served() -> None:
    """Also when there is enough for somebody who came later and wants less."""
    reservoir = Reservoir("private", lambda most: sealed_of([]), ReservoirLimits(wait_s=5))
    first = asyncio.create_task(reservoir.draw(5000))
    second = asyncio.create_task(reservoir.draw(10))
    await asyncio.sleep(0)
    for seed in (0, 1):
        reservoir.arrived(lease_of([pool_block(seed)]), ageing_s())
        if seed == 0:
            assert reservoir.buffered_bytes == 4096
            assert reservoir.take(1) is None
            assert reservoir.take_piece(1) is None
    draws = await asyncio.gather(first, second)
    assert [draw.cuts[-1].end for draw in draws] == [904, 914]
    assert_balanced(reservoir)


async def test_an_empty_pool_is_not_hammered_by_those_who_wait() -> None:
    supply = Supply([])
    async with running(supply, ReservoirLimits(wait_s=0.2)) as reservoir:
        await asyncio.gather(*(reservoir.draw(10) for _ in range(500)), return_exceptions=True)
    assert len(supply.asked) < 40


async def test_a_client_that_gives_up_waiting_consumes_nothing() -> None:
    supply = Supply([])
    async with running(supply, ReservoirLimits(wait_s=5)) as reservoir:
        waiting = asyncio.create_task(reservoir.draw(10))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        supply.blocks = pool_blocks(1)
        assert (await reservoir.draw(10)).cuts[0].start == 0


async def test_a_request_that_is_cancelled_as_its_bytes_arrive_stays_cancelled() -> None:
    """What was cancelled for a client that left must not go on drawing for it."""
    supply = Supply([])
    async with running(supply, ReservoirLimits(wait_s=5)) as reservoir:
        request = asyncio.create_task(reservoir.draw(100))
        await asyncio.sleep(0.01)
        reservoir.arrived(lease_of([pool_block(1)]), ageing_s())
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert request.cancelled()


async def test_bytes_that_came_for_a_request_which_was_given_up_count_as_undelivered() -> None:
    reservoir = Reservoir("private", lambda most: sealed_of([]), ReservoirLimits(wait_s=10))
    drawing = asyncio.create_task(reservoir.draw(10))
    await asyncio.sleep(0)
    reservoir.arrived(lease_of([pool_block(1)]), ageing_s())
    drawing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drawing
    assert (reservoir.counts["served_private_bytes"], reservoir.counts["undelivered_bytes"]) == (10, 10)
    assert_balanced(reservoir)


async def test_who_waits_behind_a_request_that_is_too_large_is_served_when_that_one_gives_up() -> None:
    """Also when no lease comes meanwhile."""
    release = threading.Event()
    supply = Supply(pool_blocks(1))

    def once_and_then_late(most: int) -> SealedLease:
        if not supply.blocks:
            release.wait(5)
        return supply(most)

    async with running(once_and_then_late, ReservoirLimits(wait_s=0.5)) as reservoir:
        await held(reservoir, 4096)
        large = asyncio.create_task(reservoir.draw(10_000))
        await asyncio.sleep(0.25)
        small = asyncio.create_task(reservoir.draw(100))
        with pytest.raises(PoolExhausted):
            await large
        assert len((await small).data) == 100
        release.set()
