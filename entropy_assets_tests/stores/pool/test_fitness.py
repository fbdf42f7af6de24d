"""Which servers may hold a pool, by what they say of themselves, and what the pool does on one that says too little."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from entropy_assets.errors import UnsafePoolServer
from entropy_assets.stores.owned.folders import listens
from entropy_assets.stores.owned.processes import OwnedProcess
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.configuration import server_configuration
from entropy_assets.stores.pool.embedded import EmbeddedServer, find_server_binary
from entropy_assets.stores.pool.fitness import fatal_problems, storage_problems
from entropy_assets_tests.pool_blocks import pool_blocks

SOUND: dict[str, Any] = {"redis_version": "6.2.0", "run_id": "a", "master_replid": "b", "role": "master"}


@pytest.mark.parametrize(
    "change, problems",
    [
        ({}, []),
        ({"redis_version": "6.0.16"}, ["its version is 6.0.16, older than 6.2"]),
        ({"valkey_version": "9.0.1", "redis_version": "5.0.0"}, []),
        ({"run_id": ""}, ["it hides its run_id"]),
        ({"master_replid": None}, ["it hides its master_replid"]),
        ({"role": "slave"}, ["it is a replica"]),
    ],
)
def test_no_pool_lives_where_a_restart_or_a_failover_can_not_be_noticed(
    change: dict[str, Any], problems: list[str]
) -> None:
    assert fatal_problems(SOUND | change) == problems


@pytest.mark.parametrize(
    "info, snapshots, count",
    [
        ({}, "", 0),
        ({"aof_enabled": 1}, "", 1),
        ({}, "60 1", 1),
        ({"maxmemory_policy": "allkeys-lru"}, "", 1),
        ({"aof_enabled": 1, "maxmemory_policy": "volatile-ttl"}, "60 1", 3),
        ({"server_time_usec": 100_000_000, "uptime_in_seconds": 50, "rdb_last_save_time": 51}, None, 0),
        ({"server_time_usec": 100_000_000, "uptime_in_seconds": 50, "rdb_last_save_time": 60}, None, 1),
        ({"rdb_last_save_time": 60}, None, 0),
    ],
)
def test_each_way_to_keep_or_drop_data_is_named(info: dict[str, Any], snapshots: str | None, count: int) -> None:
    assert len(storage_problems(info, snapshots)) == count


@pytest.fixture
def hidden(tmp_path: Path) -> Iterator[PoolClient]:
    """Give a pool on a server whose INFO says nothing: the command has the name of another one."""
    (tmp_path / "own.conf").write_text(
        f"{server_configuration((6, 2))}\nport 0\nunixsocket {tmp_path}/s\ndir {tmp_path}\n"
        'rename-command INFO ""\nrename-command ECHO INFO\n'
    )
    process = OwnedProcess([str(find_server_binary()), str(tmp_path / "own.conf")], log=tmp_path / "log")
    try:
        while not listens(tmp_path / "s"):
            assert process.exit_code is None, (tmp_path / "log").read_text()
            time.sleep(0.01)
        pool = PoolClient.from_url(f"unix://{tmp_path}/s")
        yield pool
        pool.close()
    finally:
        process.stop(2)


def test_a_server_that_hides_who_it_is_takes_and_gives_nothing_and_health_says_so(hidden: PoolClient) -> None:
    for call in (hidden.stats, hidden.depth, lambda: hidden.lease(1), lambda: hidden.push(pool_blocks(1))):
        with pytest.raises(UnsafePoolServer, match="hides"):
            call()
    health = hidden.health()
    assert (health.ok, health.stats) == (False, None)
    assert "hides" in health.reasons[0]


def test_where_the_configuration_is_hidden_a_snapshot_is_noticed_by_what_the_server_did(tmp_path: Path) -> None:
    with (
        EmbeddedServer(data_dir=tmp_path) as server,
        redis.Redis.from_url(server.url) as raw,
    ):
        raw.acl_setuser("w", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
        pool = PoolClient.from_url(server.url.replace("unix://", "unix://w:x@"))
        assert pool.check_server_safety() == ()
        time.sleep(3.1)  # the moments are whole seconds
        raw.save()
        with pytest.raises(UnsafePoolServer, match="wrote a snapshot"):
            pool.check_server_safety()
        assert storage_problems(raw.info(), "") == []
        pool.close()
