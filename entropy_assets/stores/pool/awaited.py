"""The pool for a program that awaits.

Trusted for nothing beyond `PoolClient`, whose every word about loss and repetition holds here too.
"""

import asyncio
import hashlib
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from entropy_assets.core.conditioning.records import block_id_of
from entropy_assets.errors import BlockRefused, PoolExhausted
from entropy_assets.stores.pool.ageing import ageing_s
from entropy_assets.stores.pool.blocks import Lease, PoolBlock, PoolDepth, PoolHealth, PoolStats, PushResult
from entropy_assets.stores.pool.client import IDS_PER_CALL, PoolClient


class AwaitedPool:
    """The pool for a program that awaits: add bytes, get bytes, each byte once.

    Each call runs the one of `PoolClient` with its name in a thread, and raises what that raises; `close` that one
    when done. What is left of a block after a `get_entropy` stays in this object for the
    next call, until the block would have expired; it is gone with the object. After a fork it stays with the parent.

    Parameters
    ----------
    pool
        The pool to use.
    """

    def __init__(self, pool: PoolClient) -> None:
        self._pool = pool
        self._held: deque[tuple[memoryview, float]] = deque()
        self._owner = os.getpid()
        self._turn = asyncio.Lock()

    async def add_entropy(self, entropy_bytes: bytes, quality_score: float) -> str:
        """Push `entropy_bytes` as one block and return its id.

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
        block = PoolBlock(block_id_of(sha256), bytes(entropy_bytes), sha256, quality_score, time.time_ns() // 1000)
        result = await asyncio.to_thread(self._pool.push, [block])
        if result.refused:
            raise BlockRefused(f"block {block.block_id} was in the pool before", block_id=block.block_id)
        return block.block_id

    async def get_entropy(self, n_bytes: int = 256) -> bytes:
        """Return exactly `n_bytes` bytes that nobody else gets.

        Raises
        ------
        PoolExhausted
            If fewer are ready; ``data`` has ``requested`` and ``ready``.
        PoolEpochChanged, PoolUnavailable
            As `PoolClient.lease`.
        """
        if n_bytes < 1:
            raise ValueError("n_bytes must be at least 1")
        async with self._turn:
            while (missing := n_bytes - self._held_bytes()) > 0:
                before = ageing_s()
                lease = await asyncio.to_thread(self._pool.lease, IDS_PER_CALL, missing)
                if not lease.blocks and not lease.altered:
                    raise PoolExhausted(
                        f"{n_bytes} bytes were asked for, {n_bytes - missing + lease.left.bytes} are ready",
                        requested=n_bytes, ready=n_bytes - missing + lease.left.bytes,
                    )  # fmt: skip
                self._held.extend((memoryview(held.block.data), before + held.expires_in_s) for held in lease.blocks)
            return self._cut(n_bytes)

    async def push(self, blocks: Sequence[PoolBlock]) -> PushResult:
        """Push `blocks`, each once; return which entered."""
        return await asyncio.to_thread(self._pool.push, blocks)

    async def lease(self, max_blocks: int, need_bytes: int = 0) -> Lease:
        """Take up to `max_blocks` out of the pool; with `need_bytes`, stop there, or take none if there are fewer.

        A caller that is cancelled has lost the blocks of this lease.
        """
        return await asyncio.to_thread(self._pool.lease, max_blocks, need_bytes)

    async def depth(self) -> PoolDepth:
        """Return what is ready now."""
        return await asyncio.to_thread(self._pool.depth)

    async def stats(self) -> PoolStats:
        """Return the truth about the pool."""
        return await asyncio.to_thread(self._pool.stats)

    async def health(self) -> PoolHealth:
        """Ask the pool whether it can serve; never raises a `PoolError`."""
        return await asyncio.to_thread(self._pool.health)

    async def get_stats(self) -> dict[str, Any]:
        """Return the fields of `PoolStats`."""
        return asdict(await asyncio.to_thread(self._pool.stats))

    def _held_bytes(self) -> int:
        if self._owner != os.getpid():
            self._held.clear()
            self._owner = os.getpid()
        now = ageing_s()
        while self._held and self._held[0][1] <= now:
            self._held.popleft()
        return sum(len(data) for data, _ in self._held)

    def _cut(self, n_bytes: int) -> bytes:
        parts = []
        while n_bytes > 0:
            data, expires_at = self._held.popleft()
            parts.append(data[:n_bytes])
            if len(data) > n_bytes:
                self._held.appendleft((data[n_bytes:], expires_at))
            n_bytes -= len(parts[-1])
        return b"".join(parts)
