"""Several pools as one: what one of them suffers, the others don't; and a block is in one of them only."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from entropy_assets.errors import PoolAddressInvalid, PoolEpochChanged, PoolUnavailable, UnsafePoolServer
from entropy_assets.stores.pool.blocks import PoolBlock
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets.stores.pool.fitness import PoolFull
from entropy_assets.stores.pool.shards import BETWEEN, ShardedPool, pool_at
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.stores.pool.clusters import eventually

SNAPSHOTS = {"save": "3600 1"}


@pytest.fixture
def servers() -> Iterator[list[EmbeddedServer]]:
    """Give three servers of their own."""
    with ExitStack() as stack:
        yield [stack.enter_context(EmbeddedServer()) for _ in range(3)]


@pytest.fixture
def pool_of() -> Iterator[Callable[..., ShardedPool]]:
    """Give what makes a pool of some servers."""
    with ExitStack() as stack:

        def make(*servers: EmbeddedServer, timeout_s: float = 0.5) -> ShardedPool:
            pool = pool_at(BETWEEN.join(server.url for server in servers), timeout_s=timeout_s)
            assert isinstance(pool, ShardedPool)
            stack.callback(pool.close)
            return pool

        yield make


def send(server: EmbeddedServer, number: int) -> None:
    assert server.pid is not None
    os.kill(server.pid, number)


def kill(server: EmbeddedServer) -> None:
    send(server, signal.SIGKILL)
    eventually(lambda: server.pid is None)


def push(pool: ShardedPool, blocks: list[PoolBlock]) -> None:
    """Push blocks of one lane as who publishes does."""
    pool.taker(blocks[0].lane).push(blocks)


def indices(pool: ShardedPool | PoolClient, most: int = 1000) -> list[int]:
    """Lease until nothing comes; give which blocks came."""
    came: list[int] = []
    while leased := pool.lease(most).blocks:
        came += [each.block.index for each in leased]
    return came


def depths(*servers: EmbeddedServer) -> list[int]:
    return [PoolClient.from_url(server.url).depth().blocks for server in servers]


def states(pool: ShardedPool) -> list[str | None]:
    return [shard.reason for shard in pool.stats().shards]


def is_well(pool: ShardedPool) -> bool:
    return states(pool) == [None] * 3


def test_one_address_is_one_pool_and_nothing_stands_between(servers: list[EmbeddedServer]) -> None:
    assert type(pool_at(servers[0].url)) is PoolClient
    for wrong in (f"{servers[0].url}\n{servers[0].url}", f"{servers[0].url}\n", "\n", f"{servers[0].url}\nhttp://x"):
        with pytest.raises(PoolAddressInvalid):
            pool_at(wrong)


def test_pushes_go_to_the_emptiest_shard_of_the_lane_and_each_block_to_one(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers)
    for number, blocks in enumerate((4, 1, 2, 3, 2)):
        push(pool, pool_blocks(blocks, first=10 * number))
    assert depths(*servers) == [4, 4, 4]
    push(pool, pool_blocks(7, first=100, lane="public"))
    push(pool, pool_blocks(2, first=200, lane="private"))
    assert depths(*servers) == [13, 4, 4]
    assert len(indices(pool)) == 14
    assert pool.stats().leased_blocks == 14
    assert (pool.depth().blocks, pool.stats().lanes["public"].blocks) == (7, 7)


def test_leases_come_from_all_shards_in_turn_and_tell_what_all_have_left(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers)
    for number in range(3):
        push(pool, pool_blocks(4, first=10 * number))
    came = [pool.lease(1) for _ in range(6)]
    assert sorted(lease.blocks[0].block.index // 10 for lease in came) == [0, 0, 1, 1, 2, 2]
    assert [lease.left.blocks for lease in came[3:]] == [8, 7, 6]
    assert len(indices(pool)) == 6
    assert pool.lease(1).left.bytes == 0


def test_what_is_needed_may_come_in_parts_and_comes_not_at_all_if_all_have_too_little(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers)
    for number in range(3):
        push(pool, pool_blocks(2 + number, first=10 * number, length=100))
    assert pool.lease(99, 1000).blocks == ()
    assert pool.lease(99, 1000).left.bytes == 900
    assert len(pool.lease(99, 400).blocks) == 4, "one of them has it all"
    assert len(pool.lease(99, 500).blocks) == 3, "what the fullest has"
    assert len(pool.lease(99, 200).blocks) == 2


def test_a_shard_that_dies_is_left_out_and_comes_back_by_itself(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers)
    for number in range(3):
        push(pool, pool_blocks(3, first=10 * number))
    kill(servers[1])
    assert sorted(indices(pool)) == [0, 1, 2, 20, 21, 22]
    assert (pool.health().ok, pool.check_server_safety()) == (True, ())
    left_out = states(pool)
    assert (left_out[0], left_out[2]) == (None, None)
    assert "no connection" in str(left_out[1])
    assert servers[1].url.removeprefix("unix://") not in str(left_out[1])
    push(pool, pool_blocks(2, first=50))
    servers[1].revive()
    eventually(lambda: is_well(pool))
    assert depths(servers[1]) == [0]
    push(pool, pool_blocks(2, first=60))
    assert depths(*servers) == [2, 2, 0], "the emptiest of those that are there"
    assert sorted(indices(pool)) == [50, 51, 60, 61]


def test_nobody_waits_twice_for_a_frozen_shard(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    """By counting its calls: whoever looks for it again does so in a thread of its own."""
    pool = pool_of(*servers)
    for number in range(3):
        push(pool, pool_blocks(8, first=10 * number))
    send(servers[0], signal.SIGSTOP)
    asked = []
    first = pool._shards[0].client
    lease = first.lease_sealed
    first.lease_sealed = lambda *words, **more: (asked.append(1), lease(*words, **more))[1]  # type: ignore[method-assign, func-returns-value]
    came = [pool.lease(1).blocks[0].block.index for _ in range(16)]
    assert (len(set(came)), len(asked)) == (16, 1)
    send(servers[0], signal.SIGCONT)
    eventually(lambda: is_well(pool))
    assert sorted({*came, *indices(pool)} | {0}) == sorted({*range(8), *range(10, 18), *range(20, 28)}), (
        "the lease that nobody waited for is lost, and no other"
    )


def test_what_one_shard_brings_back_is_never_leased_and_the_others_go_on(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool], tmp_path: Path
) -> None:
    """It is restored with blocks that were served; the next push goes to it, and heals it."""
    with EmbeddedServer(overrides=SNAPSHOTS, data_dir=tmp_path) as kept:
        pool = pool_of(servers[0], kept)
        push(pool, pool_blocks(4))
        push(pool, pool_blocks(4, first=10))
        with redis.Redis.from_url(kept.url) as raw:
            raw.save()
        served = {lease.block.index for _ in range(4) for lease in pool.lease(1).blocks}
        assert served & {10, 11, 12, 13}
        kill(kept)
        kept.revive()
        eventually(lambda: states(pool)[1] is not None and "another server process" in str(states(pool)[1]))
        rest = indices(pool)
        assert {index for index in rest if index < 10} == set(range(4)) - served
        assert not {index for index in rest if index >= 10}
        assert pool.stats().epoch_ok
        push(pool, pool_blocks(2, first=20))
        assert (sorted(indices(pool)), pool.stats().inherited_blocks) == ([20, 21], 4)


def test_a_shard_that_is_looked_at_as_the_pool_is_closed_stays_unconnected(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look connects once more, after all connections were closed."""
    examine, looks, goes_on = ShardedPool._examined, threading.Event(), threading.Event()

    def late(pool: ShardedPool, shard: Any) -> tuple[str, ...]:
        looks.set()
        goes_on.wait()
        return examine(pool, shard)

    monkeypatch.setattr(ShardedPool, "_examined", late)
    pool = pool_of(*servers[:2])
    kill(servers[0])
    assert pool.lease(1).blocks == ()
    servers[0].revive()
    assert looks.wait(60)
    watch = pool._watch
    assert watch is not None
    pool.close()
    goes_on.set()
    watch.join(60)
    with redis.Redis.from_url(servers[0].url) as raw:
        eventually(lambda: len(raw.client_list()) == 1)


