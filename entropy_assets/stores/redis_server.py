"""The way to a Redis or Valkey: its address, by TLS or sentinels if need be, and what its errors say in public.

Trusted for nothing: whoever keeps something on such a server says what it is trusted for.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from entropy_assets.errors import PoolAddressInvalid, brought_by

with brought_by("pool"):
    import redis
    from redis.backoff import NoBackoff
    from redis.connection import SSLConnection, parse_url
    from redis.exceptions import RedisClusterException
    from redis.maint_notifications import MaintNotificationsConfig
    from redis.retry import Retry
    from redis.sentinel import Sentinel

SENTINEL_PORT: Final = 26379
_SENTINELS: Final = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}


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
        scheme, _, rest = url.partition("://")
        if scheme.lower() in _SENTINELS:
            return _client_by_sentinel(_SENTINELS[scheme.lower()], rest, options, more)
        return redis.Redis.from_url(url, **options, **more)
    except ValueError:
        raise PoolAddressInvalid(
            "ENTROPY_REDIS_URL is not a valid address: give redis://, rediss://, unix:// or redis+sentinel://, and"
            " write what is special in a password as %XX (a slash is %2F)"
        ) from None


def _client_by_sentinel(scheme: str, rest: str, options: Mapping[str, Any], more: Mapping[str, Any]) -> "redis.Redis":
    # Several places are no one host: newer Pythons refuse to split such an address if one is in brackets.
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    parts = urlsplit(f"//host{rest.removeprefix(authority)}")
    user, _, places = authority.rpartition("@")
    name, _, database = parts.path.lstrip("/").partition("/")
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
