"""The reservoir: bytes in order, each once, none after their time, and sums that add up at every moment."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.errors import PoolUnavailable
from entropy_assets.serving.reservoir import reservoir as reservoir_module
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.reservoir.reservoir import Reservoir
from entropy_assets.stores.lanes import LANES, Lane
from entropy_assets.stores.pool.ageing import ageing_s
from entropy_assets.stores.pool.blocks import Lease, LeasedBlock, PoolDepth, SealedLease
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


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), max_size=12),
    wants=st.lists(st.integers(1, 150)),
    lane=st.sampled_from(LANES),
)
def test_every_byte_is_drawn_once_in_order_and_its_cuts_name_it(
    lengths: list[int], wants: list[int], lane: Lane
) -> None:
    blocks = [pool_block(seed, length=16 + length) for seed, length in enumerate(lengths)]
    reservoir = Reservoir(lane, lambda most: sealed_of([]))
    reservoir.arrived(lease_of(blocks), ageing_s())
    drawn = b""
    for n in wants:
        before = reservoir.buffered_bytes
        draw = reservoir.take(n)
        assert (draw is None) == (before < n)
        if draw is not None:
            assert len(draw.data) == n
            assert draw.data == bytes_of(draw, blocks)
            drawn += draw.data
        assert_balanced(reservoir)
    assert b"".join(block.data for block in blocks).startswith(drawn)


def test_a_block_is_not_served_after_its_time() -> None:
    now = 0.0
    reservoir = Reservoir("private", lambda most: sealed_of([]), clock=lambda: now)
    leased = map(LeasedBlock, pool_blocks(3, length=100), (5.0, 50.0, 5.0))
    reservoir.arrived(Lease(tuple(leased), PoolDepth(0, 0)), now)
    assert reservoir.take(10) is not None
    now = 5.0
    draw = reservoir.take(100)
    assert draw is not None
    assert draw.data == pool_block(1, length=100).data
    assert reservoir.take(1) is None
    assert reservoir.counts["burned_private_bytes"] == 190
    assert_balanced(reservoir)


WAYS: dict[str, Callable[[Reservoir, int], object]] = {
    "piece": lambda reservoir, n: reservoir.take_piece(n),
    "draw": lambda reservoir, n: reservoir.take(n),
    "messages": lambda reservoir, n: reservoir.take_messages(n, 40),
}


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(st.integers(16, 60), max_size=12),
    steps=st.lists(st.tuples(st.sampled_from([*WAYS, "later"]), st.integers(1, 90))),
    lane=st.sampled_from(LANES),
)
def test_what_came_is_served_burned_or_held_after_every_step(
    lengths: list[int], steps: list[tuple[str, int]], lane: Lane
) -> None:
    """By whichever way bytes are taken, whichever blocks expire meanwhile, and whether or not they are closed."""
    now, served = 0.0, 0
    reservoir = Reservoir(lane, lambda most: sealed_of([]), clock=lambda: now)
    lives = [100.0 * (1 + seed % 3) for seed in range(len(lengths))]
    blocks = [pool_block(seed, length=length) for seed, length in enumerate(lengths)]
    reservoir.arrived(Lease(tuple(map(LeasedBlock, blocks, lives)), PoolDepth(0, 0)), now)
    for step, n in steps:
        if step == "later":
            now += n
            reservoir.idle()
            assert reservoir.buffered_bytes <= sum(
                length for length, life in zip(lengths, lives, strict=True) if life > now
            )
        elif WAYS[step](reservoir, n) is not None:
            served += n
        assert_balanced(reservoir)
        assert reservoir.counts[f"served_{lane}_bytes"] == served


def test_a_piece_is_not_cut_from_what_has_expired() -> None:
    now = 0.0
    reservoir = Reservoir("private", lambda most: sealed_of([]), clock=lambda: now)
    reservoir.arrived(lease_of(pool_blocks(1)), now)
    now = 99.0
    assert reservoir.take_piece(16) is not None
    now = 100.0
    assert reservoir.take_piece(16) is None
    assert reservoir.take(16) is None
    assert reservoir.counts["burned_private_bytes"] == 4080


def test_a_simulated_block_marks_every_draw_that_touches_it() -> None:
    reservoir = Reservoir("private", lambda most: sealed_of([]))
    blocks = [pool_block(0, length=100), pool_block(1, length=100, simulated=True)]
    reservoir.arrived(lease_of(blocks), ageing_s())
    marks = [draw.simulated for draw in (reservoir.take(n) for n in (60, 60, 60)) if draw]
    assert marks == [False, True, True]


async def test_it_holds_little_when_nobody_asks() -> None:
    supply = Supply(pool_blocks(100))
    async with running(supply) as reservoir:
        await held(reservoir, reservoir.limits.least_bytes)
        await asyncio.sleep(0.2)
        assert reservoir.buffered_bytes == reservoir.limits.least_bytes
        assert len(supply.asked) == 1


async def test_it_holds_more_when_much_is_asked_for() -> None:
    async with running(Supply(pool_blocks(3000)), PATIENT) as reservoir:
        for _ in range(600):
            await reservoir.draw(16_384)
        assert reservoir._demand.target_bytes > 8 * reservoir.limits.least_bytes


async def test_it_leaves_others_as_much_of_a_small_pool_as_it_holds() -> None:
    """However much is asked of one worker: what it holds is lost with it."""
    supply = Supply(pool_blocks(400))
    async with running(supply, replace(PATIENT, horizon_s=100.0)) as reservoir:
        for _ in range(30):
            await reservoir.draw(4096)
            await asyncio.sleep(0.02)
        async with asyncio.timeout(20):
            while reservoir.counts["leased_private_bytes"] <= 120 * 4096:  # noqa: ASYNC110 - the reservoir tells nobody
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        assert reservoir.buffered_bytes <= 4096 * (len(supply.blocks) + 1)


async def test_blocks_that_are_being_read_are_counted_as_on_their_way() -> None:
    """The filler's thread may look at any moment: what is neither held nor on its way it leases once more."""
    wanted: list[int] = []

    class Looked(SealedLease):
        def opened(self, start: int = 0, end: int | None = None) -> Lease:
            wanted.append(reservoir._demand.blocks_wanted())
            return super().opened(start, end)

    first = sealed_of(pool_blocks(4))
    async with running(lambda most: Looked(first.entries, 0.0, 0.0, first.left)) as reservoir:
        await held(reservoir, reservoir.limits.least_bytes)
    assert wanted == [0]


