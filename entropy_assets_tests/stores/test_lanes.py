"""The two lanes of the pool: no block of one serves the other, and who holds a public block says when it reveals."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
import redis

from entropy_assets.errors import PoolEpochChanged, PoolUnavailable
from entropy_assets.stores.lanes import LANES, Lane
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks


@pytest.fixture
def raw(valkey_url: str) -> Iterator["redis.Redis"]:
    """Give a plain client, to look behind the pool's back."""
    with redis.Redis.from_url(valkey_url) as client:
        yield client


@pytest.mark.parametrize("lane", LANES)
def test_a_lease_gives_blocks_of_its_lane_only(pool: PoolClient, lane: Lane) -> None:
    pool.push([*pool_blocks(3, lane="public"), *pool_blocks(4, first=10, lane="private")])
    leased = [each.block for each in pool.lease(99, lane=lane).blocks]
    assert [block.lane for block in leased] == [lane] * len(leased)
    assert len(leased) == {"public": 3, "private": 4}[lane]
    stats = pool.stats()
    assert stats.lanes[lane].blocks == 0
    assert stats.blocks == 7 - len(leased)
    assert stats.lanes[lane].leased_bytes == 4096 * len(leased)


@pytest.mark.parametrize("lane", LANES)
def test_what_one_lane_lacks_does_not_come_from_the_other(pool: PoolClient, lane: Lane) -> None:
    pool.push(pool_blocks(3, lane="public" if lane == "private" else "private"))
    assert pool.lease(1, lane=lane).blocks == ()
    assert pool.lease(1, need_bytes=1, lane=lane).blocks == ()
    assert pool.lease(1, lane=lane).left.bytes == 0


@pytest.mark.parametrize("lane", LANES)
def test_a_block_enters_one_lane_once(pool: PoolClient, lane: Lane) -> None:
    """Neither beside itself in the other lane, nor in the other lane after it was leased."""
    pool.push([pool_block(1, lane="public")])
    assert list(pool.push([pool_block(1, lane=lane)]).refused.values()) == ["present"]
    pool.lease(1, lane="public")
    assert list(pool.push([pool_block(1, lane=lane)]).refused.values()) == ["consumed"]


def test_a_document_of_the_other_lane_is_dropped(pool: PoolClient, raw: "redis.Redis", pool_prefix: str) -> None:
    """Somebody who writes to the server moves a private block into the public lane."""
    private, public = pool_block(1, lane="private"), pool_block(2, lane="public")
    pool.push([private, public])
    raw.zadd(f"{pool_prefix}:pool:ready:public", {f"{private.block_id}:4096:private": 10**15})
    leased = pool.lease(2, lane="public")
    assert [each.block.block_id for each in leased.blocks] == [public.block_id]
    assert leased.altered == 1
    assert pool.stats().lanes["public"].altered_blocks == 1


def test_a_public_block_is_open_until_its_holder_closes_it(pool: PoolClient) -> None:
    pool.push(pool_blocks(2, lane="public"))
    ids = [block.block_id for block in pool_blocks(2)]
    assert [pool.fate_of(each).state for each in ids] == ["ready", "ready"]
    assert 3590 < pool.fate_of(ids[0]).left_s <= 3600
    pool.lease(2, lane="public")
    assert [pool.fate_of(each).state for each in ids] == ["open", "open"]
    assert 3590 < pool.fate_of(ids[0]).left_s <= 3600
    pool.close_blocks({}, ids[:1])
    assert [pool.fate_of(each).state for each in ids] == ["gone", "open"]
    assert pool.fate_of(pool_block(3).block_id).state == "unknown"


def test_a_block_that_was_begun_is_open_for_as_long_as_its_holder_says_and_no_longer(pool: PoolClient) -> None:
    pool.push(pool_blocks(1, lane="public"))
    block_id = pool.lease(1, lane="public").blocks[0].block.block_id
    pool.close_blocks({block_id: 1.0}, [])
    assert 0 < pool.fate_of(block_id).left_s <= 1.0
    pool.close_blocks({block_id: 100.0}, [])
    assert pool.fate_of(block_id).left_s <= 1.0, "nobody makes it longer again"
    time.sleep(1.05)
    assert pool.fate_of(block_id).state == "gone"


