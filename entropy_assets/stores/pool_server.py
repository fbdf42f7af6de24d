"""The way to a pool's server, and what makes one unfit to hold a pool, read from its own words.

Persistence and eviction make it lose or restore blocks behind the pool's back; the epoch keeps a restored block from
being served, so these two may be allowed. A server whose process can't be told from another can't be allowed.
"""

from collections.abc import Mapping
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from entropy_assets.errors import PoolAddressInvalid


def client_of(url: str, *, connect_timeout_s: float, timeout_s: float, max_connections: int) -> "redis.Redis":
    """Return a client of the server at `url` that never sends a command twice; it connects on first use.

    Raises
    ------
    PoolAddressInvalid
        If `url` is no address. Nothing of it is in the error, since a part that was misread may be of its password.
    """
    try:
        return redis.Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=connect_timeout_s,
            socket_timeout=timeout_s,
            socket_read_size=2**18,
            max_connections=max_connections,
            protocol=2,
            # they would stretch the time-out above behind our back
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
    except ValueError:
        raise PoolAddressInvalid(
            "ENTROPY_REDIS_URL is not a valid address: give redis://, rediss:// or unix://, and write what is special"
            " in a password as %XX (a slash is %2F)"
        ) from None


def fatal_problems(info: Mapping[str, Any]) -> list[str]:
    """Return why no pool may live on the server whose INFO is `info`; empty if one may."""
    version = str(info.get("valkey_version") or info.get("redis_version") or "0.0")
    old = tuple(int(part) for part in version.split(".")[:2]) < (6, 2)
    problems = [f"its version is {version}, older than 6.2"] if old else []
    if not info.get("run_id"):
        problems.append("it hides its run_id")
    if info.get("role") == "slave":
        problems.append("it is a replica")
    return problems


def storage_problems(info: Mapping[str, Any], snapshots: str) -> list[str]:
    """Return how the server keeps or drops data on its own; `snapshots` is its ``save`` directive."""
    problems = []
    if info.get("aof_enabled"):
        problems.append("it keeps an append-only file (appendonly yes)")
    if snapshots:
        problems.append(f'it writes snapshots (save "{snapshots}")')
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        problems.append(f"it evicts keys (maxmemory-policy {policy})")
    return problems