async def test_a_server_that_is_away_is_a_quick_refusal_and_comes_back_by_itself() -> None:
    supply = Supply(pool_blocks(10))
    supply.failing = PoolUnavailable("away")
    async with running(supply) as reservoir:
        await reservoir.settle(20)
        started = time.monotonic()
        for _ in range(200):
            with pytest.raises(PoolUnavailable):
                await reservoir.draw(10)
        assert time.monotonic() - started < 5, "two hundred waits take ten seconds"
        assert len(supply.asked) < 10
        supply.failing = None
        await held(reservoir, 1)
        assert len((await reservoir.draw(10)).data) == 10


async def test_what_is_held_serves_on_while_the_server_is_away() -> None:
    supply = Supply(pool_blocks(4))
    async with running(supply) as reservoir:
        await held(reservoir, 4 * 4096)
        supply.failing = PoolUnavailable("away")
        for _ in range(4 * 64):
            assert len((await reservoir.draw(64)).data) == 64


async def test_stopping_burns_what_is_held_and_counts_it() -> None:
    reservoir = Reservoir("private", Supply(pool_blocks(50)))
    reservoir.start()
    await reservoir.draw(100)
    await reservoir.stop()
    assert reservoir.buffered_bytes == 0
    assert reservoir.counts["burned_private_bytes"] == reservoir.counts["leased_private_bytes"] - 100
    assert "reservoir-filler" not in [thread.name for thread in threading.enumerate()]


async def test_stopping_waits_for_a_lease_that_is_still_being_read() -> None:
    """It is read a few blocks at a time, and none of them may be lost to the counts."""
    asked, sealed = threading.Event(), sealed_of(pool_blocks(2000, length=64))

    def large(most: int) -> SealedLease:
        asked.set()
        return sealed

    reservoir = Reservoir("private", large)
    reservoir.start()
    await asyncio.to_thread(asked.wait, 5)
    await reservoir.stop()
    assert reservoir.counts["leased_private_blocks"] == 2000
    assert reservoir.counts["burned_private_bytes"] == reservoir.counts["leased_private_bytes"] == 2000 * 64


