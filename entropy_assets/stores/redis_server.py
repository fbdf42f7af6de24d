"""The way to a Redis or Valkey: its address, by TLS, sentinels or a cluster, and what its errors say in public.

Trusted for nothing: whoever keeps something on such a server says what it is trusted for.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from entropy_assets.errors import PoolAddressInvalid, brought_by

with brought_by("pool"):
    import redis
    from redis.backoff import NoBackoff
    from redis.connection import Connection, SSLConnection, parse_url
    from redis.crc import key_slot
    from redis.exceptions import AskError, MovedError
    from redis.maint_notifications import MaintNotificationsConfig
    from redis.retry import Retry
    from redis.sentinel import Sentinel

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
_SENTINELS: Final = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_CLUSTERS: Final = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
_Node = tuple[str, int]


def client_of(
    url: str,
    *,
    key: str,
    connect_timeout_s: float,
    timeout_s: float,
    max_connections: int,
    named: str = "ENTROPY_REDIS_URL",
) -> "redis.Redis":
    """Return a client of the server at `url` that never sends a command twice; it connects on first use.

    Parameters
    ----------
    url
        ``redis://user:password@host:port/0``, ``rediss://`` for TLS, ``unix://user:password@/path``, with the options
        of redis-py behind a ``?``, such as ``ssl_ca_certs``, ``ssl_certfile`` and ``ssl_keyfile``. Or
        ``redis+sentinel://user:password@host:port,host:port/name?sentinel_username=u&sentinel_password=p``: the master
        called ``name``, as the sentinels know it at each new connection; ``rediss+sentinel://`` for TLS to all.
        Or ``redis+cluster://user:password@host:port,host:port``, ``rediss+cluster://`` for TLS: some nodes of a
        cluster, of which any that answers will do. The node that owns the slot of `key` is the server, as the nodes
        know it at each new connection.
    key
        A key of the caller, whose other keys are all in its slot.
    named
        The variable that gives `url`, for the error.

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
        if scheme.lower() in _CLUSTERS:
            return _client_by_cluster(_CLUSTERS[scheme.lower()], rest, key, {**options, **more})
        return redis.Redis.from_url(url, **options, **more)
    except ValueError:
        raise PoolAddressInvalid(
            f"{named} is not a valid address: give redis://, rediss://, unix://, redis+sentinel:// or"
            " redis+cluster://, and write what is special in a password as %XX (a slash is %2F)"
        ) from None


class _Address(NamedTuple):
    """The parts of an address with several places, and the options of redis-py that it gives."""

    places: list[str]
    path: str
    tls: bool
    given: dict[str, Any]


def _address_of(scheme: str, rest: str) -> _Address:
    # Several places are no one host: newer Pythons refuse to split such an address if one is in brackets.
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    parts = urlsplit(f"//host{rest.removeprefix(authority)}")
    user, _, places = authority.rpartition("@")
    # redis-py reads the options and the user as it would for a single server
    given: dict[str, Any] = parse_url(  # type: ignore[no-untyped-call]
        f"{scheme}://{user}{'@' if user else ''}host?{parts.query}"
    )
    tls = given.pop("connection_class", None) is SSLConnection
    del given["host"]
    return _Address(places.split(","), parts.path.lstrip("/"), tls, given)


def _client_by_sentinel(scheme: str, rest: str, options: Mapping[str, Any], more: Mapping[str, Any]) -> "redis.Redis":
    places, path, tls, given = _address_of(scheme, rest)
    name, _, database = path.partition("/")
    if not name:
        raise ValueError("no name of a master")
    if database:
        given["db"] = int(database)
    to_sentinels = {key: value for key, value in given.items() if key.startswith("ssl_")}
    for option in ("username", "password"):
        if f"sentinel_{option}" in given:
            to_sentinels[option] = given.pop(f"sentinel_{option}")
    addresses = [_node_of(place, SENTINEL_PORT) for place in places]
    sentinel = Sentinel(addresses, sentinel_kwargs={**options, **to_sentinels, "ssl": tls})  # type: ignore[no-untyped-call]
    client: redis.Redis = sentinel.master_for(unquote(name), **{**options, **more, "ssl": tls, **given})  # type: ignore[no-untyped-call]
    return client


