"""The pool's promises on every generation of server, with the shipped configuration and users."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import redis

from entropy_assets.errors import PoolEpochChanged, PoolUnavailable
from entropy_assets.stores.pool.blocks import PoolBlock
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.configuration import User
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets.stores.pool.fitness import PoolFull
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_block, pool_blocks
from entropy_assets_tests.stores.pool.servers import SERVERS, server_binary


@dataclass(frozen=True)
class Server:
    """A server with users, and one without, which a test may ask for anything."""

    closed: EmbeddedServer
    opened: EmbeddedServer
    grants_by_key: bool


@pytest.fixture(scope="module", params=list(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    binary = server_binary(request.param)
    with ExitStack() as stack:
        closed = stack.enter_context(EmbeddedServer(binary=binary, users_of="entropy"))
        opened = stack.enter_context(EmbeddedServer(binary=binary))
        yield Server(closed, opened, grants_by_key=request.param != "redis-6.2")


@pytest.fixture
def publisher(server: Server) -> Iterator[PoolClient]:
    client = PoolClient.from_url(server.closed.url_of("publisher"))
    yield client
    client.close()


@pytest.fixture
def service(server: Server) -> Iterator[PoolClient]:
    client = PoolClient.from_url(server.closed.url_of("service"))
    client.lease(1000)
    yield client
    client.close()


def as_user(server: Server, user: User) -> "redis.Redis":
    return redis.Redis.from_url(server.closed.url_of(user))


def test_the_publisher_tells_the_ledgers_newest_link_and_the_service_may_read_it(
    service: PoolClient, publisher: PoolClient
) -> None:
    """It outlives an epoch, and what an earlier publication told goes."""
    publisher.keep_ledger_link("aa" * 32, 1)
    publisher.keep_ledger_link("bb" * 32, 2)
    publisher.push(pool_blocks(1, 900))
    assert service.ledger_links() == publisher.ledger_links() == ("bb" * 32,)


def test_each_block_comes_once_and_never_again(service: PoolClient, publisher: PoolClient) -> None:
    blocks = pool_blocks(70, first=100)
    before = publisher.stats()
    assert len(publisher.push(blocks).pushed) == 70
    assert publisher.push(blocks[:2]).refused == {block.block_id: "present" for block in blocks[:2]}
    leased = [leased.block for _ in range(3) for leased in service.lease(30).blocks]
    assert sorted(block.index for block in leased) == [block.index for block in blocks]
    assert set(publisher.push(blocks).refused.values()) == {"consumed"}
    after = publisher.stats()
    assert after.pushed_blocks - before.pushed_blocks == after.leased_blocks - before.leased_blocks == 70
    assert after.refused_blocks - before.refused_blocks == 72
    assert (after.blocks, after.bytes) == (0, 0)


def test_expired_blocks_are_counted_and_not_leased(server: Server, service: PoolClient) -> None:
    before = service.stats().expired_blocks
    brief = PoolClient.from_url(server.closed.url_of("publisher"), ttl_s=0.05)
    brief.push(pool_blocks(3, first=200))
    time.sleep(0.06)
    assert service.lease(9).blocks == ()
    assert service.stats().expired_blocks - before == 3
    brief.close()


def test_scripts_that_the_server_forgot_are_loaded_again_and_an_altered_block_is_dropped(server: Server) -> None:
    pool = PoolClient.from_url(server.opened.url)
    pool.push(pool_blocks(2, first=300))
    with redis.Redis.from_url(server.opened.url) as raw:
        raw.set(f"entropy:block:{pool_block(300).block_id}", pool_block(301).to_document(), keepttl=True)
        raw.script_flush()
    lease = pool.lease(9)
    assert ([leased.block.index for leased in lease.blocks], lease.altered) == ([301], 1)
    assert pool.stats().altered_blocks == 1
    pool.close()


@pytest.mark.parametrize("name", SERVERS)
def test_a_restored_snapshot_is_refused_until_the_next_push(name: str, tmp_path: Path) -> None:
    """The strictest restart: the server comes back with every block of before."""
    server = EmbeddedServer(binary=server_binary(name), overrides={"save": "3600 1"}, data_dir=tmp_path)
    with server:
        pool = PoolClient.from_url(server.url)
        pool.push(pool_blocks(3))
        with redis.Redis.from_url(server.url) as raw:
            raw.save()
        pool.lease(1)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(PoolUnavailable):
            pool.lease(1)
    with server:
        pool = PoolClient.from_url(server.url)
        with redis.Redis.from_url(server.url) as raw:
            assert raw.zcard("entropy:pool:ready:private") == 3
        with pytest.raises(PoolEpochChanged):
            pool.lease(1)
        pool.push([pool_block(9)])
        assert [leased.block.index for leased in pool.lease(9).blocks] == [9]


@contextmanager
def limited(server: Server, room_bytes: int) -> Iterator[None]:
    """Let the server take no more than that for a while; nothing if it is negative."""
    with redis.Redis.from_url(server.opened.url) as raw:
        before = raw.config_get("maxmemory")["maxmemory"]
        raw.config_set("maxmemory", raw.info("memory")["used_memory"] + room_bytes)
        try:
            yield
        finally:
            raw.config_set("maxmemory", before)


def test_a_full_pool_of_an_earlier_epoch_heals_by_the_next_push(server: Server) -> None:
    """A full server takes what a script adds only after the script has removed something."""
    pool = PoolClient.from_url(server.opened.url, prefix="inherited")
    inherited = blocks_for_both(20, first=700)
    pool.push(inherited)
    with redis.Redis.from_url(server.opened.url) as raw, limited(server, -100_000):
        raw.hdel("inherited:pool:meta", "epoch")
        assert pool.push(pool_blocks(3, first=800)).refused == {}
    stats = pool.stats()
    assert (stats.blocks, stats.inherited_blocks) == (3, 40)
    states = [pool.fate_of(block.block_id).state for block in inherited]
    assert states == ["open"] * 20 + ["gone"] * 20, "a worker may hold the public ones"
    pool.close()


def test_a_full_server_is_told_what_became_of_its_blocks(server: Server) -> None:
    """Else a block that was served reveals nothing until it would have expired."""
    pool = PoolClient.from_url(server.opened.url, prefix="closing")
    pool.push(pool_blocks(4, 900, lane="public"))
    with limited(server, -100_000):
        begun, closed, again = (leased.block.block_id for leased in pool.lease(3, lane="public").blocks)
        pool.close_blocks({begun: 10.0}, [])
        pool.close_blocks({again: 10.0}, [closed, again])
    assert 9 < pool.fate_of(begun).left_s <= 10
    assert [pool.fate_of(block_id).state for block_id in (closed, again)] == ["gone", "gone"]
    pool.lease(9, lane="public")
    pool.close()


@pytest.mark.parametrize("blocks_each", [1, 40, 64, 100])
def test_a_server_that_has_room_for_blocks_takes_them_all(server: Server, blocks_each: int) -> None:
    """Else what was entered in the ledger would be lost. A push in parts finds less room with each of them."""
    pool = PoolClient.from_url(server.opened.url, prefix=f"room-{blocks_each}")
    pool.stats()
    fitted = 0
    with limited(server, 4 * 2**20), suppress(PoolFull):
        for first in count(1000, step=blocks_each):
            blocks = pool_blocks(blocks_each, first)
            pool.refuse_if_full(blocks)
            fitted += blocks_each
            pool.push(blocks)
    assert pool.stats().pushed_blocks == fitted
    assert fitted > 300, "of the 560 for which there is room"
    pool.lease(1000)
    pool.close()


def test_room_for_many_blocks_is_room_for_all_parts_of_their_push(server: Server) -> None:
    pool = PoolClient.from_url(server.opened.url, prefix="parts")
    with limited(server, 8 * 2**20):
        sizes = range(1000, 0, -64)
        fitting = next(size for size in sizes if has_room(pool, pool_blocks(size, 2000)))
        assert fitting > 600, "of the 1100 for which there is room"
        assert len(pool.push(pool_blocks(fitting, 2000)).pushed) == fitting
    pool.lease(1000)
    pool.close()


def test_a_look_for_room_is_no_push(server: Server, publisher: PoolClient) -> None:
    publisher.push([pool_block(600)])
    with as_user(server, "observer") as observer:
        before = observer.hgetall("entropy:pool:meta")
        time.sleep(0.002)
        publisher.refuse_if_full(pool_blocks(100, 601))
        assert observer.hgetall("entropy:pool:meta") == before
    assert publisher.stats().blocks == 1


def has_room(pool: PoolClient, blocks: list[PoolBlock]) -> bool:
    try:
        pool.refuse_if_full(blocks)
    except PoolFull:
        return False
    return True


REFUSED = re.compile("no permission|can't run this command|can't access|not allowed", re.IGNORECASE)
FORBIDDEN: dict[User, tuple[str, ...]] = {
    "service": ("SET {block} x", "SET {block} x GET", "DEL {block}"),
    "publisher": ("GETDEL {block}", "ZPOPMAX entropy:pool:ready:private"),
    "observer": ("GETDEL {block}", "SET {block} x", "HSET entropy:pool:meta epoch x"),
}
FORBIDDEN_TO_ALL = (
    "GET {block}",
    "MGET {block}",
    "GETRANGE {block} 0 99",
    "GETEX {block}",
    "DUMP {block}",
    "COPY {block} entropy:copy",
    "RENAME {block} entropy:copy",
    "SORT entropy:pool:ready:private BY nosort GET entropy:block:*",
    "EVAL return(1) 0",
    "KEYS *",
    "SCAN 0",
    "MONITOR",
    "SLOWLOG GET",
    "CONFIG GET *",
    "CONFIG SET save 1",
    "DEBUG OBJECT {block}",
    "ACL LIST",
    "CLIENT LIST",
    "SAVE",
    "SHUTDOWN",
    "FLUSHALL",
    "REPLICAOF NO ONE",
    "PSYNC ? -1",
    "SUBSCRIBE entropy:x",
    "SCRIPT FLUSH",
    "MODULE LIST",
    "HGET elsewhere x",
    "ZADD elsewhere 1 x",
)


KEYS_OF_OTHERS = (
    *("HSET entropy:keys id x", "HGET entropy:keys id", "HGETALL entropy:keys", "UNLINK entropy:keys"),
    *("ZADD entropy:keys 1 x", "HINCRBY entropy:keys id 1", "HSET entropy:else x y", "ZADD entropy:else:x 1 y"),
)
"""API keys, and whatever else begins like a pool: nobody's, on every server."""
TOMBSTONES = ("ZREM entropy:pool:tomb x", "ZADD entropy:pool:tomb 1 x", "ZADD entropy:pool:tomb GT CH 1 x")
"""Those who can't push can neither take one out nor date one back, so that the next push would."""
QUOTAS = ("ZADD entropy:quota:bytes 1 x", "ZREM entropy:quota:bytes x", "UNLINK entropy:quota:bytes")
INDEXES = tuple(
    f"{command} entropy:pool:{key}{rest}"
    for key in ("ready:public", "ready:private", "expiry", "meta", "tomb", "open")
    for command, rest in (
        *(("UNLINK", ""), ("PEXPIRE", " 1"), ("PERSIST", ""), ("RENAME", " entropy:pool:x"), ("SET", " x")),
        *(("ZREMRANGEBYSCORE", " -inf +inf"), ("ZREMRANGEBYRANK", " 0 -1"), ("ZINCRBY", " 1 x"), ("ZPOPMIN", "")),
        *(("HDEL", " epoch"), ("RESTORE", " 0 x"), ("COPY", " entropy:pool:x"), ("ZUNIONSTORE", " 1 entropy:pool:x")),
    )
)
"""Each way to empty, replace or let expire what the pool remembers, which no script uses."""
FORBIDDEN_BY_KEY: dict[User, tuple[str, ...]] = {
    "service": (
        *("DEL entropy:pool:tomb", "DEL entropy:pool:meta", "DEL entropy:pool:expiry", "DEL entropy:pool:ready:public"),
        *("ZADD entropy:pool:ready:public 1 x", "ZADD entropy:pool:expiry 1 x", "HSET entropy:pool:tomb x y"),
        *("ZPOPMAX entropy:pool:tomb", "ZPOPMAX entropy:pool:expiry", "ZPOPMAX entropy:quota:bytes"),
        *("UNLINK entropy:quota:bytes", "ZREM entropy:quota:bytes x", "ZADD {block} 1 x", "HSET {block} x y"),
        *TOMBSTONES,
    ),
    "publisher": (
        *("DEL entropy:pool:tomb", "DEL entropy:pool:ready:public", "DEL {block}", "SET {block} x GET"),
        *("SET entropy:pool:tomb x", "SET entropy:pool:meta x", "SET entropy:quota:bytes x", "SET entropy:keys x"),
        *("ZADD {block} 1 x", "ZADD entropy:pool:meta 1 x", "HSET entropy:pool:tomb x y", *QUOTAS),
    ),
    "observer": (
        *("DEL entropy:pool:tomb", "ZADD entropy:pool:ready:public 1 x", "ZADD entropy:pool:expiry 1 x", "DEL {block}"),
        *("HSET entropy:pool:meta epoch x", "ZPOPMAX entropy:pool:tomb", "EXISTS {block}", *QUOTAS),
        *("UNLINK {block}", "ZREM entropy:pool:expiry x", "ZREM entropy:pool:open x", "HINCRBY entropy:pool:meta x 1"),
        *("ZREM entropy:pool:ready:public x", "ZREM entropy:pool:ready:private x", *TOMBSTONES),
    ),
}


