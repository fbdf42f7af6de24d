"""What makes a server unfit to hold a pool, read from its own words.

Persistence and eviction make it lose or restore blocks behind the pool's back; the epoch keeps a restored block from
being served, so these two may be allowed. A server whose process can't be told from another can't be allowed.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from redis.crc import key_slot

from entropy_assets.errors import ClusterRefused

_SNAPSHOT_SLACK_S: Final = 2.0
"""A server says that it last wrote a snapshot when it started; both moments are rounded to seconds."""


def fatal_problems(info: Mapping[str, Any]) -> list[str]:
    """Return why no pool may live on the server whose INFO is `info`; empty if one may."""
    version = str(info.get("valkey_version") or info.get("redis_version") or "0.0")
    old = tuple(int(part) for part in version.split(".")[:2]) < (6, 2)
    problems = [f"its version is {version}, older than 6.2"] if old else []
    if not info.get("run_id"):
        problems.append("it hides its run_id")
    if not info.get("master_replid"):
        problems.append("it hides its master_replid")
    if info.get("role") == "slave":
        problems.append("it is a replica")
    return problems


def refuse_wrong_address(info: Mapping[str, Any], keys: Iterable[str], *, names_cluster: bool) -> None:
    """Raise if the server whose INFO is `info` is of a cluster that can't hold these keys, or not by its address.

    Raises
    ------
    ClusterRefused
        If `keys` lie in several slots, where no script may touch them together, or if the address is that of a single
        server, which fits until the slot goes to another node.
    """
    if not info.get("cluster_enabled"):
        return
    if len({key_slot(key.encode()) for key in keys}) > 1:
        raise ClusterRefused(
            "the pool's server is part of a cluster, and the keys of this pool would lie in several slots of it:"
            " give them a prefix with a hash tag, ENTROPY_POOL_PREFIX={entropy}, the same for service and publisher"
        )
    if not names_cluster:
        raise ClusterRefused(
            "the pool's server is a node of a cluster, which may hand the pool on to another node: name the cluster,"
            " ENTROPY_REDIS_URL=redis+cluster://host:port,host:port"
        )


def storage_problems(info: Mapping[str, Any], snapshots: str | None) -> list[str]:
    """Return how the server keeps or drops data on its own.

    `snapshots` is its ``save`` directive. Where it hides that, as from every user of ``users.conf``, INFO tells whether
    it wrote a snapshot since it started; one that it would write later is fenced by the epoch alone.
    """
    problems = []
    if info.get("aof_enabled"):
        problems.append("it keeps an append-only file (appendonly yes)")
    if snapshots:
        problems.append(f'it writes snapshots (save "{snapshots}")')
    elif snapshots is None and _wrote_snapshot(info):
        problems.append("it wrote a snapshot since it started")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        problems.append(f"it evicts keys (maxmemory-policy {policy})")
    return problems


def _wrote_snapshot(info: Mapping[str, Any]) -> bool:
    started = info.get("server_time_usec", 0) / 1e6 - info.get("uptime_in_seconds", 0)
    return bool(info.get("rdb_last_save_time", 0) > started + _SNAPSHOT_SLACK_S) and "server_time_usec" in info
