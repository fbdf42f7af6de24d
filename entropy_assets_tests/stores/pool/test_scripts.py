"""What the scripts do inside the server: order, expiry, graves, ghosts and the epoch, under sums that stay true."""

import time

import pytest
import redis

from entropy_assets.errors import PoolEpochChanged
from entropy_assets.stores.pool import client as pool_module
from entropy_assets.stores.pool.blocks import PoolStats
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks


def assert_balanced(stats: PoolStats) -> None:
    """Check the sum that `PoolStats` promises."""
    gone_blocks = stats.leased_blocks + stats.expired_blocks + stats.ghost_blocks
    gone_bytes = stats.leased_bytes + stats.expired_bytes + stats.ghost_bytes
    assert (stats.pushed_blocks, stats.pushed_bytes) == (gone_blocks + stats.blocks, gone_bytes + stats.bytes)


def test_the_order_is_exact_to_the_millisecond(pool: PoolClient, pool_prefix: str, raw: "redis.Redis") -> None:
    """A score has 16 digits; Lua's own way of writing a number would round it to 14."""
    pool.push([pool_block(1, quality=10.0), pool_block(2, quality=3.3)])
    for entry, expires in raw.zrange(f"{pool_prefix}:pool:expiry", 0, -1, withscores=True):
        band = 10 if entry.decode().startswith(pool_block(1).block_id) else 3
        score = raw.zscore(f"{pool_prefix}:pool:ready:private", entry)
        assert int(score) == score == (band + 1) * 10**14 - 1 - int(expires)


def test_needed_bytes_come_whole_or_not_at_all(pool: PoolClient) -> None:
    pool.push(pool_blocks(3))
    short = pool.lease(100, need_bytes=3 * 4096 + 1)
    assert (short.blocks, short.left.bytes) == ((), 3 * 4096)
    assert len(pool.lease(100, need_bytes=4097).blocks) == 2
    assert pool.depth().blocks == 1


def test_more_expired_blocks_than_one_call_takes_out(
    valkey_url: str, pool_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reaping is bounded per call, so the client calls again until the numbers are true."""
    monkeypatch.setattr(pool_module, "IDS_PER_CALL", 10)
    PoolClient.from_url(valkey_url, prefix=pool_prefix, ttl_s=0.05).push(pool_blocks(35, length=32))
    time.sleep(0.06)
    pool = PoolClient.from_url(valkey_url, prefix=pool_prefix)
    assert pool.lease(1).blocks == ()
    assert pool.stats().expired_blocks == 35


def test_tombstones_are_forgotten_in_the_end(valkey_url: str, pool_prefix: str, raw: "redis.Redis") -> None:
    pool = PoolClient.from_url(valkey_url, prefix=pool_prefix)
    pool.push(pool_blocks(2))
    assert pool.stats().tombstones == 0, "of blocks that are ready"
    pool.lease(2)
    assert pool.stats().tombstones == 2
    raw.zadd(f"{pool_prefix}:pool:tomb", {pool_block(0).block_id: 1})
    assert pool.stats().tombstones == 1
    pool.lease(2)
    assert raw.zcard(f"{pool_prefix}:pool:tomb") == 2, "only a push takes one out"
    pool.push(pool_blocks(1, first=5))
    assert raw.zcard(f"{pool_prefix}:pool:tomb") == 2
    assert pool.push(pool_blocks(2)).refused == {pool_block(1).block_id: "consumed"}


def test_a_tombstone_outlives_its_block_by_a_day(valkey_url: str, pool_prefix: str, raw: "redis.Redis") -> None:
    PoolClient.from_url(valkey_url, prefix=pool_prefix, ttl_s=100.0).push(pool_blocks(1))
    [(_, until_ms)] = raw.zrange(f"{pool_prefix}:pool:tomb", 0, -1, withscores=True)
    seconds, microseconds = raw.time()
    left_s = until_ms / 1000 - seconds - microseconds / 1e6
    assert 86_400 + 95 < left_s <= 86_400 + 100


def test_blocks_that_vanished_take_nobodys_place(pool: PoolClient, pool_prefix: str, raw: "redis.Redis") -> None:
    """A lease that came back empty from a pool that is not would look like a dry pool."""
    pool.push([pool_block(seed, quality=9.0) for seed in range(5)] + [pool_block(7, quality=1.0)])
    for seed in range(5):
        raw.delete(f"{pool_prefix}:block:{pool_block(seed).block_id}")
    assert [leased.block.index for leased in pool.lease(1).blocks] == [7]
    assert pool.stats().ghost_blocks == 5
    assert_balanced(pool.stats())


def test_a_block_that_vanished_is_a_ghost_not_an_answer(pool: PoolClient, pool_prefix: str, raw: "redis.Redis") -> None:
    pool.push(pool_blocks(3))
    raw.delete(f"{pool_prefix}:block:{pool_block(1).block_id}")
    assert sorted(leased.block.index for leased in pool.lease(9).blocks) == [0, 2]
    stats = pool.stats()
    assert (stats.ghost_blocks, stats.bytes) == (1, 0)
    assert_balanced(stats)


def test_scripts_that_the_server_forgot_are_loaded_again(pool: PoolClient, raw: "redis.Redis") -> None:
    pool.push(pool_blocks(1))
    raw.script_flush()
    assert len(pool.lease(1).blocks) == 1
    raw.script_flush()
    assert pool.push(pool_blocks(1, first=5)).refused == {}


def test_a_pool_that_lost_its_epoch_serves_nothing_of_what_it_holds(
    pool: PoolClient, pool_prefix: str, raw: "redis.Redis"
) -> None:
    """Without the key of the meta data nothing tells on which server process the blocks were pushed."""
    pool.push(pool_blocks(3))
    raw.delete(f"{pool_prefix}:pool:meta")
    with pytest.raises(PoolEpochChanged):
        pool.lease(3)
    stats = pool.stats()
    assert (stats.epoch_ok, stats.blocks) == (False, 0)
    assert not pool.health().ok
    pool.push(pool_blocks(1, first=7))
    assert [leased.block for leased in pool.lease(9).blocks] == pool_blocks(1, first=7)
    assert pool.stats().inherited_blocks == 3
