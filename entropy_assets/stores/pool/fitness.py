"""What makes a server unfit to hold a pool, or to take more into it, read from its own words.

Persistence and eviction make it lose or restore blocks behind the pool's back; the epoch keeps a restored block from
being served, so these two may be allowed. A server whose process can't be told from another can't be allowed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import redis
from redis.crc import key_slot

from entropy_assets.errors import ClusterRefused, PoolUnavailable, UnsafePoolServer
from entropy_assets.stores.pool.blocks import PoolBlock
from entropy_assets.stores.redis_server import words_of

_SNAPSHOT_SLACK_S: Final = 2.0
"""A server says that it last wrote a snapshot when it started; both moments are rounded to seconds."""

BESIDE_BYTES: Final = 512
"""Memory that a block takes for its key and in the indexes: 360 to 520 bytes on the servers that are tested."""
_PIECE_BYTES: Final = 16 * 2**10
"""What a server reads from a connection at once, and keeps for it. Of arguments twice as long it keeps two."""
SPARE_PIECES: Final = 16
"""What else may be taken until the push comes: the buffers of as many connections as one client makes."""
UNCOLLECTED_PARTS: Final = 4
"""From Redis 8 on what scripts were given counts as used until Lua collects it: up to three pushes were seen to."""


class PoolFull(PoolUnavailable):
    """The pool's server answers and takes nothing more; what is in it can be leased."""


def room_of(parts: Sequence[Sequence[PoolBlock]]) -> list[bytes]:
    """Return arguments of a command that take the memory that pushing the blocks of `parts` does, a push for each part.

    They are as many and as long as those of the pushes, since an allocator rounds each up: by a quarter at most, as
    jemalloc's size classes do.
    """
    parts = [*parts, *parts[:-1][:UNCOLLECTED_PARTS]]
    sizes = [len(block.to_document()) * 5 // 4 + BESIDE_BYTES for part in parts for block in part]
    return [bytes(size) for size in (*sizes, *[_PIECE_BYTES] * SPARE_PIECES)]


def refusal_of(error: redis.RedisError) -> PoolUnavailable | UnsafePoolServer:
    """Return what the error of a call means for the pool."""
    if "NORUNID" in str(error):
        return UnsafePoolServer(
            "this server hides from scripts who it is (run_id, master_replid): no restart could be noticed"
        )
    # By its words: 6.2 says it inside of an error of the script.
    if "command not allowed when used memory" in str(error):
        return PoolFull(
            "the pool's server is full (used memory > 'maxmemory'): give it memory, or lower ENTROPY_HIGH_WATER_BYTES",
            cause=type(error).__name__,
        )
    return PoolUnavailable(f"the pool's server did not do as asked: {words_of(error)}", cause=type(error).__name__)


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
