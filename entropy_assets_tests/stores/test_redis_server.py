"""The ways to a pool's server: TLS, a user, sentinels, a cluster. Each with the real thing."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
import trustme

from entropy_assets.defs.resources import RedisPool
from entropy_assets.errors import (
    ClusterRefused,
    EntropyAssetsError,
    PoolAddressInvalid,
    PoolEpochChanged,
    PoolUnavailable,
    UnsafePoolServer,
)
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.server.workers import check_server
from entropy_assets.stores.api_keys import keys_of
from entropy_assets.stores.buckets import Ask, SharedBuckets
from entropy_assets.stores.owned.processes import OwnedProcess
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.configuration import USERS, User, users_configuration
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets.stores.redis_server import client_of
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.stores.pool.clusters import Cluster, cluster, eventually
from entropy_assets_tests.stores.pool.servers import server_binary

PREFIXES = ("{a}", "x:{b}", "{c}:x")
RULE = re.compile(r"\([^)]*\)|\S+")


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
        "sentinel down-after-milliseconds the-pool 1500\nsentinel failover-timeout the-pool 2000\n"
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
    client = client_of(url, key="k", connect_timeout_s=0.1, timeout_s=0.2, max_connections=3)
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


def test_no_client_on_the_way_by_a_cluster_repeats_a_command() -> None:
    url = "rediss+cluster://u:p%2Fw@a:1,[::1]:2/0?ssl_ca_certs=/ca"
    client = client_of(url, key="k", connect_timeout_s=0.1, timeout_s=0.2, max_connections=3)
    made = client.connection_pool.make_connection()
    assert (client.get_retry().get_retries(), made.retry.get_retries()) == (0, 0)
    given = client.connection_pool.connection_kwargs
    assert (given["username"], given["password"], given["ssl_ca_certs"]) == ("u", "p/w", "/ca")
    assert (given["socket_timeout"], given["socket_connect_timeout"], given["protocol"]) == (0.2, 0.1, 2)


@pytest.mark.parametrize("rest", ["", "/name", "h:1", "h:1/", "h:99999/name", "h:1,/name", ":secret@/name"])
def test_an_address_of_sentinels_that_is_none_is_a_typed_error(rest: str) -> None:
    with pytest.raises(PoolAddressInvalid) as caught:
        PoolClient.from_url(f"redis+sentinel://{rest}")
    assert "secret" not in str(caught.value)


def exercise(pool: PoolClient) -> None:
    blocks = pool_blocks(70)
    assert len(pool.push(blocks).pushed) == 70
    assert sorted(leased.block.index for leased in pool.lease(70).blocks) == list(range(70))
    assert set(pool.push(blocks).refused.values()) == {"consumed"}
    assert (pool.stats().leased_blocks, pool.health().ok, pool.check_server_safety()) == (70, True, ())


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a cluster of three nodes, which every test leaves as it is."""
    with cluster(tmp_path_factory.mktemp("cluster"), 3) as nodes:
        yield nodes


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_cluster_works_by_any_of_its_addresses_wherever_the_slot_lies(three: Cluster, prefix: str) -> None:
    urls = [three.url, *(f"redis+cluster://127.0.0.1:{port}" for port in three.ports)]
    pools = [PoolClient.from_url(url, prefix=prefix) for url in urls]
    exercise(pools[0])
    for place, pool in enumerate(pools):
        pool.push(pool_blocks(1, first=100 + place))
    assert [pool.lease(1).blocks[0].block.index for pool in pools] == [100, 101, 102, 103]
    assert SharedBuckets.from_url(urls[2], prefix=prefix).grant([Ask(False, "anonymous", 1, 1, 1.0, 1.0)])[0].units == 1
    assert keys_of(urls[3], prefix=prefix).records() == ()
    with RedisPool(urls[1], prefix).connect() as as_dagster_does:
        assert as_dagster_does.depth().blocks == 0
    check_server(ServiceConfig(pool_url=urls[2], pool_prefix=prefix))


def test_the_prefixes_of_these_tests_lie_on_every_node(three: Cluster) -> None:
    assert {three.place_of(prefix) for prefix in PREFIXES} == {0, 1, 2}


def test_nodes_of_an_address_that_are_gone_are_passed_over(three: Cluster) -> None:
    pool = PoolClient.from_url(
        f"redis+cluster://127.0.0.1:{free_port()},[::1]:1,127.0.0.1:{three.ports[1]}/", prefix="{d}"
    )
    exercise(pool)