def test_without_any_shard_the_reason_of_each_is_told(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers[:2])
    for server in servers[:2]:
        kill(server)
    for call in (pool.stats, pool.ledger_links, lambda: pool.lease(1), lambda: pool.taker("public"), pool.depth):
        with pytest.raises(PoolUnavailable, match=r"shard 1 of 2: .*; shard 2 of 2: "):
            call()
    assert (pool.health().ok, pool.health().stats) == (False, None)
    with pytest.raises(PoolUnavailable):
        pool.check_server_safety()


def test_a_pool_whose_shards_were_all_filled_on_others_serves_nothing(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers[:2])
    for server in servers[:2]:
        PoolClient.from_url(server.url).push(pool_blocks(1))
        with redis.Redis.from_url(server.url) as raw:
            raw.hset("entropy:pool:meta", "epoch", "another")
    with pytest.raises(PoolEpochChanged):
        pool.lease(1)
    assert (pool.health().ok, pool.depth().blocks) == (False, 0)


def test_an_unsafe_shard_is_left_out_until_it_is_safe(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers)
    push(pool, pool_blocks(1))
    with redis.Redis.from_url(servers[0].url) as raw:
        raw.config_set("save", "1 1")
        assert pool.check_server_safety() == ()
        assert "snapshots" in str(states(pool)[0])
        assert indices(pool) == []
        raw.config_set("save", "")
    eventually(lambda: is_well(pool))
    assert indices(pool) == [0]
    with redis.Redis.from_url(servers[2].url) as raw:
        raw.config_set("save", "1 1")
        assert pool.check_server_safety(allow_unsafe=True)[0].startswith("shard 3: ")
        assert is_well(pool)


