"""The way to a pool's server, and what makes one unfit to hold a pool, read from its own words.

Persistence and eviction make it lose or restore blocks behind the pool's back; the epoch keeps a restored block from
being served, so these two may be allowed. A server whose process can't be told from another can't be allowed.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.exceptions import RedisClusterException
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry
from redis.sentinel import Sentinel

from entropy_assets.errors import PoolAddressInvalid

SENTINEL_PORT: Final = 26379
_SENTINELS: Final = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_SNAPSHOT_SLACK_S: Final = 2.0
"""A server says that it last wrote a snapshot when it started; both moments are rounded to seconds."""


def client_of(url: str, *, connect_timeout_s: float, timeout_s: float, max_connections: int) -> "redis.Redis":
    """Return a client of the server at `url` that never sends a command twice; it connects on first use.

    Parameters
    ----------
    url
        ``redis://user:password@host:port/0``, ``rediss://`` for TLS, ``unix://user:password@/path``, with the options
        of redis-py behind a ``?``, such as ``ssl_ca_certs``, ``ssl_certfile`` and ``ssl_keyfile``. Or
        ``redis+sentinel://user:password@host:port,host:port/name?sentinel_username=u&sentinel_password=p``: the master
        called ``name``, as the sentinels know it at each new connection; ``rediss+sentinel://`` for TLS to all.

    Raises
    ------
    PoolAddressInvalid
        If `url` is no address. Nothing of it is in the error, since a part that was misread may be of its password.
    """
    options: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": connect_timeout_s,
        "socket_timeout": timeout_s,
        "protocol": 2,
    }
    more: dict[str, Any] = {
        "socket_read_size": 2**18,
        "max_connections": max_connections,
        # they would stretch the time-out above behind our back
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    try:
        if urlsplit(url).scheme in _SENTINELS:
            return _client_by_sentinel(url, options, more)
        return redis.Redis.from_url(url, **options, **more)
    except ValueError:
        raise PoolAddressInvalid(
            "ENTROPY_REDIS_URL is not a valid address: give redis://, rediss://, unix:// or redis+sentinel://, and"
            " write what is special in a password as %XX (a slash is %2F)"
        ) from None


def _client_by_sentinel(url: str, options: Mapping[str, Any], more: Mapping[str, Any]) -> "redis.Redis":
    parts = urlsplit(url)
    user, _, places = parts.netloc.rpartition("@")
    name, _, database = parts.path.lstrip("/").partition("/")
    scheme = _SENTINELS[parts.scheme]
    # redis-py reads the options and the user as it would for a single server
    given: dict[str, Any] = parse_url(  # type: ignore[no-untyped-call]
        f"{scheme}://{user}{'@' if user else ''}host/{database}?{parts.query}"
    )
    tls = given.pop("connection_class", None) is SSLConnection
    del given["host"]
    to_sentinels = {key: value for key, value in given.items() if key.startswith("ssl_")}
    for option in ("username", "password"):
        if f"sentinel_{option}" in given:
            to_sentinels[option] = given.pop(f"sentinel_{option}")
    addresses = [_address_of(place) for place in places.split(",")]
    if not name:
        raise ValueError("no name of a master")
    sentinel = Sentinel(addresses, sentinel_kwargs={**options, **to_sentinels, "ssl": tls})  # type: ignore[no-untyped-call]
    client: redis.Redis = sentinel.master_for(unquote(name), **{**options, **more, "ssl": tls, **given})  # type: ignore[no-untyped-call]
    return client


def _address_of(place: str) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or SENTINEL_PORT


def words_of(error: redis.RedisError | RedisClusterException) -> str:
    """Return what went wrong, without the address at which it did: health reports and problem documents repeat it."""
    if isinstance(error, redis.TimeoutError):
        return "no answer in time"
    away = isinstance(error, redis.ConnectionError | RedisClusterException)
    if not away or isinstance(error, redis.AuthenticationError):
        return str(error)  # the server's own words
    cause = error.__cause__ or error.__context__
    reason = cause.strerror if isinstance(cause, OSError) else None
    return f"no connection ({reason or type(error).__name__})"


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
