"""The pool on a real server: what goes in comes out once, in order, and the counters are the truth."""

import base64
import hashlib
import json
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import redis

from entropy_assets.errors import BlockRefused, PoolAddressInvalid, PoolUnavailable, UnsafePoolServer
from entropy_assets.stores.pool.blocks import PoolBlock
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks
from entropy_assets_tests.stores.pool.test_scripts import assert_balanced


def test_a_block_comes_out_as_it_went_in(pool: PoolClient) -> None:
    block = pool_block(1, simulated=True)
    assert pool.push([block]).pushed == (block.block_id,)
    lease = pool.lease(10)
    assert [leased.block for leased in lease.blocks] == [block]
    assert 3590 < lease.blocks[0].expires_in_s <= 3600
    assert lease.left.blocks == 0


def test_the_keys_are_the_missions(pool: PoolClient, pool_prefix: str, raw: "redis.Redis") -> None:
    block = pool_block(1)
    pool.push([block])
    key = f"{pool_prefix}:block:{block.block_id}"
    document = json.loads(raw.get(key))
    assert base64.b64decode(document["data"]) == block.data
    assert document["hash"] == hashlib.sha256(block.data).hexdigest()
    assert document["quality"] == 9.5
    assert document["timestamp"] == "2026-09-21T14:13:20.123457+00:00"
    assert document["source_images"] == list(block.source_images)
    assert 3590 < raw.ttl(key) <= 3600


def test_a_leased_block_leaves_nothing_but_its_tombstone(
    pool: PoolClient, pool_prefix: str, raw: "redis.Redis"
) -> None:
    block = pool_block(1)
    pool.push([block])
    pool.lease(1)
    assert sorted(raw.keys(f"{pool_prefix}:*")) == [
        f"{pool_prefix}:pool:meta".encode(),
        f"{pool_prefix}:pool:tomb".encode(),
    ]
    assert raw.zrange(f"{pool_prefix}:pool:tomb", 0, -1) == [block.block_id.encode()]


def test_a_block_in_the_pool_is_refused(pool: PoolClient) -> None:
    block = pool_block(1)
    pool.push([block])
    assert pool.push([block]).refused == {block.block_id: "present"}
    assert pool.depth().blocks == 1


def test_a_repeated_push_does_not_bring_a_leased_block_back(pool: PoolClient) -> None:
    """Push, lease, push again: the retry of a publishing step."""
    block = pool_block(1)
    pool.push([block])
    pool.lease(1)
    assert pool.push([block]).refused == {block.block_id: "consumed"}
    assert pool.lease(1).blocks == ()


def test_a_repeated_push_does_not_bring_an_expired_block_back(valkey_url: str, pool_prefix: str) -> None:
    pool = PoolClient.from_url(valkey_url, prefix=pool_prefix, ttl_s=0.05)
    pool.push([pool_block(1)])
    time.sleep(0.06)
    assert list(pool.push([pool_block(1)]).refused.values()) == ["consumed"]


def test_the_best_band_goes_first_and_in_it_the_soonest_to_expire(valkey_url: str, pool_prefix: str) -> None:
    def push(seed: int, quality: float, ttl_s: float) -> None:
        PoolClient.from_url(valkey_url, prefix=pool_prefix, ttl_s=ttl_s).push([pool_block(seed, quality=quality)])

    push(1, 7.9, 100)
    push(2, 9.1, 300)
    push(3, 9.9, 200)
    push(4, 10.0, 400)
    push(5, 7.0, 50)
    pool = PoolClient.from_url(valkey_url, prefix=pool_prefix)
    assert [leased.block.index for leased in pool.lease(9).blocks] == [4, 3, 2, 5, 1]


def test_expired_blocks_are_never_leased_and_always_counted(valkey_url: str, pool_prefix: str) -> None:
    PoolClient.from_url(valkey_url, prefix=pool_prefix, ttl_s=0.05).push(pool_blocks(5))
    pool = PoolClient.from_url(valkey_url, prefix=pool_prefix)
    pool.push(pool_blocks(2, first=10))
    time.sleep(0.06)
    stats = pool.stats()
    assert (stats.blocks, stats.bytes, stats.expired_blocks) == (2, 2 * 4096, 5)
    assert sorted(leased.block.index for leased in pool.lease(9).blocks) == [10, 11]
    assert_balanced(pool.stats())


def test_a_lease_of_more_blocks_than_one_call_gives_loses_none(pool: PoolClient) -> None:
    pool.push(pool_blocks(4500, length=32))
    assert [len(pool.lease(100_000).blocks) for _ in range(6)] == [1000, 1000, 1000, 1000, 500, 0]
    stats = pool.stats()
    assert (stats.leased_blocks, stats.blocks, stats.bytes) == (4500, 0, 0)


@pytest.mark.parametrize("field", ["data", "hash", "all"])
def test_an_altered_block_is_dropped_and_counted(
    field: str, pool: PoolClient, pool_prefix: str, raw: "redis.Redis"
) -> None:
    pool.push(pool_blocks(2))
    key = f"{pool_prefix}:block:{pool_block(0).block_id}"
    document = json.loads(raw.get(key))
    document |= {"data": base64.b64encode(b"chosen").decode()} if field == "data" else {"hash": "00" * 32}
    raw.set(key, "not JSON" if field == "all" else json.dumps(document), keepttl=True)
    lease = pool.lease(9)
    assert [leased.block.index for leased in lease.blocks] == [1]
    assert lease.altered == 1
    assert pool.stats().altered_blocks == 1
    assert_balanced(pool.stats())