def test_servers_that_are_all_unsafe_are_refused(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    for server in servers[:2]:
        with redis.Redis.from_url(server.url) as raw:
            raw.config_set("save", "1 1")
    with pytest.raises(UnsafePoolServer, match="shard 2 of 2"):
        pool_of(*servers[:2]).check_server_safety()


def test_a_server_under_two_addresses_is_used_once(servers: list[EmbeddedServer]) -> None:
    pool = pool_at(f"{servers[0].url}{BETWEEN}{servers[0].url}?db=0{BETWEEN}{servers[1].url}")
    assert isinstance(pool, ShardedPool)
    pool.check_server_safety()
    push(pool, pool_blocks(3))
    assert (pool.stats().blocks, states(pool)) == (3, [None, "it is the same server as shard 1", None])
    pool.close()


def test_addresses_may_come_go_and_change_their_places_while_blocks_are_there(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    came = []
    for round_number, places in enumerate(([0, 1], [2, 1, 0], [1, 2], [0, 2])):
        pool = pool_of(*(servers[place] for place in places))
        for number in range(4):
            push(pool, pool_blocks(5, first=100 * round_number + 10 * number))
        came += [each.block.index for _ in range(3) for each in pool.lease(3).blocks]
    came += indices(pool_of(*servers))
    assert (len(came), len(set(came))) == (80, 80)


def test_the_shards_know_the_ledger_and_one_that_was_away_does_no_harm(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers)
    pool.keep_ledger_link("aa" * 32, 1)
    assert pool.ledger_links() == ("aa" * 32,)
    send(servers[2], signal.SIGSTOP)
    pool.keep_ledger_link("bb" * 32, 2)
    assert pool.ledger_links() == ("bb" * 32,)
    send(servers[2], signal.SIGCONT)
    eventually(lambda: is_well(pool))
    assert set(pool.ledger_links()) <= {"aa" * 32, "bb" * 32}
    assert "bb" * 32 in pool.ledger_links()


def test_a_shard_that_is_full_takes_no_link_and_is_not_left_out(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers)
    pool.keep_ledger_link("aa" * 32, 1)
    push(pool, pool_blocks(3))
    with redis.Redis.from_url(servers[0].url) as raw:
        raw.config_set("maxmemory", 1)
    pool.keep_ledger_link("bb" * 32, 2)
    assert states(pool) == [None] * 3
    assert pool.ledger_links() == ("aa" * 32, "bb" * 32)
    assert sorted(indices(pool)) == [0, 1, 2]
    for server in servers[1:]:
        with redis.Redis.from_url(server.url) as raw:
            raw.config_set("maxmemory", 1)
    with pytest.raises(PoolFull):
        pool.keep_ledger_link("cc" * 32, 3)


def test_where_a_block_is_is_told_by_the_shard_that_has_it_and_by_nobody_while_that_one_is_silent(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers)
    for number in range(3):
        push(pool, pool_blocks(1, first=number, lane="public"))
    blocks = pool_blocks(4, lane="public")
    assert [pool.fate_of(block.block_id).state for block in blocks] == ["ready"] * 3 + ["unknown"]
    leased = {each.block.block_id for _ in range(3) for each in pool.lease(1, lane="public").blocks}
    assert {pool.fate_of(block_id).state for block_id in leased} == {"open"}
    pool.close_blocks({blocks[0].block_id: 5.0}, [blocks[1].block_id])
    assert pool.fate_of(blocks[0].block_id).left_s <= 5
    assert pool.fate_of(blocks[1].block_id).state == "gone"
    send(servers[0], signal.SIGSTOP)
    assert pool.fate_of(blocks[1].block_id).state == "gone"
    for silent in (blocks[0], blocks[3]):
        with pytest.raises(PoolUnavailable):
            pool.fate_of(silent.block_id)
    send(servers[0], signal.SIGCONT)


def test_a_push_that_fails_is_tried_at_no_other_shard(
    servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]
) -> None:
    pool = pool_of(*servers[:2])
    for number in (90, 91, 92):
        push(pool, pool_blocks(1, first=number))
    taker = pool.taker("private")
    send(servers[1], signal.SIGSTOP)
    with pytest.raises(PoolUnavailable):
        taker.push(pool_blocks(3))
    send(servers[1], signal.SIGCONT)
    eventually(lambda: pool.depth().blocks == 6)
    assert sorted(indices(pool)) == [0, 1, 2, 90, 91, 92], "the frozen one took them after all, and nobody else did"


def test_the_numbers_of_all_shards_add_up(servers: list[EmbeddedServer], pool_of: Callable[..., ShardedPool]) -> None:
    pool = pool_of(*servers)
    for number in range(6):
        push(pool, pool_blocks(5, first=10 * number, lane="public" if number % 2 else "private"))
    for _ in range(5):
        pool.lease(2)
    pool.count_altered(1, "private")
    stats = pool.stats()
    each = [shard.stats for shard in stats.shards if shard.stats is not None]
    assert len(each) == 3
    for name in ("blocks", "bytes", "pushed_blocks", "leased_bytes", "tombstones", "altered_blocks"):
        assert getattr(stats, name) == sum(getattr(one, name) for one in each)
    assert (stats.pushed_blocks, stats.blocks, stats.leased_blocks, stats.altered_blocks) == (30, 20, 10, 1)
    assert stats.epoch.split(",") == [one.epoch for one in each]
