"""Places and limits of one service."""

from dataclasses import dataclass, field
from typing import Final

from entropy_assets.scopes import SCOPES, Scope
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.reservoir.reservoir import OPEN_S
from entropy_assets.stores.pool.client import DEFAULT_PREFIX

MAX_REQUEST_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """Limits of streams and downloads, of one worker.

    Attributes
    ----------
    most
        How many run side by side.
    max_download_bytes
        Longest download.
    patience_s
        How long one waits for its next piece of a dry pool, seconds.
    idle_s
        How long one may do nothing, for want of credit or because its client does not read, seconds.
    """

    most: int = 256
    max_download_bytes: int = 2**30
    patience_s: float = 5.0
    idle_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of one connection; what is longer, slower or silent for longer is ended, up to two looks later.

    Attributes
    ----------
    most_request_bytes
        What may come of a request, headers and body, after the read in which it begins, while it is not whole: a
        browser's cookies for this host may be long, a draw is short.
    request_s
        Longest time that a client needs to bring a whole request, from its first byte, and until that one comes,
        seconds.
    idle_s
        Longest time between two requests, seconds.
    write_s
        How long a client may leave unread what is written, seconds: then all of it was taken, or 48 KiB.
    closing_s
        How long it may take the rest of what was sent when the connection is to be closed, seconds.
    """

    most_request_bytes: int = 2**17
    request_s: float = 15.0
    idle_s: float = 5.0
    write_s: float = 60.0
    closing_s: float = 15.0

    @property
    def look_s(self) -> float:
        """Time from one look at a connection to the next, seconds."""
        return min(self.request_s, self.idle_s, self.write_s, self.closing_s) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """Places and limits of one service.

    Attributes
    ----------
    pool_url
        The pool's server, or several as `pool_at` reads them. Secret: it may hold a password.
    pool_prefix
        First part of the pool's keys.
    host, port
        Address to listen on.
    hosts
        Names that the service goes by, beside `host`, ``localhost`` and addresses in digits.
    max_request_bytes
        Longest answer, bytes.
    low_water_bytes
        Pool depth under which health is degraded, bytes; 0 for none.
    max_age_s
        Age of the newest push, and of the newest accepted image, above which health is degraded, seconds.
    allow_unsafe_pool
        Lease also from a server that persists or evicts.
    access_log
        Log method, route and status of each request that is not answered from memory.
    pool_timeout_s
        Longest wait for the pool's server, seconds; the filler thread waits, no request does.
    reservoir
        How much is leased ahead, in each lane.
    open_s
        How long a public block that was begun is given out, seconds; then it is closed and reveals.
    workers
        Processes that serve side by side, each with a reservoir of its own.
    streams
        Limits of streams and downloads.
    connections
        Limits of each connection.
    fast_lane
        Answer from memory inside the HTTP protocol, if it fits the uvicorn that is installed.
    dagster_url
        Where people reach the Dagster UI, for links from the page; None for no links.
    keys
        Where the API keys are: the path of a file, or an address as `pool_url`; None for no keys. Secret too.
    anonymous_scopes
        What may be had without a key.
    limit_requests, limit_bytes
        Limits of each key that has none of its own, and of each address without a key, requests and bytes a second.
    """

    pool_url: str = field(repr=False)
    pool_prefix: str = DEFAULT_PREFIX
    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()
    max_request_bytes: int = MAX_REQUEST_BYTES
    low_water_bytes: int = 0
    max_age_s: float = 3600.0
    allow_unsafe_pool: bool = False
    access_log: bool = False
    pool_timeout_s: float = 2.0
    reservoir: ReservoirLimits = field(default_factory=ReservoirLimits)
    open_s: float = OPEN_S
    workers: int = 1
    streams: StreamLimits = field(default_factory=StreamLimits)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    fast_lane: bool = True
    dagster_url: str | None = None
    keys: str | None = field(default=None, repr=False)
    anonymous_scopes: tuple[Scope, ...] = SCOPES
    limit_requests: float | None = None
    limit_bytes: int | None = None
