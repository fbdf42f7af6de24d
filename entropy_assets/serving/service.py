"""What the service knows and does, without HTTP: answers, statistics, health, provenance."""

import asyncio
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol

from entropy_assets.errors import PoolUnavailable, ProvenanceUnavailable
from entropy_assets.scopes import SCOPES, Scope
from entropy_assets.serving.account import Limits
from entropy_assets.serving.counts import Board
from entropy_assets.serving.formats import CLASSES, Answer, Format, Request, encode
from entropy_assets.serving.gate import Gate
from entropy_assets.serving.health import Watch, health_document
from entropy_assets.serving.logs import telling
from entropy_assets.serving.problems import PROBLEMS
from entropy_assets.serving.reservoir import Reservoir, ReservoirLimits
from entropy_assets.stores.pool.blocks import SealedLease
from entropy_assets.stores.pool.client import DEFAULT_PREFIX, PoolClient

MAX_REQUEST_BYTES: Final = 65_536
FIND_BLOCK: Final = "find_block"
"""What the description calls the operation that gives a block's provenance."""


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
class ServiceConfig:
    """Places and limits of one service.

    Attributes
    ----------
    pool_url
        The pool's server, ``redis://``, ``rediss://`` or ``unix://``. Secret: it may hold a password.
    pool_prefix
        First part of the pool's keys.
    host, port
        Address to listen on.
    max_request_bytes
        Longest answer, bytes.
    low_water_bytes
        Pool depth under which health is degraded, bytes.
    max_age_s
        Age of the newest push, and of the newest accepted image, above which health is degraded, seconds.
    allow_unsafe_pool
        Lease also from a server that persists or evicts.
    access_log
        Log method, route and status of each request that is not answered from memory.
    pool_timeout_s
        Longest wait for the pool's server, seconds; the filler thread waits, no request does.
    reservoir
        How much is leased ahead.
    workers
        Processes that serve side by side, each with a reservoir of its own.
    streams
        Limits of streams and downloads.
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
    max_request_bytes: int = MAX_REQUEST_BYTES
    low_water_bytes: int = 100_000
    max_age_s: float = 3600.0
    allow_unsafe_pool: bool = False
    access_log: bool = False
    pool_timeout_s: float = 2.0
    reservoir: ReservoirLimits = field(default_factory=ReservoirLimits)
    workers: int = 1
    streams: StreamLimits = field(default_factory=StreamLimits)
    fast_lane: bool = True
    dagster_url: str | None = None
    keys: str | None = field(default=None, repr=False)
    anonymous_scopes: tuple[Scope, ...] = SCOPES
    limit_requests: float | None = None
    limit_bytes: int | None = None


class ProvenanceReader(Protocol):
    """Where a block comes from, as the ledger and the batch store know it."""

    def freshness(self) -> dict[str, Any]:
        """Return ``image_age_s``, ``block_age_s`` and ``health_test_failure_age_s``, each None if there is no such age.

        Further ``rejected_images``, a dict by reason or None, and ``problem``, a sentence or None. Never raises.
        """
        ...

    def find(self, block_id: str) -> dict[str, Any] | None:
        """Return the provenance of a published block as JSON-able fields without its bytes, or None if it is unknown.

        Expected fields: ``block_id``, ``block_sha256``, ``link``, ``index``, ``batch``, ``images`` (each with
        ``image_sha256``, ``file``, ``credit_bits``), ``verdict``, ``run_id``, ``ledger_link``, ``published_at``.
        """
        ...

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Return what became of the newest batches, newest first, as JSON-able fields without bytes of blocks."""
        ...