def test_a_block_that_expires_in_the_pool_is_gone(valkey_url: str, pool_prefix: str) -> None:
    pool = PoolClient.from_url(valkey_url, prefix=pool_prefix, ttl_s=0.05)
    pool.push(pool_blocks(1, lane="public"))
    time.sleep(0.1)
    pool.stats()
    assert pool.fate_of(pool_block(0).block_id).state == "gone"
    pool.close()


def test_a_block_that_another_server_had_is_open_until_it_expires(
    pool: PoolClient, raw: "redis.Redis", pool_prefix: str
) -> None:
    """A replica that was promoted shows as ready what a worker holds."""
    pool.push(pool_blocks(2, lane="public"))
    raw.hset(f"{pool_prefix}:pool:meta", "epoch", "another")
    with pytest.raises(PoolEpochChanged):
        pool.lease(1, lane="public")
    pool.push(pool_blocks(1, first=10, lane="private"))
    fate = pool.fate_of(pool_block(0).block_id)
    assert (fate.state, fate.left_s > 3500) == ("open", True)
    assert pool.stats().lanes["public"].inherited_blocks == 2
    assert pool.stats().lanes["private"].blocks == 1


def test_a_push_that_comes_late_gives_its_blocks_no_longer_life(valkey_url: str, pool_prefix: str) -> None:
    """What is published reveals by the clock where nobody knows better: nothing may be ready after that."""
    pool = PoolClient.from_url(valkey_url, prefix=pool_prefix, ttl_s=100)
    latest_ms = pool.expiry_ms()
    assert pool.push(pool_blocks(1, lane="public"), latest_ms=latest_ms - 90_000).refused == {}
    assert 9 < pool.fate_of(pool_block(0).block_id).left_s <= 10
    late = pool.push(pool_blocks(1, first=1, lane="public"), latest_ms=latest_ms - 100_000)
    assert late.refused == {pool_block(1).block_id: "late"}
    assert pool.push(pool_blocks(1, first=2, lane="public"), latest_ms=latest_ms + 90_000).refused == {}
    assert pool.fate_of(pool_block(2).block_id).left_s <= 100
    assert (pool.stats().blocks, pool.stats().refused_blocks) == (2, 1)
    pool.close()


def test_a_push_that_lay_in_a_frozen_server_enters_no_more() -> None:
    with EmbeddedServer() as server:
        assert server.pid is not None
        pool = PoolClient.from_url(server.url, ttl_s=1.0, timeout_s=1.0)
        pool.push(pool_blocks(1, first=50))  # from now on the server has the script
        latest_ms = pool.expiry_ms()
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(PoolUnavailable):
            pool.push(pool_blocks(3, lane="public"), latest_ms=latest_ms)
        time.sleep(1.1)
        os.kill(server.pid, signal.SIGCONT)
        again = PoolClient.from_url(server.url, ttl_s=1.0)
        deadline = time.monotonic() + 10
        while again.stats().refused_blocks < 3:
            assert time.monotonic() < deadline, "the server runs what it was sent"
            time.sleep(0.05)
        assert again.lease(9, lane="public").blocks == ()
        pool.close()
        again.close()


def test_so_many_at_once_as_a_full_speed_closes(pool: PoolClient) -> None:
    ids = []
    for first in range(0, 2500, 500):
        pool.push(pool_blocks(500, first=first, length=32, lane="public"))
        ids += [each.block.block_id for each in pool.lease(500, lane="public").blocks]
    pool.close_blocks(dict.fromkeys(ids[:1200], 5.0), ids[1200:])
    assert pool.fate_of(ids[0]).left_s <= 5
    assert {pool.fate_of(each).state for each in ids[:1200]} == {"open"}
    assert {pool.fate_of(each).state for each in ids[1200:]} == {"gone"}