def test_what_the_owner_does_with_its_data_decides_and_not_what_another_node_does(three: Cluster) -> None:
    """A check of the node that is named, and not of the owner, would let the first pass and refuse the second."""
    for prefix in PREFIXES:
        place = three.place_of(prefix)
        for node in three.masters:
            by_it = PoolClient.from_url(f"redis+cluster://127.0.0.1:{node.port}", prefix=prefix)
            three.masters[place].ask("CONFIG", "SET", "appendonly", "yes")
            with pytest.raises(UnsafePoolServer, match="append-only"):
                by_it.check_server_safety()
            three.masters[place].ask("CONFIG", "SET", "appendonly", "no")
            three.masters[place - 1].ask("CONFIG", "SET", "appendonly", "yes")
            assert by_it.check_server_safety() == ()
            three.masters[place - 1].ask("CONFIG", "SET", "appendonly", "no")


def test_a_single_address_of_a_cluster_is_refused_by_everybody_and_its_errors_name_no_node(three: Cluster) -> None:
    for port in three.ports:
        url = f"redis://127.0.0.1:{port}"
        with pytest.raises(ClusterRefused, match=re.escape("redis+cluster://")), RedisPool(url, "{a}").connect():
            pass
        with pytest.raises(ClusterRefused):
            check_server(ServiceConfig(pool_url=url, pool_prefix="{a}", allow_unsafe_pool=True))
    wrong = f"redis://127.0.0.1:{three.ports[three.place_of('{a}') - 1]}"
    for use in (
        lambda: PoolClient.from_url(wrong, prefix="{a}").push(pool_blocks(1)),
        lambda: SharedBuckets.from_url(wrong, prefix="{a}").grant([Ask(False, "anonymous", 1, 1, 1.0, 1.0)]),
    ):
        with pytest.raises(EntropyAssetsError, match=re.escape("redis+cluster://")) as caught:
            use()
        assert "127.0.0.1" not in caught.value.message


def test_a_server_that_is_no_cluster_says_so() -> None:
    port = free_port()
    pool = PoolClient.from_url(f"redis+cluster://127.0.0.1:{port}")
    with (
        EmbeddedServer(overrides={"port": str(port), "bind": "127.0.0.1"}),
        pytest.raises(PoolUnavailable, match="cluster support disabled"),
    ):
        pool.stats()


@pytest.mark.parametrize(
    "address", ["redis+cluster://", "redis+cluster:///", "redis+cluster://h:1/2", "redis+cluster://h:1?db=2",
                "redis+cluster://h:x", "redis+cluster://h:1,", "unix+cluster:///path", "redis+cluster://:secret@/0"]
)  # fmt: skip
def test_an_address_of_a_cluster_that_is_none_is_a_typed_error(address: str) -> None:
    with pytest.raises(PoolAddressInvalid) as caught:
        PoolClient.from_url(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["entropy", "{}", "en}tropy{", "{entropy"])
def test_a_cluster_whose_keys_have_no_hash_tag_is_refused_at_the_start(three: Cluster, prefix: str) -> None:
    """By the publisher and by the service: else the first push would fail, and the first draw, with each its riddle."""
    for url in (three.url, f"redis://127.0.0.1:{three.ports[0]}"):
        with (
            pytest.raises(ClusterRefused, match=re.escape("ENTROPY_POOL_PREFIX={entropy}")),
            RedisPool(url=url, prefix=prefix).connect(),
        ):
            pass
        with pytest.raises(ClusterRefused, match=re.escape("ENTROPY_POOL_PREFIX={entropy}")):
            check_server(ServiceConfig(pool_url=url, pool_prefix=prefix, allow_unsafe_pool=True))


@pytest.mark.slow
def test_a_slot_that_moves_takes_the_pool_with_it_and_its_new_owner_serves_nothing_of_it(tmp_path: Path) -> None:
    """The master dies, its replica is promoted, by the address of this very master alone."""
    with cluster(tmp_path, 3, replicas=True) as nodes:
        place = nodes.place_of("{a}")
        first, second = nodes.masters[place], nodes.replicas[place]
        pool = PoolClient.from_url(f"redis+cluster://127.0.0.1:{first.port}", prefix="{a}", timeout_s=0.5)
        blocks = pool_blocks(6)
        pool.push(blocks)
        assert len(pool.lease(2).blocks) == 2
        with redis.Redis.from_url(second.url) as raw:
            eventually(lambda: raw.execute_command("READONLY") and raw.zcard("{a}:pool:ready:private") == 4)
            first.stop()
        eventually(lambda: _refuses(pool))
        assert pool.push(blocks).pushed == ()
        assert len(pool.push(pool_blocks(3, first=50)).pushed) == 3
        assert [leased.block.index for leased in pool.lease(9).blocks] == [50, 51, 52]
        assert (pool.stats().inherited_blocks, pool.check_server_safety()) == (4, ())


