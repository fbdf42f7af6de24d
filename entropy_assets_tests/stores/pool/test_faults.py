"""Lost replies, restarts, failovers, restored snapshots: a block may be lost, never leased twice."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from entropy_assets.errors import PoolEpochChanged, PoolUnavailable
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.stores.pool.cutting_proxy import CuttingProxy

SNAPSHOTS = {"save": "3600 1"}
APPEND_ONLY = {"appendonly": "yes", "appendfsync": "always"}


@pytest.fixture
def proxy(valkey_url: str) -> Iterator[CuttingProxy]:
    """Give a proxy to the real server whose replies can be cut."""
    with CuttingProxy(valkey_url.removeprefix("unix://")) as proxy:
        yield proxy


def _script_calls(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])


def _until(happened: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _kill(server: EmbeddedServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.pid is not None:
        time.sleep(0.01)


def test_a_push_whose_reply_is_lost_is_sent_once(
    valkey_url: str, pool: PoolClient, pool_prefix: str, proxy: CuttingProxy
) -> None:
    """redis-py 8 would send it up to eleven times."""
    through = PoolClient.from_url(proxy.url, prefix=pool_prefix)
    through.push(pool_blocks(1))
    before = _script_calls(valkey_url)
    proxy.cutting = True
    with pytest.raises(PoolUnavailable) as caught:
        through.push(pool_blocks(100, first=1))
    assert caught.value.data["pushed"] == 0
    assert (caught.value.data["uncertain"], caught.value.data["unsent"]) == (64, 36)
    assert proxy.cut_replies == 1
    assert _script_calls(valkey_url) - before == 1
    assert pool.depth().blocks == 1 + 64


def test_a_lease_whose_reply_is_lost_costs_its_blocks_and_no_more(
    valkey_url: str, pool: PoolClient, pool_prefix: str, proxy: CuttingProxy
) -> None:
    pool.push(pool_blocks(20))
    through = PoolClient.from_url(proxy.url, prefix=pool_prefix)
    through.stats()
    lost = through.lease(1)
    before = _script_calls(valkey_url)
    proxy.cutting = True
    with pytest.raises(PoolUnavailable):
        through.lease(4)
    assert proxy.cut_replies == 1
    assert _script_calls(valkey_url) - before == 1
    stats = pool.stats()
    assert (len(lost.blocks), stats.leased_blocks, stats.blocks) == (1, 5, 15)


def test_retries_of_a_client_that_was_made_elsewhere_are_switched_off(
    valkey_url: str, pool: PoolClient, pool_prefix: str, proxy: CuttingProxy
) -> None:
    pool.push(pool_blocks(20))
    theirs = redis.Redis(port=int(proxy.url.rpartition(":")[2]))
    assert theirs.get_retry().get_retries() > 0, "the default that this is about"
    through = PoolClient(theirs, prefix=pool_prefix)
    through.lease(1)
    proxy.cutting = True
    with pytest.raises(PoolUnavailable):
        through.lease(4)
    assert pool.stats().leased_blocks == 5


def test_a_stalled_server_ends_in_a_time_out_and_one_lost_lease() -> None:
    """SIGSTOP beyond the time-out, then SIGCONT: the server still runs the lease that nobody waits for."""
    with EmbeddedServer() as server:
        pool = PoolClient.from_url(server.url, timeout_s=1.0)
        pool.push(pool_blocks(11))
        pool.lease(1)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(PoolUnavailable):
            pool.lease(2)
        waited = time.monotonic() - started
        os.kill(server.pid, signal.SIGCONT)
        leased = pool.lease(10).blocks
        assert waited < 4
        assert pool.stats().leased_blocks == 11
        assert len(leased) == 8


@pytest.mark.parametrize("persistence", [SNAPSHOTS, APPEND_ONLY], ids=["snapshot", "append-only file"])
def test_what_a_restart_brings_back_is_never_leased(persistence: dict[str, str], tmp_path: Path) -> None:
    """The server restores served blocks, which the test looks at first; the epoch keeps them from being leased."""
    with EmbeddedServer(overrides=persistence, data_dir=tmp_path) as server:
        pool = PoolClient.from_url(server.url)
        pool.push(pool_blocks(10))
        with redis.Redis.from_url(server.url) as raw:
            raw.save()
        served = {leased.block.block_id for leased in pool.lease(4).blocks}
        _kill(server)
    with EmbeddedServer(overrides=persistence, data_dir=tmp_path) as server:
        pool = PoolClient.from_url(server.url)
        with redis.Redis.from_url(server.url) as raw:
            restored = {block_id for block_id in served if raw.exists(f"entropy:block:{block_id}")}
            inherited = raw.zcard("entropy:pool:ready:private")
        assert restored == (served if persistence is SNAPSHOTS else set())
        assert inherited == (10 if persistence is SNAPSHOTS else 6)
        with pytest.raises(PoolEpochChanged):
            pool.lease(4)
        stats = pool.stats()
        assert (stats.epoch_ok, stats.blocks, pool.health().ok) == (False, 0, False)
        assert pool.depth().blocks == 0

        repeated, fresh = pool_blocks(10), pool_blocks(3, first=100)
        result = pool.push([*repeated, *fresh])
        assert result.pushed == tuple(block.block_id for block in fresh)
        assert set(result.refused) == {block.block_id for block in repeated}
        assert {leased.block.index for leased in pool.lease(99).blocks} == {100, 101, 102}
        stats = pool.stats()
        assert (stats.inherited_blocks, stats.pushed_blocks, stats.leased_blocks) == (inherited, 3, 3)


def test_a_promoted_replica_serves_nothing_that_it_inherited() -> None:
    """The link is cut, the master leases and dies, the replica is promoted and still holds what was leased."""
    port = free_port()
    listening = {"port": str(port), "bind": "127.0.0.1", "repl-diskless-sync-delay": "0"}
    with EmbeddedServer(overrides=listening) as master, EmbeddedServer() as replica:
        first, second = PoolClient.from_url(master.url), PoolClient.from_url(replica.url)
        with redis.Redis.from_url(replica.url) as raw:
            raw.replicaof("127.0.0.1", port)
            _until(lambda: raw.info("replication")["master_link_status"] == "up")
            first.push(pool_blocks(5))
            _until(lambda: raw.zcard("entropy:pool:ready:private") == 5)
            raw.replicaof("127.0.0.1", 1)
            assert len(first.lease(5).blocks) == 5
            _kill(master)
            raw.replicaof("NO", "ONE")
            assert raw.zcard("entropy:pool:ready:private") == 5
        with pytest.raises(PoolEpochChanged):
            second.lease(5)
        assert second.push(pool_blocks(5)).pushed == ()


def test_a_master_that_was_a_replica_in_between_serves_nothing_twice() -> None:
    """It leases behind a cut link, follows the one promoted beside it, and is promoted again: the same process with
    the state of before its leases."""
    ports = free_port(), free_port()
    listening = [{"port": str(port), "bind": "127.0.0.1", "repl-diskless-sync-delay": "0"} for port in ports]
    with EmbeddedServer(overrides=listening[0]) as first, EmbeddedServer(overrides=listening[1]) as second:
        with redis.Redis.from_url(first.url) as a, redis.Redis.from_url(second.url) as b:
            b.replicaof("127.0.0.1", ports[0])
            _until(lambda: a.info("replication").get("connected_slaves") == 1)
            pool = PoolClient.from_url(first.url)
            pool.push(pool_blocks(5))
            _until(lambda: b.zcard("entropy:pool:ready:private") == 5)
            b.replicaof("NO", "ONE")
            assert len(pool.lease(5).blocks) == 5
            a.replicaof("127.0.0.1", ports[1])
            _until(lambda: a.zcard("entropy:pool:ready:private") == 5)
            a.replicaof("NO", "ONE")
        with pytest.raises(PoolEpochChanged):
            pool.lease(5)
        assert pool.push(pool_blocks(5)).pushed == ()
        pool.push(pool_blocks(1, first=9))
        assert [leased.block.index for leased in pool.lease(9).blocks] == [9]


@pytest.mark.parametrize("lasting", [{}, {"repl-backlog-ttl": "1"}], ids=["as shipped", "for a second"])
def test_a_master_whose_last_replica_is_gone_keeps_its_pool(lasting: dict[str, str]) -> None:
    """Unless its backlog ends: then it begins another history, and what it has counts as another server's."""
    port = free_port()
    listening = {"port": str(port), "bind": "127.0.0.1", "repl-diskless-sync-delay": "0"}
    with EmbeddedServer(overrides=listening | lasting) as master, EmbeddedServer() as replica:
        with redis.Redis.from_url(replica.url) as raw:
            raw.replicaof("127.0.0.1", port)
            _until(lambda: raw.info("replication")["master_link_status"] == "up")
        pool = PoolClient.from_url(master.url)
        pool.push(pool_blocks(5))
        _kill(replica)
        with redis.Redis.from_url(master.url) as raw:
            if lasting:
                _until(lambda: not pool.stats().epoch_ok)
            assert pool.stats().epoch_ok == (int(raw.config_get("repl-backlog-ttl")["repl-backlog-ttl"]) == 0)


def test_a_large_inheritance_is_dropped_in_bounded_steps(
    pool: PoolClient, pool_prefix: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.push(pool_blocks(37, length=32))
    monkeypatch.setattr("entropy_assets.stores.pool.client.IDS_PER_CALL", 10)
    with redis.Redis.from_url(valkey_url) as raw:
        raw.hset(f"{pool_prefix}:pool:meta", "epoch", "another")
    later = PoolClient.from_url(valkey_url, prefix=pool_prefix)
    later.push([pool_block(99)])
    stats = later.stats()
    assert (stats.inherited_blocks, stats.blocks, stats.bytes, stats.tombstones) == (37, 1, 4096, 37)


def test_a_pool_comes_back_by_itself_after_a_restart_without_persistence() -> None:
    server = EmbeddedServer().start()
    _kill(server)
    with server.start():
        pool = PoolClient.from_url(server.url)
        pool.push(pool_blocks(2))
        _kill(server)
        with pytest.raises(PoolUnavailable):
            pool.lease(1)
    with server.start():
        pool = PoolClient.from_url(server.url)
        assert pool.lease(9).blocks == ()
        pool.push(pool_blocks(2, first=5))
        assert len(pool.lease(9).blocks) == 2
