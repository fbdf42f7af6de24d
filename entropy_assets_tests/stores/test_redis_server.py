"""The ways to a pool's server: TLS, a user, sentinels, a cluster. Each with the real thing."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
import trustme
from redis.cluster import RedisCluster

from entropy_assets.defs.resources import RedisPool
from entropy_assets.errors import (
    EntropyAssetsError,
    PoolAddressInvalid,
    PoolEpochChanged,
    PoolKeysScattered,
    PoolUnavailable,
)
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.server.workers import check_server
from entropy_assets.stores.api_keys import keys_of
from entropy_assets.stores.buckets import Ask, SharedBuckets
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets.stores.processes import OwnedProcess
from entropy_assets.stores.redis_server import client_of
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.stores.pool.servers import server_binary


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(wanted: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Give a folder with the certificates of a private authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, certificate in (
        ("server", authority.issue_cert("127.0.0.1")),
        ("client", authority.issue_cert("somebody")),
    ):
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    return tmp_path


@contextmanager
def tls_server(folder: Path) -> Iterator[tuple[EmbeddedServer, int]]:
    port = free_port()
    overrides = {
        "tls-port": str(port),
        "bind": "127.0.0.1",
        "tls-cert-file": str(folder / "server.pem"),
        "tls-key-file": str(folder / "server.key"),
        "tls-ca-cert-file": str(folder / "ca.pem"),
    }
    with EmbeddedServer(binary=server_binary("redis-7.0"), overrides=overrides, users_of="entropy") as server:
        yield server, port


def test_tls_with_both_certificates_and_a_user_works_and_without_them_does_not(authority: Path) -> None:
    with tls_server(authority) as (server, port):
        user = server.url_of("publisher").removeprefix("unix://").partition("@")[0]
        ca = f"ssl_ca_certs={authority / 'ca.pem'}"
        own = f"ssl_certfile={authority / 'client.pem'}&ssl_keyfile={authority / 'client.key'}"
        pool = PoolClient.from_url(f"rediss://{user}@127.0.0.1:{port}?{ca}&{own}")
        assert len(pool.push(pool_blocks(2)).pushed) == 2
        for url in (
            f"rediss://{user}@127.0.0.1:{port}?{own}",
            f"rediss://{user}@127.0.0.1:{port}?{ca}",
            f"rediss://127.0.0.1:{port}?{ca}&{own}",
            f"redis://{user}@127.0.0.1:{port}",
        ):
            with pytest.raises(PoolUnavailable):
                PoolClient.from_url(url).stats()
        pool.close()


@contextmanager
def watched_pair(folder: Path) -> Iterator[tuple[EmbeddedServer, EmbeddedServer, str]]:
    """Run a master, its replica and a sentinel; give both servers and the address of the pool."""
    binary = server_binary("redis-7.0")
    ports = [free_port() for _ in range(3)]
    listening = {"bind": "127.0.0.1", "repl-diskless-sync-delay": "0"}
    following = {**listening, "port": str(ports[1]), "replicaof": f"127.0.0.1 {ports[0]}"}
    configuration = folder / "sentinel.conf"
    configuration.write_text(
        f"port {ports[2]}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor the-pool 127.0.0.1 {ports[0]} 1\n"
        "sentinel down-after-milliseconds the-pool 300\nsentinel failover-timeout the-pool 2000\n"
    )
    with ExitStack() as stack:
        master = stack.enter_context(EmbeddedServer(binary=binary, overrides={**listening, "port": str(ports[0])}))
        replica = stack.enter_context(EmbeddedServer(binary=binary, overrides=following))
        sentinel = OwnedProcess([str(binary), str(configuration), "--sentinel"], log=folder / "sentinel.log")
        stack.callback(sentinel.stop, 2.0)
        with redis.Redis(port=ports[2]) as asked:
            eventually(lambda: _knows_replica(asked))
        yield master, replica, f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{ports[2]}/the-pool"


def _knows_replica(sentinel: "redis.Redis") -> bool:
    try:
        return bool(sentinel.sentinel_slaves("the-pool"))
    except redis.RedisError:
        return False


def test_a_promoted_replica_serves_nothing_of_what_it_inherited_and_serves_again_after_a_push(tmp_path: Path) -> None:
    """The first sentinel of the address is not even there."""
    with watched_pair(tmp_path) as (master, replica, url):
        pool = PoolClient.from_url(url, timeout_s=0.5)
        blocks = pool_blocks(6)
        pool.push(blocks)
        assert len(pool.lease(2).blocks) == 2
        with redis.Redis.from_url(replica.url) as raw:
            eventually(lambda: raw.zcard("entropy:pool:ready:private") == 4)
            master.stop()
            eventually(lambda: _is_master(raw))
            assert raw.zcard("entropy:pool:ready:private") == 4
        eventually(lambda: _refuses(pool))
        assert pool.push(blocks).pushed == ()
        assert len(pool.push(pool_blocks(3, first=50)).pushed) == 3
        assert [leased.block.index for leased in pool.lease(9).blocks] == [50, 51, 52]
        assert pool.stats().inherited_blocks == 4
        assert pool.check_server_safety() == ()
        pool.close()


def _is_master(raw: "redis.Redis") -> bool:
    try:
        return bool(raw.info("replication")["role"] == "master")
    except redis.ConnectionError:
        return False  # a sentinel ends all connections of the server that it promotes


def _refuses(pool: PoolClient) -> bool:
    try:
        pool.lease(1)
    except PoolEpochChanged:
        return True
    except PoolUnavailable:
        return False
    raise AssertionError("served an inherited block")


def test_no_client_on_the_way_by_sentinels_repeats_a_command() -> None:
    url = "rediss+sentinel://u:p%2Fw@a:1,[::1]:2/name/3?sentinel_username=su&sentinel_password=sp&ssl_ca_certs=/ca"
    client = client_of(url, connect_timeout_s=0.1, timeout_s=0.2, max_connections=3)
    manager = client.connection_pool.sentinel_manager
    assert [client.get_retry().get_retries(), *(each.get_retry().get_retries() for each in manager.sentinels)] == [
        0
    ] * 3
    to_master = client.connection_pool.connection_kwargs
    assert (to_master["username"], to_master["password"], to_master["db"]) == ("u", "p/w", 3)
    assert (to_master["ssl_ca_certs"], to_master["socket_timeout"]) == ("/ca", 0.2)
    to_sentinel = [each.connection_pool.connection_kwargs for each in manager.sentinels]
    assert [(each["host"], each["port"], each["username"], each["password"]) for each in to_sentinel] == [
        ("a", 1, "su", "sp"),
        ("::1", 2, "su", "sp"),
    ]
    assert {each["ssl_ca_certs"] for each in to_sentinel} == {"/ca"}


@pytest.mark.parametrize("rest", ["", "/name", "h:1", "h:1/", "h:99999/name", "h:1,/name", ":secret@/name"])
def test_an_address_of_sentinels_that_is_none_is_a_typed_error(rest: str) -> None:
    with pytest.raises(PoolAddressInvalid) as caught:
        PoolClient.from_url(f"redis+sentinel://{rest}")
    assert "secret" not in str(caught.value)


@contextmanager
def cluster(folder: Path, size: int) -> Iterator[list[int]]:
    """Run a cluster of `size` nodes, each with its share of the slots; give their ports."""
    ports, edges = [], [16384 * node // size for node in range(size + 1)]
    with ExitStack() as stack:
        clients = []
        for node in range(size):
            ports.append(free_port())
            overrides = {"port": str(ports[-1]), "bind": "127.0.0.1", "cluster-enabled": "yes"}
            overrides |= {"cluster-port": str(free_port()), "cluster-config-file": str(folder / f"nodes-{node}")}
            stack.enter_context(EmbeddedServer(overrides=overrides))
            clients.append(stack.enter_context(redis.Redis(port=ports[-1])))
            clients[-1].execute_command("CLUSTER ADDSLOTSRANGE", edges[node], edges[node + 1] - 1)
        bus = int(clients[0].config_get("cluster-port")["cluster-port"])
        for number, client in enumerate(clients[1:], start=2):
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number)
            client.execute_command("CLUSTER MEET", "127.0.0.1", ports[0], bus)
        for client in clients:
            eventually(lambda client=client: client.cluster("info")["cluster_state"] == "ok")  # type: ignore[misc]
            eventually(lambda client=client: len(client.cluster("nodes")) == size)  # type: ignore[misc]
        yield ports


def exercise(pool: PoolClient) -> None:
    blocks = pool_blocks(70)
    assert len(pool.push(blocks).pushed) == 70
    assert sorted(leased.block.index for leased in pool.lease(70).blocks) == list(range(70))
    assert set(pool.push(blocks).refused.values()) == {"consumed"}
    assert (pool.stats().leased_blocks, pool.health().ok, pool.check_server_safety()) == (70, True, ())


def test_a_cluster_of_one_node_works_with_a_hash_tag(tmp_path: Path) -> None:
    with cluster(tmp_path, 1) as ports:
        pool = PoolClient.from_url(f"redis://127.0.0.1:{ports[0]}", prefix="{entropy}")
        exercise(pool)
        without_tag = PoolClient.from_url(f"redis://127.0.0.1:{ports[0]}")
        with pytest.raises(PoolUnavailable, match="slot"):
            without_tag.push(pool_blocks(1))
        without_tag.close()
        pool.close()


@pytest.mark.parametrize("prefix", ["entropy", "{}", "en}tropy{", "{entropy"])
def test_a_cluster_whose_keys_have_no_hash_tag_is_refused_at_the_start(tmp_path: Path, prefix: str) -> None:
    """By the publisher and by the service: else the first push would fail, and the first draw, with each its riddle."""
    with cluster(tmp_path, 1) as ports:
        url = f"redis://127.0.0.1:{ports[0]}"
        with (
            pytest.raises(PoolKeysScattered, match=re.escape("ENTROPY_POOL_PREFIX={entropy}")),
            RedisPool(url=url, prefix=prefix).connect(),
        ):
            pass
        with pytest.raises(PoolKeysScattered, match=re.escape("ENTROPY_POOL_PREFIX={entropy}")):
            check_server(ServiceConfig(pool_url=url, pool_prefix=prefix, allow_unsafe_pool=True))


def test_a_cluster_of_three_nodes_works_through_its_own_client(tmp_path: Path) -> None:
    with cluster(tmp_path, 3) as ports:
        pool = PoolClient(RedisCluster(host="127.0.0.1", port=ports[0], protocol=2), prefix="{entropy}")
        exercise(pool)
        pool.close()


def test_a_cluster_that_is_gone_is_unavailable_each_time_it_is_asked(tmp_path: Path) -> None:
    """What its client raises then is not all of one family; whoever leases in a thread must see one kind of error."""
    with cluster(tmp_path, 1) as ports:
        pool = PoolClient(RedisCluster(host="127.0.0.1", port=ports[0], protocol=2), prefix="{entropy}")
        pool.push(pool_blocks(1))
    for _ in range(3):
        with pytest.raises(PoolUnavailable) as caught:
            pool.lease(1)
        assert str(ports[0]) not in caught.value.message
    with pytest.raises(PoolUnavailable):
        pool.check_server_safety()


@pytest.mark.parametrize("scheme", ["redis://127.0.0.1:{}", "unix:///{}", "redis+sentinel://127.0.0.1:{}/name"])
@pytest.mark.parametrize(
    "use",
    [
        lambda url: PoolClient.from_url(url, timeout_s=0.5).lease(1),
        lambda url: SharedBuckets.from_url(url, prefix="p").grant([Ask(False, "anonymous", 1, 1, 1.0, 1.0)]),
        lambda url: keys_of(url).records(),
    ],
    ids=["pool", "quotas", "keys"],
)
def test_no_error_names_the_address(use: Callable[[str], object], scheme: str) -> None:
    """What is wrong, and not where: health reports and problem documents repeat it."""
    port = free_port()
    with pytest.raises(EntropyAssetsError) as caught:
        use(scheme.format(port))
    assert str(port) not in caught.value.message
    assert "did not do as asked: no connection" in caught.value.message
