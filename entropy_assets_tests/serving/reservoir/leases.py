"""Leases made by a test, and reservoirs that live on them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from entropy_assets.errors import PoolUnavailable
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.reservoir.reservoir import Reservoir
from entropy_assets.serving.reservoir.stock import Draw
from entropy_assets.stores.pool.blocks import Lease, LeasedBlock, PoolBlock, PoolDepth, SealedLease

PATIENT = ReservoirLimits(wait_s=20.0)
"""For draws that get their bytes: on a busy machine a lease takes longer than anybody usually waits."""


def lease_of(blocks: list[PoolBlock]) -> Lease:
    return Lease(tuple(LeasedBlock(block, 100.0) for block in blocks), PoolDepth(0, 0))


def sealed_of(blocks: list[PoolBlock], left: int = 0) -> SealedLease:
    entries = tuple((block.block_id.encode(), b"100000", block.to_document()) for block in blocks)
    return SealedLease(entries, 0.0, 0.0, PoolDepth(left, 4096 * left))


class Supply:
    """A pool in memory for the reservoir alone: gives what was put in, once, and counts how it is asked."""

    def __init__(self, blocks: list[PoolBlock]) -> None:
        self.blocks = blocks
        self.asked: list[int] = []
        self.failing: PoolUnavailable | None = None

    def __call__(self, most: int) -> SealedLease:
        self.asked.append(most)
        if self.failing is not None:
            raise self.failing
        taken, self.blocks = self.blocks[:most], self.blocks[most:]
        return sealed_of(taken, left=len(self.blocks))


@asynccontextmanager
async def running(
    supply: Callable[[int], SealedLease], limits: ReservoirLimits | None = None
) -> AsyncIterator[Reservoir]:
    reservoir = Reservoir("private", supply, limits)
    reservoir.start()
    try:
        yield reservoir
    finally:
        await reservoir.stop()


async def held(reservoir: Reservoir, n: int) -> None:
    async with asyncio.timeout(10):
        while reservoir.buffered_bytes < n:  # noqa: ASYNC110 - the reservoir tells nobody
            await asyncio.sleep(0.01)


def assert_balanced(reservoir: Reservoir) -> None:
    counts = reservoir.counts
    lane = reservoir.lane
    spent = counts[f"served_{lane}_bytes"] + counts[f"burned_{lane}_bytes"]
    assert counts[f"leased_{lane}_bytes"] == spent + reservoir.buffered_bytes


def bytes_of(draw: Draw, blocks: list[PoolBlock]) -> bytes:
    data = {block.block_id: block.data for block in blocks}
    return b"".join(data[cut.block_id][cut.start : cut.end] for cut in draw.cuts)
