"""Blocks for the tests of the pool and the service: different bytes for each seed, the same for the same seed."""

import hashlib

from entropy_assets.core.conditioning.records import block_id_of
from entropy_assets.stores.lanes import Lane
from entropy_assets.stores.pool.blocks import PoolBlock

TIMESTAMP_US = 1_790_000_000_123_456
FIRST_SEEDS: dict[Lane, int] = {"public": 0, "private": 10**6}


def pool_block(
    seed: int, *, length: int = 4096, quality: float = 9.5, simulated: bool = False, lane: Lane = "private"
) -> PoolBlock:
    """Return the block of `seed`: SHAKE-128 of it, `length` bytes."""
    data = hashlib.shake_128(seed.to_bytes(8, "big")).digest(length)
    sha256 = hashlib.sha256(data).hexdigest()
    return PoolBlock(
        block_id=block_id_of(sha256),
        data=data,
        sha256=sha256,
        quality=quality,
        timestamp_us=TIMESTAMP_US + seed,
        source_images=("ab" * 32, "cd" * 32),
        batch_key="drop-20260101T000000Z-0badcafe",
        index=seed,
        simulated=simulated,
        link="ef" * 32,
        lane=lane,
    )


def pool_blocks(count: int, first: int = 0, **more: object) -> list[PoolBlock]:
    """Return the blocks of `count` seeds from `first`."""
    return [pool_block(seed, **more) for seed in range(first, first + count)]  # type: ignore[arg-type]


def blocks_for_both(count: int, first: int = 0, **more: object) -> list[PoolBlock]:
    """Return `count` blocks of each lane: public ones of the seeds from `first`, private ones of seeds far behind."""
    public, private = (pool_blocks(count, first + start, lane=lane, **more) for lane, start in FIRST_SEEDS.items())
    return [*public, *private]