def _client_by_cluster(scheme: str, rest: str, key: str, options: Mapping[str, Any]) -> "redis.Redis":
    places, path, tls, given = _address_of(scheme, rest)
    if path not in ("", "0") or given.pop("db", 0) != 0:
        raise ValueError("a cluster has one database")
    asking = {**options, **given}
    for option in ("max_connections", "maint_notifications_config"):  # of the client, not of one connection
        asking.pop(option, None)
    nodes = [_node_of(place, PORT) for place in places]
    owner = _Owner(key, nodes, SSLConnection if tls else Connection, asking)
    return redis.Redis(
        connection_pool=redis.ConnectionPool(
            connection_class=_OwnedSSLConnection if tls else _OwnedConnection, owner=owner, **{**options, **given}
        )
    )


def _node_of(place: str, port: int) -> _Node:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or port


class _Owner:
    """Which node of a cluster owns the slot of a key: asked of the nodes, first of the one that knew it last.

    Parameters
    ----------
    key
        The key.
    nodes
        Some nodes; the others are learned from them, so that one of these may be gone for good later.
    kind, options
        How a node is connected to that is asked.
    """

    def __init__(self, key: str, nodes: list[_Node], kind: type[Connection], options: Mapping[str, Any]) -> None:
        self._slot = key_slot(key.encode())
        self._given = tuple(nodes)
        self._known: tuple[_Node, ...] = ()
        self._kind = kind
        self._options = options

    def node(self) -> _Node:
        """Return the owner.

        Raises
        ------
        redis.RedisError
            If no node says which it is.
        """
        problem: redis.RedisError = redis.ConnectionError("no node of the cluster says who owns the slot")
        for asked in dict.fromkeys((*self._known, *self._given)):
            try:
                shares = self._shares_known_to(asked)
            except redis.RedisError as error:
                problem = error
                continue
            owner = next((nodes[0] for first, last, nodes in shares if first <= self._slot <= last), None)
            if owner is not None:
                self._known = (asked, *(node for _, _, nodes in shares for node in nodes if node != asked))
                return owner
        raise problem

    def doubt(self) -> None:
        """Ask another node next time: the one that was asked last named an owner that is none, or none that answers."""
        self._known = (*self._known[1:], *self._known[:1])

    def _shares_known_to(self, asked: _Node) -> list[tuple[int, int, list[_Node]]]:
        """Return first slot, last slot, and the nodes of each share of the slots, its owner first."""
        host, port = asked
        connection = self._kind(host=host, port=port, **self._options)
        try:
            connection.connect()  # type: ignore[no-untyped-call]
            connection.send_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
            reply = connection.read_response()
        finally:
            connection.disconnect()  # type: ignore[no-untyped-call]
        # a node that does not know its own name gives none, and means the one by which it was asked
        return [
            (first, last, [((name or b"").decode() or host, int(port)) for name, port, *_ in nodes])
            for first, last, *nodes in reply
        ]


class _OwnedConnection(Connection):
    """A connection to the node that owns a slot when the connection is made; it ends when that node owns it no more."""

    def __init__(self, *, owner: _Owner, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._owner = owner

    def connect(self) -> None:
        if self.is_connected:
            return
        self.host, self.port = self._owner.node()
        try:
            super().connect()  # type: ignore[no-untyped-call]
        except redis.RedisError:
            self._owner.doubt()
            raise

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except MovedError as error:  # nothing ran
            self.disconnect()  # type: ignore[no-untyped-call]
            self._owner.doubt()
            raise redis.ConnectionError("the slot has moved to another node") from error


class _OwnedSSLConnection(_OwnedConnection, SSLConnection):
    """The same by TLS."""


def follows_cluster(client: "redis.Redis") -> bool:
    """Tell whether `client` was made of the address of a cluster."""
    return issubclass(client.connection_pool.connection_class, _OwnedConnection)


def words_of(error: redis.RedisError) -> str:
    """Return what went wrong, without the address at which it did: health reports and problem documents repeat it."""
    if isinstance(error, redis.TimeoutError):
        return "no answer in time"
    if isinstance(error, MovedError):  # its own words name the other node
        return "it is another node of a cluster; name the cluster by redis+cluster://"
    if isinstance(error, AskError):
        return "its slot of the cluster is being moved to another node"
    if not isinstance(error, redis.ConnectionError) or isinstance(error, redis.AuthenticationError):
        return str(error)  # the server's own words
    cause = error.__cause__ or error.__context__
    reason = cause.strerror if isinstance(cause, OSError) else None
    return f"no connection ({reason or type(error).__name__})"