@pytest.mark.parametrize("lane", LANES)
async def test_stopping_does_not_wait_for_a_server_that_drips(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a reply passes no time-out; a service that was told to end waited for all of it."""
    monkeypatch.setattr(reservoir_module, "STOP_S", 0.2)
    asked, ends = threading.Event(), threading.Event()

    def dripping(most: int) -> SealedLease:
        asked.set()
        ends.wait(30)
        return sealed_of([])

    def told(begun: Mapping[str, float], closed: Sequence[str]) -> None:
        dripping(0)

    reservoir = Reservoir(lane, dripping, close_blocks=told)
    reservoir.arrived(lease_of(pool_blocks(1, lane=lane)), ageing_s())
    assert reservoir.take(100)  # there is something to tell of a public block
    reservoir.start()
    try:
        await asyncio.to_thread(asked.wait, 5)
        async with asyncio.timeout(5):
            await reservoir.stop()
    finally:
        ends.set()
    assert_balanced(reservoir)
    assert reservoir.buffered_bytes == 0


async def test_many_at_once_never_share_a_byte() -> None:
    blocks = pool_blocks(200)
    async with running(Supply(list(blocks)), ReservoirLimits(wait_s=5)) as reservoir:
        draws = await asyncio.gather(*(reservoir.draw(1 + 37 * n % 3000) for n in range(300)))
        seen = sorted(itertools.chain.from_iterable(draw.cuts for draw in draws))
        for one, other in itertools.pairwise(seen):
            assert one.block_id != other.block_id or one.end <= other.start
        assert_balanced(reservoir)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_filler_that_ends_by_what_nobody_foresaw_is_told_of_and_requests_are_refused_at_once() -> None:
    def broken(most: int) -> SealedLease:
        raise ZeroDivisionError

    async with running(broken) as reservoir:
        async with asyncio.timeout(5):
            while not reservoir.has_ended:  # noqa: ASYNC110 - the reservoir tells nobody
                await asyncio.sleep(0.01)
        with pytest.raises(PoolUnavailable, match="restart"):
            await reservoir.draw(1)
        assert reservoir.counts["dry_answers"] == 0
    assert not reservoir.has_ended


async def test_settling_ends_with_the_first_lease_or_its_failure_and_in_bounded_time() -> None:
    held = threading.Event()

    def slow(most: int) -> SealedLease:
        held.wait(5)
        return sealed_of(pool_blocks(1))

    failing = Supply([])
    failing.failing = PoolUnavailable("away")
    async with running(slow) as reservoir:
        begun = time.monotonic()
        await reservoir.settle(0.1)
        assert 0.09 < time.monotonic() - begun < 2
        asyncio.get_running_loop().call_later(0.1, held.set)
        await reservoir.settle(5)
        assert reservoir.buffered_bytes
    async with running(failing) as reservoir:
        await reservoir.settle(5)
        assert reservoir.problem is not None


async def test_what_is_altered_in_a_lease_is_dropped_and_counted_here_and_in_the_pool() -> None:
    """Over several turns of the loop: of 40 blocks one is altered in the first turn and one in the last."""
    told: list[int] = []
    blocks = pool_blocks(40)
    whole = sealed_of(blocks)
    other = pool_block(99).to_document()
    entries = tuple((each[0], each[1], other) if at in (3, 39) else each for at, each in enumerate(whole.entries))
    leases = [SealedLease(entries, 0.0, 0.0, PoolDepth(0, 0))]
    limits = ReservoirLimits(least_bytes=40 * 4096)
    reservoir = Reservoir(
        "private", lambda most: leases.pop() if leases else sealed_of([]), limits, count_altered=told.append
    )
    reservoir.start()
    async with asyncio.timeout(20):
        while sum(told) < 2 or reservoir.buffered_bytes < 38 * 4096:  # noqa: ASYNC110 - they tell nobody
            await asyncio.sleep(0.01)
    assert reservoir.counts["altered_blocks"] == sum(told) == 2
    assert reservoir.counts["leased_private_blocks"] == 38
    await reservoir.stop()
    assert_balanced(reservoir)


async def test_a_full_reservoir_sees_too_that_the_server_is_back() -> None:
    """The failure came with a request for more than is held; without another lease it would never be over."""
    supply = Supply(pool_blocks(100))
    async with running(supply, replace(PATIENT, least_bytes=16_384, most_bytes=16_384)) as reservoir:
        await held(reservoir, reservoir.limits.least_bytes)
        await asyncio.sleep(0.05)
        supply.failing = PoolUnavailable("away")
        with pytest.raises(PoolUnavailable):
            await reservoir.draw(65_536)
        supply.failing = None
        async with asyncio.timeout(5):
            while reservoir.problem is not None:  # noqa: ASYNC110 - the reservoir tells nobody
                await asyncio.sleep(0.02)
