"""What the service knows and does, without HTTP: answers, statistics, health, provenance."""

import asyncio
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol

from entropy_assets.errors import PoolUnavailable, ProvenanceUnavailable
from entropy_assets.serving.formats import Answer, Format, Request, encode
from entropy_assets.serving.reservoir import Reservoir, ReservoirLimits
from entropy_assets.stores.pool import DEFAULT_PREFIX, Lease, PoolClient, PoolHealth

MAX_REQUEST_BYTES: Final = 65_536


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
        Address to listen on. There is no access control.
    max_request_bytes
        Longest answer, bytes.
    low_water_bytes
        Pool depth under which health is degraded, bytes.
    max_age_s
        Age of the newest push above which the pool is stale and health is degraded, seconds.
    allow_unsafe_pool
        Lease also from a server that persists or evicts.
    pool_timeout_s
        Longest wait for the pool's server, seconds; the filler thread waits, no request does.
    reservoir
        How much is leased ahead.
    """

    pool_url: str = field(repr=False)
    pool_prefix: str = DEFAULT_PREFIX
    host: str = "127.0.0.1"
    port: int = 8000
    max_request_bytes: int = MAX_REQUEST_BYTES
    low_water_bytes: int = 100_000
    max_age_s: float = 3600.0
    allow_unsafe_pool: bool = False
    pool_timeout_s: float = 2.0
    reservoir: ReservoirLimits = field(default_factory=ReservoirLimits)


class ProvenanceReader(Protocol):
    """Where a block comes from, as the ledger and the batch store know it."""

    def find(self, block_id: str) -> dict[str, Any] | None:
        """Return the provenance of a published block as JSON-able fields without its bytes, or None if it is unknown.

        Expected fields: ``block_id``, ``block_sha256``, ``link``, ``index``, ``batch``, ``images`` (each with
        ``image_sha256``, ``file``, ``credit_bits``), ``verdict``, ``run_id``, ``ledger_link``, ``published_at``.
        """
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
    """

    def __init__(
        self, config: ServiceConfig, pool: PoolClient | None = None, provenance: ProvenanceReader | None = None
    ) -> None:
        self.config = config
        self.pool = pool or PoolClient.from_url(
            config.pool_url, prefix=config.pool_prefix, timeout_s=config.pool_timeout_s
        )
        self.provenance = provenance
        self.reservoir = Reservoir(self._lease, config.reservoir)
        self.refused: Counter[str] = Counter()
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

    def _lease(self, max_blocks: int) -> Lease:
        self.check_server()
        try:
            return self.pool.lease(max_blocks)
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
        """Return the counts of this process and of the pool.

        ``leased_bytes`` = ``served_bytes.public`` + ``served_bytes.private`` + ``burned_bytes`` + ``buffered_bytes``.
        """
        health = await asyncio.to_thread(self.pool.health)
        accounts = self.reservoir.accounts
        return {
            "service": {
                "uptime_s": round(time.monotonic() - self._started, 3),
                "leased_blocks": accounts.leased_blocks,
                "leased_bytes": accounts.leased_bytes,
                "served_bytes": {"public": accounts.served_public_bytes, "private": accounts.served_private_bytes},
                "answers": {"public": accounts.public_answers, "private": accounts.private_answers},
                "burned_bytes": accounts.burned_bytes,
                "buffered_bytes": self.reservoir.buffered_bytes,
                "altered_blocks": accounts.altered_blocks,
                "refused": dict(self.refused),
            },
            "pool": None if health.stats is None else asdict(health.stats),
            "problems": list(health.reasons),
        }

    async def health(self) -> dict[str, Any]:
        """Return whether bytes can be had, how fresh the pool is, and every reason why not."""
        health = await asyncio.to_thread(self.pool.health)
        reasons = self._reasons(health)
        dead = not self.reservoir.buffered_bytes and not (health.stats and health.stats.bytes and health.ok)
        stats = health.stats
        return {
            "status": "failing" if dead or self._unsafe() else "degraded" if reasons else "ok",
            "reasons": reasons,
            "pool": {
                "reachable": stats is not None,
                "epoch_ok": bool(stats and stats.epoch_ok),
                "round_trip_ms": round(health.round_trip_s * 1000, 3),
                "ready_bytes": stats.bytes if stats else 0,
                "low_water_bytes": self.config.low_water_bytes,
                "since_last_push_s": stats.since_last_push_s if stats else None,
                "soonest_expiry_s": stats.soonest_expiry_s if stats else None,
            },
            "reservoir": {"buffered_bytes": self.reservoir.buffered_bytes},
        }

    def _unsafe(self) -> bool:
        problem = self.reservoir.problem
        return problem is not None and problem.code == "unsafe-pool-server"

    def _reasons(self, health: PoolHealth) -> list[dict[str, str]]:
        stats = health.stats
        found: list[tuple[str, str]] = []
        if stats is None:
            found.append(("pool-unavailable", "; ".join(health.reasons)))
        elif not stats.epoch_ok:
            found.append(("pool-epoch-changed", "; ".join(health.reasons)))
        else:
            found += self._depth_reasons(stats.bytes, stats.since_last_push_s)
        if self._unsafe() and self.reservoir.problem is not None:
            found.append((self.reservoir.problem.code, self.reservoir.problem.message))
        return [{"code": code, "detail": detail} for code, detail in found]

    def _depth_reasons(self, ready: int, since_push_s: float | None) -> list[tuple[str, str]]:
        found = []
        if ready == 0:
            found.append(("pool-empty", "no block is ready"))
        elif ready < self.config.low_water_bytes:
            found.append(("pool-low", f"{ready} bytes are ready, the low water mark is {self.config.low_water_bytes}"))
        if since_push_s is None:
            found.append(("pool-never-filled", "nothing was published to this server yet"))
        elif since_push_s > self.config.max_age_s:
            found.append(("pool-stale", f"the newest block was published {since_push_s:.0f} s ago"))
        return found

    async def find_block(self, block_id: str) -> dict[str, Any] | None:
        """Return the provenance of a block, None if nobody published it."""
        if self.provenance is None:
            raise ProvenanceUnavailable("this service was started without a ledger, so it knows no provenance")
        return await asyncio.to_thread(self.provenance.find, block_id)
