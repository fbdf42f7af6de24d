"""The pool for a program that awaits.

Trusted for nothing beyond `PoolClient`, whose every word about loss and repetition holds here too.
"""

import asyncio
import hashlib
import time

from entropy_assets.core.conditioning.records import block_id_of
from entropy_assets.errors import BlockRefused
from entropy_assets.stores.lanes import Lane
from entropy_assets.stores.pool.blocks import Lease, PoolBlock, PoolStats
from entropy_assets.stores.pool.shards import AnyPool


class AwaitedPool:
    """The pool for a program that awaits.

    Each call but `add` runs the one of `PoolClient` with its name in a thread, and raises what that raises. Close that
    client when done. It holds nothing: what was leased belongs to the caller.

    Parameters
    ----------
    pool
        The pool to use.
    """

    def __init__(self, pool: AnyPool) -> None:
        self._pool = pool

    async def add(self, entropy_bytes: bytes, quality_score: float, *, lane: Lane = "private") -> str:
        """Push `entropy_bytes` as one block of a lane and return its id.

        Such a block has no batch and no provenance; the caller answers for it. The pipeline publishes through the
        ledger instead.

        Raises
        ------
        BlockRefused
            If it is empty, if the score is not from 0 to 10, or if these bytes were in the pool before.
        PoolUnavailable
            If the pool does not answer. The bytes may be in it: make new ones.
        """
        if not entropy_bytes or not 0 <= quality_score <= 10:
            raise BlockRefused("a block needs bytes and a quality score from 0 to 10", quality=quality_score)
        sha256 = hashlib.sha256(entropy_bytes).hexdigest()
        made_us = time.time_ns() // 1000
        block = PoolBlock(block_id_of(sha256), bytes(entropy_bytes), sha256, quality_score, made_us, lane=lane)
        result = await asyncio.to_thread(lambda: self._pool.taker(lane).push([block]))
        if result.refused:
            raise BlockRefused(f"block {block.block_id} was in the pool before", block_id=block.block_id)
        return block.block_id

    async def lease(self, max_blocks: int, need_bytes: int = 0, *, lane: Lane = "private") -> Lease:
        """Take up to `max_blocks` out of a lane; with `need_bytes`, stop there, or take none if there are fewer.

        A caller that is cancelled has lost the blocks of this lease.
        """
        return await asyncio.to_thread(self._pool.lease, max_blocks, need_bytes, lane=lane)

    async def stats(self) -> PoolStats:
        """Return the truth about the pool."""
        return await asyncio.to_thread(self._pool.stats)
