"""The pool for a program that awaits: the same promises, and exactly the bytes asked for."""

import asyncio
import os
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest
import redis

from entropy_assets.errors import BlockRefused, PoolExhausted
from entropy_assets.stores.pool.awaited import AwaitedPool
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks


@pytest.fixture
def raw(valkey_url: str) -> Iterator["redis.Redis"]:
    """Give a plain client, to look behind the pool's back."""
    with redis.Redis.from_url(valkey_url) as client:
        yield client


async def test_one_awaited_call_is_one_round_trip(pool: PoolClient, raw: "redis.Redis") -> None:
    entropy = AwaitedPool(pool)
    blocks = pool_blocks(64)
    pool.push(pool_blocks(1, first=99))
    pool.lease(1)
    pool.stats()

    async def counted(call: Awaitable[Any]) -> Any:
        before = int(raw.info("commandstats")["cmdstat_evalsha"]["calls"])
        result = await call
        assert int(raw.info("commandstats")["cmdstat_evalsha"]["calls"]) - before == 1
        return result

    assert len((await counted(entropy.push(blocks))).pushed) == 64
    assert (await counted(entropy.depth())).blocks == 64
    leased = (await counted(entropy.lease(99, need_bytes=4096))).blocks
    assert [each.block for each in leased] == [each for each in blocks if each == leased[0].block]
    assert (await counted(entropy.stats())).leased_blocks == 2
    assert (await counted(entropy.health())).ok


async def test_the_missions_calls_work_as_written(pool: PoolClient) -> None:
    entropy = AwaitedPool(pool)
    entropy_bytes = pool_block(1).data
    block_id = await entropy.add_entropy(entropy_bytes, 9.5)
    assert block_id == pool_block(1).block_id
    assert await entropy.get_entropy(n_bytes=256) == entropy_bytes[:256]
    assert await entropy.get_entropy() == entropy_bytes[256:512]
    assert (await entropy.get_stats())["leased_bytes"] == 4096


async def test_a_draw_across_blocks_has_exactly_the_bytes_asked_for(pool: PoolClient) -> None:
    pool.push(pool_blocks(3, length=100))
    entropy = AwaitedPool(pool)
    first = await entropy.get_entropy(150)
    second = await entropy.get_entropy(150)
    whole = first + second
    assert sorted(whole[at : at + 100] for at in (0, 100, 200)) == sorted(
        block.data for block in pool_blocks(3, length=100)
    )


async def test_too_few_bytes_are_an_error_and_stay_where_they_are(pool: PoolClient) -> None:
    pool.push(pool_blocks(2, length=100))
    entropy = AwaitedPool(pool)
    with pytest.raises(PoolExhausted) as caught:
        await entropy.get_entropy(201)
    assert caught.value.data == {"requested": 201, "ready": 200}
    assert pool.depth().blocks == 2
    assert len(await entropy.get_entropy(200)) == 200


async def test_what_is_left_of_a_block_does_not_outlive_it(valkey_url: str, pool_prefix: str) -> None:
    pool = PoolClient.from_url(valkey_url, prefix=pool_prefix, ttl_s=0.2)
    pool.push(pool_blocks(1))
    entropy = AwaitedPool(pool)
    await entropy.get_entropy(1)
    await asyncio.sleep(0.2)
    with pytest.raises(PoolExhausted):
        await entropy.get_entropy(1)


def test_a_fork_does_not_share_what_is_left_of_a_block(pool: PoolClient) -> None:
    pool.push(pool_blocks(2))
    entropy = AwaitedPool(pool)
    asyncio.run(entropy.get_entropy(1))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, asyncio.run(entropy.get_entropy(32)))
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    childs = os.read(reading, 99)
    os.close(reading)
    assert len(childs) == 32
    assert asyncio.run(entropy.get_entropy(32)) != childs


@pytest.mark.parametrize("data, quality", [(b"", 5.0), (b"x", -1.0), (b"x", 11.0), (b"x", float("nan"))])
async def test_bytes_without_a_sound_score_are_refused(data: bytes, quality: float, pool: PoolClient) -> None:
    with pytest.raises(BlockRefused):
        await AwaitedPool(pool).add_entropy(data, quality)


async def test_the_same_bytes_can_not_be_added_twice(pool: PoolClient) -> None:
    entropy = AwaitedPool(pool)
    await entropy.add_entropy(b"same", 5.0)
    await entropy.get_entropy(4)
    with pytest.raises(BlockRefused, match="before"):
        await entropy.add_entropy(b"same", 5.0)