def test_what_was_leased_beside_an_altered_block_is_not_lost_when_that_can_not_be_counted(
    pool: PoolClient, pool_prefix: str, raw: "redis.Redis"
) -> None:
    pool.push(pool_blocks(2))
    raw.set(f"{pool_prefix}:block:{pool_block(0).block_id}", "not JSON", keepttl=True)
    raw.hset(f"{pool_prefix}:pool:meta", "private_altered_blocks", "no number")
    lease = pool.lease(9)
    assert ([leased.block.index for leased in lease.blocks], lease.altered) == ([1], 1)


def test_bytes_under_a_hash_of_their_own_do_not_pass_for_another_block(
    pool: PoolClient, pool_prefix: str, raw: "redis.Redis"
) -> None:
    """The id follows from the hash, so whoever swaps the bytes and the hash still has the wrong id."""
    pool.push([pool_block(0)])
    other = pool_block(1)
    raw.set(f"{pool_prefix}:block:{pool_block(0).block_id}", other.to_document(), keepttl=True)
    assert pool.lease(9).altered == 1


@pytest.mark.parametrize("change", [{"data": b"other"}, {"sha256": "00" * 32}, {"block_id": "x"}])
def test_a_block_that_does_not_match_its_hash_is_not_pushed(change: dict[str, object], pool: PoolClient) -> None:
    broken: PoolBlock = replace(pool_block(2), **change)  # type: ignore[arg-type]
    with pytest.raises(BlockRefused):
        pool.push([pool_block(1), broken])
    assert pool.depth().blocks == 0


def test_eight_threads_never_lease_the_same_block(pool: PoolClient) -> None:
    pool.push(pool_blocks(600, length=64))

    def drain(_: int) -> list[str]:
        mine = []
        while blocks := pool.lease(3).blocks:
            mine += [leased.block.block_id for leased in blocks]
        return mine

    with ThreadPoolExecutor(8) as threads:
        leased = [block_id for mine in threads.map(drain, range(8)) for block_id in mine]
    assert len(leased) == len(set(leased)) == 600


def test_one_call_is_one_round_trip(pool: PoolClient, raw: "redis.Redis") -> None:
    """Counted by the server. Sixty-four blocks are one push call, and no call lists the server's keys."""

    def calls(command: str) -> int:
        return int(raw.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])

    pool.push(pool_blocks(1))
    pool.lease(1)
    pool.stats()
    listed = calls("keys") + calls("scan")
    for call in (
        lambda: pool.push(pool_blocks(64, first=9)),
        lambda: pool.lease(32),
        pool.stats,
        pool.depth,
        pool.health,
    ):
        before = calls("evalsha")
        call()
        assert calls("evalsha") - before == 1
    assert calls("keys") + calls("scan") == listed


def test_a_full_server_refuses_a_push_but_not_a_lease() -> None:
    """The memory limit is on the server; blocks are never evicted to make room."""
    with EmbeddedServer(max_memory_bytes=4 * 2**20) as server:
        pool = PoolClient.from_url(server.url)
        pushed = 0

        def fill() -> None:
            nonlocal pushed
            while True:
                pushed += len(pool.push(pool_blocks(64, first=pushed)).pushed)

        with pytest.raises(PoolUnavailable, match="maxmemory") as caught:
            fill()
        assert caught.value.data["pushed"] == 0
        assert pool.depth().blocks == pushed
        assert len(pool.lease(pushed).blocks) == pushed
        assert_balanced(pool.stats())


def test_a_server_that_is_not_there_is_unavailable() -> None:
    pool = PoolClient.from_url("unix:///nowhere")
    for call in (pool.stats, pool.depth, lambda: pool.lease(1), lambda: pool.push(pool_blocks(1))):
        with pytest.raises(PoolUnavailable):
            call()
    assert not pool.health().ok


@pytest.mark.parametrize(
    "overrides, reason",
    [
        ({"appendonly": "yes"}, "append-only"),
        ({"save": "60 1"}, "snapshots"),
        ({"maxmemory-policy": "allkeys-lru"}, "evicts"),
    ],
)
def test_a_server_that_persists_or_evicts_is_refused_unless_allowed(overrides: dict[str, str], reason: str) -> None:
    with EmbeddedServer(overrides=overrides) as server:
        pool = PoolClient.from_url(server.url)
        with pytest.raises(UnsafePoolServer, match=reason):
            pool.check_server_safety()
        assert len(pool.check_server_safety(allow_unsafe=True)) == 1


def test_the_embedded_server_is_safe(pool: PoolClient) -> None:
    assert pool.check_server_safety() == ()


@pytest.mark.parametrize(
    "url", ["redis://:se/cret@h", "secret", "http://:secret@h", "redis://:secret@h:99999", "redis://:secret@[h"]
)
def test_an_address_that_is_none_is_a_typed_error_that_repeats_nothing_of_it(url: str) -> None:
    with pytest.raises(PoolAddressInvalid, match="ENTROPY_REDIS_URL") as caught:
        PoolClient.from_url(url)
    printed = "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    assert "cret" not in repr((caught.value.message, caught.value.data))
    assert "ValueError" not in printed
