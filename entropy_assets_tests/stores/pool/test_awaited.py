"""The pool for a program that awaits: the same promises."""

from collections.abc import Awaitable
from typing import Any

import pytest
import redis

from entropy_assets.errors import BlockRefused
from entropy_assets.stores.pool.awaited import AwaitedPool
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import pool_blocks


async def test_one_awaited_call_is_one_round_trip(pool: PoolClient, raw: "redis.Redis") -> None:
    entropy = AwaitedPool(pool)
    blocks = pool_blocks(64)
    pool.push(pool_blocks(1, first=99))
    pool.lease(1)
    pool.stats()
    pool.push(blocks)

    async def counted(call: Awaitable[Any]) -> Any:
        before = int(raw.info("commandstats")["cmdstat_evalsha"]["calls"])
        result = await call
        assert int(raw.info("commandstats")["cmdstat_evalsha"]["calls"]) - before == 1
        return result

    await counted(entropy.add(b"own", 5.0))
    leased = (await counted(entropy.lease(99, need_bytes=4096))).blocks
    assert [each.block for each in leased] == [each for each in blocks if each == leased[0].block]
    assert (await counted(entropy.stats())).leased_blocks == 2


@pytest.mark.parametrize("data, quality", [(b"", 5.0), (b"x", -1.0), (b"x", 11.0), (b"x", float("nan"))])
async def test_bytes_without_a_sound_score_are_refused(data: bytes, quality: float, pool: PoolClient) -> None:
    with pytest.raises(BlockRefused):
        await AwaitedPool(pool).add(data, quality)


async def test_the_same_bytes_can_not_be_added_twice(pool: PoolClient) -> None:
    entropy = AwaitedPool(pool)
    await entropy.add(b"same", 5.0)
    await entropy.lease(1)
    with pytest.raises(BlockRefused, match="before"):
        await entropy.add(b"same", 5.0)