@pytest.mark.parametrize("user", FORBIDDEN)
def test_what_may_be_done_to_one_key_may_not_be_done_to_another(
    server: Server, publisher: PoolClient, user: User
) -> None:
    block = pool_block(410)
    publisher.push([block])
    by_key = (*FORBIDDEN_BY_KEY[user], *INDEXES) if server.grants_by_key else ()
    done = []
    with as_user(server, user) as client:
        for line in (*KEYS_OF_OTHERS, *by_key):
            command = line.format(block=f"entropy:block:{block.block_id}").split()
            try:
                client.execute_command(*command)
            except redis.ResponseError as error:
                if REFUSED.search(str(error)):
                    continue
            done.append(line)
    assert done == []


@pytest.mark.parametrize("user", FORBIDDEN)
def test_a_script_can_do_no_more_than_who_runs_it(server: Server, user: User) -> None:
    """Everybody can load a script of his own; it is asked for leave at each command."""
    with as_user(server, user) as client:
        for body in (
            "return redis.call('HSET', 'entropy:keys', 'id', 'x')",
            "return redis.call('GET', 'entropy:block:x')",
        ):
            script = client.script_load(body)
            with pytest.raises(redis.ResponseError, match=REFUSED):
                client.evalsha(script, 0)
            with pytest.raises(redis.ResponseError, match=REFUSED):
                client.evalsha(script, 1, "entropy:keys")