class RandomService:
    """One serving process: its reservoir, its pool and its counts.

    Parameters
    ----------
    config
        Places and limits.
    pool
        The pool; by default the one at ``config.pool_url``.
    provenance
        Where block ids are looked up; without it `provenance` finds nothing out.
    board
        Where the workers of the service count; without it this process is the only one.
    gate
        Who may have what; by default as `config` says.

    Raises
    ------
    KeysUnreadable
        If `config` names API keys and they can't be read.
    """

    def __init__(
        self,
        config: ServiceConfig,
        pool: PoolClient | None = None,
        provenance: ProvenanceReader | None = None,
        board: Board | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.config = config
        self.gate = gate or _gate_of(config)
        self.pool = pool or PoolClient.from_url(
            config.pool_url, prefix=config.pool_prefix, timeout_s=config.pool_timeout_s
        )
        self.provenance = provenance
        self.board = board or Board()
        self.counts = self.board.counts
        self.watch = Watch(self.pool, provenance.freshness if provenance else None)
        self.reservoir = Reservoir(telling(self._lease), config.reservoir, self.counts, self.pool.count_altered)
        self._server_is_safe = False
        self._started = time.monotonic()

    def check_server(self) -> None:
        """Check that the pool's server is safe, unless it was since it last failed.

        Raises
        ------
        UnsafePoolServer, PoolUnavailable
            As `PoolClient.check_server_safety`.
        """
        if not self._server_is_safe:
            self.pool.check_server_safety(allow_unsafe=self.config.allow_unsafe_pool)
            self._server_is_safe = True

    def _lease(self, max_blocks: int) -> SealedLease:
        self.check_server()
        try:
            return self.pool.lease_sealed(max_blocks)
        except PoolUnavailable:
            self._server_is_safe = False  # the server that answers next may be another one
            raise

    def answer_at_once(self, n: int, request: Request, chosen: Format) -> Answer | None:
        """Return the answer if its bytes are in memory, else None and nothing is consumed."""
        draw = self.reservoir.take(n, public=request.public)
        return None if draw is None else encode(draw, request, chosen)

    async def answer(self, n: int, request: Request, chosen: Format) -> Answer:
        """Return the answer, after a bounded wait for its bytes.

        Raises
        ------
        PoolError
            If they do not come.
        """
        return encode(await self.reservoir.draw(n, public=request.public), request, chosen)

    async def stats(self) -> dict[str, Any]:
        """Return the counts of all workers of this service, and of the pool.

        ``leased_bytes`` = ``served_bytes.public`` + ``served_bytes.private`` + ``burned_bytes`` + ``buffered_bytes`` +
        ``lost_bytes``; the last is what workers held that were killed.
        """
        health = await self.watch.pool_health()
        totals = self.board.totals()
        same = ("leased_blocks", "leased_bytes", "burned_bytes", "buffered_bytes", "lost_bytes", "altered_blocks")
        return {
            "service": {
                "uptime_s": round(time.monotonic() - self._started, 3),
                "workers": totals["workers"],
                **{name: totals[name] for name in same},
                "served_bytes": {name: totals[f"served_{name}_bytes"] for name in CLASSES},
                "answers": {name: totals[f"{name}_answers"] for name in CLASSES},
                "waited_answers": totals["waited_answers"],
                "refused": {code: totals[f"refused_{code}"] for code in PROBLEMS if totals[f"refused_{code}"]},
            },
            "pool": None if health.stats is None else asdict(health.stats),
            "problems": list(health.reasons),
        }

    async def health(self) -> dict[str, Any]:
        """Return whether bytes can be had, how fresh they are, and every reason why not."""
        pool, ages = await self.watch.look()
        config = self.config
        return health_document(
            pool,
            ages,
            self.reservoir,
            low_water_bytes=config.low_water_bytes,
            max_age_s=config.max_age_s,
            doubts=self.gate.reasons(),
        )

    async def find_block(self, block_id: str) -> dict[str, Any] | None:
        """Return the provenance of a block, None if nobody published it."""
        if self.provenance is None:
            raise ProvenanceUnavailable("this service was started without a ledger, so it knows no provenance")
        return await asyncio.to_thread(self.provenance.find, block_id)


def _gate_of(config: ServiceConfig) -> Gate:
    return Gate.of(
        keys=config.keys,
        anonymous=config.anonymous_scopes,
        # a burst holds the longest answer, and a piece of a stream
        limits=Limits(config.limit_requests, config.limit_bytes, max(config.max_request_bytes, MAX_REQUEST_BYTES)),
        pool_url=config.pool_url,
        prefix=config.pool_prefix,
    )