@pytest.mark.slow
def test_a_master_that_steps_down_alive_is_left_by_every_connection(tmp_path: Path) -> None:
    """It answers INFO as before, over connections of before: the check must not take it for the pool's server."""
    with cluster(tmp_path, 3, replicas=True) as nodes:
        place = nodes.place_of("{a}")
        pool, other = (PoolClient.from_url(nodes.url, prefix="{a}", timeout_s=0.5) for _ in range(2))
        pool.push(pool_blocks(2))
        assert other.check_server_safety() == ()
        nodes.replicas[place].ask("CLUSTER", "FAILOVER")
        eventually(lambda: nodes.masters[place].ask("ROLE")[0] == b"slave")  # type: ignore[index]
        assert other.check_server_safety() == ()
        eventually(lambda: _refuses(pool))
        pool.push(pool_blocks(1, first=7))
        assert [leased.block.index for leased in other.lease(9).blocks] == [7]


@pytest.mark.slow
def test_a_cluster_works_by_tls_and_with_the_users_of_the_project(authority: Path, tmp_path: Path) -> None:
    """Its nodes tell where they listen for TLS to whoever asks by TLS."""
    more = {"tls-cert-file": "server.pem", "tls-key-file": "server.key", "tls-ca-cert-file": "ca.pem"}
    more = {name: str(authority / file) for name, file in more.items()} | {"tls-cluster": "yes"}
    with tls_cluster(tmp_path, more) as ports:
        own = f"ssl_certfile={authority / 'client.pem'}&ssl_keyfile={authority / 'client.key'}"
        for port in ports:
            url = f"rediss+cluster://127.0.0.1:{port}/?ssl_ca_certs={authority / 'ca.pem'}&{own}"
            pool = PoolClient.from_url(url, prefix="{a}")
            assert pool.check_server_safety() == ()
            assert len(pool.push(pool_blocks(2, first=port)).pushed) == 2
            with pytest.raises(PoolUnavailable):
                PoolClient.from_url(url.replace("rediss", "redis").partition("?")[0], prefix="{a}").stats()


@contextmanager
def tls_cluster(folder: Path, certificates: Mapping[str, str]) -> Iterator[list[int]]:
    """Run a cluster of two nodes that listen for TLS too; give those ports."""
    listening: list[Mapping[str, str]] = [{**certificates, "tls-port": str(free_port())} for _ in range(2)]
    with cluster(folder, 2, more=listening, binary=server_binary("redis-7.0")):
        yield [int(each["tls-port"]) for each in listening]


def test_the_users_of_the_project_may_ask_for_the_owner(three: Cluster) -> None:
    passwords: dict[User, str] = dict.fromkeys(USERS, "word")
    lines = users_configuration(passwords, "{a}", (9, 1)).splitlines()
    rules = [line.split(maxsplit=2)[1:] for line in lines if line.startswith("user ") and " default " not in line]
    for node in three.masters:
        for user, rule in rules:
            node.ask("ACL", "SETUSER", user, "reset", *RULE.findall(rule))
    for node in three.masters:
        for user, _ in rules:
            pool = PoolClient.from_url(f"redis+cluster://{user}:word@127.0.0.1:{node.port}", prefix="{a}")
            assert pool.check_server_safety() == ()


def test_a_cluster_that_is_gone_is_unavailable_each_time_it_is_asked(tmp_path: Path) -> None:
    with cluster(tmp_path, 1) as nodes:
        pool = PoolClient.from_url(nodes.url, prefix="{entropy}")
        pool.push(pool_blocks(1))
    for _ in range(3):
        with pytest.raises(PoolUnavailable) as caught:
            pool.lease(1)
        assert str(nodes.ports[0]) not in caught.value.message
    with pytest.raises(PoolUnavailable):
        pool.check_server_safety()


@pytest.mark.parametrize(
    "scheme",
    ["redis://127.0.0.1:{}", "unix:///{}", "redis+sentinel://127.0.0.1:{}/name", "redis+cluster://127.0.0.1:{}"],
)
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