@pytest.mark.parametrize("user", FORBIDDEN)
def test_nobody_can_peek_and_each_can_only_do_its_own(server: Server, publisher: PoolClient, user: User) -> None:
    block = pool_block(400)
    publisher.push([block])
    with as_user(server, user) as client:
        for line in (*FORBIDDEN_TO_ALL, *FORBIDDEN[user]):
            command = line.format(block=f"entropy:block:{block.block_id}").split()
            with pytest.raises(redis.ResponseError, match=REFUSED):
                client.execute_command(*command)


def test_the_publisher_and_the_observer_can_not_lease_and_the_service_can_not_push(server: Server) -> None:
    """The scripts run with the rights of their caller; what they began is not half done."""
    publisher, service, observer = (
        PoolClient.from_url(server.closed.url_of(user)) for user in ("publisher", "service", "observer")
    )
    service.lease(1000)
    publisher.push([pool_block(500)])
    before = publisher.stats()
    for pool in (publisher, observer):
        with pytest.raises(PoolUnavailable, match=REFUSED):
            pool.lease(1)
    for pool in (service, observer):
        with pytest.raises(PoolUnavailable, match=REFUSED):
            pool.push([pool_block(501)])
    for pool in (publisher, service, observer):
        assert (pool.stats().blocks, pool.stats().leased_blocks) == (1, before.leased_blocks)
        assert pool.health().ok
    assert [leased.block.index for leased in service.lease(9).blocks] == [500]


def test_every_user_can_check_the_server(server: Server) -> None:
    for user in FORBIDDEN:
        assert PoolClient.from_url(server.closed.url_of(user)).check_server_safety() == ()


def test_without_a_password_or_with_a_wrong_one_nobody_gets_in(server: Server) -> None:
    urls = (server.closed.url, server.closed.url_of("service").replace("service:", "service:x"))
    for url in urls:
        with pytest.raises(PoolUnavailable):
            PoolClient.from_url(url).stats()
