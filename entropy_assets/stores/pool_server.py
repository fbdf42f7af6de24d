"""What makes a server unfit to hold a pool, read from its own words.

Persistence and eviction make it lose or restore blocks behind the pool's back; the epoch keeps a restored block from
being served, so these two may be allowed. A server whose process can't be told from another can't be allowed.
"""

from collections.abc import Mapping
from typing import Any


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
