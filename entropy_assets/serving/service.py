"""What the service knows and does, without HTTP: answers, statistics, health, provenance."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from entropy_assets.errors import LedgerError, PoolError, PoolUnavailable, ProvenanceUnavailable, UnsafePoolServer
from entropy_assets.serving.access.accounts import Accounts
from entropy_assets.serving.access.allowances import Limits
from entropy_assets.serving.access.gate import Gate
from entropy_assets.serving.access.hosts import Hosts
from entropy_assets.serving.access.keys import KeyRing
from entropy_assets.serving.answers.formats import CLASSES, Answer, AnswerKind, Format, encode
from entropy_assets.serving.config import MAX_REQUEST_BYTES, ServiceConfig
from entropy_assets.serving.counts import Board
from entropy_assets.serving.health import FRESH_S, WAIT_S, Ages, Watch, health_document
from entropy_assets.serving.problems import PROBLEMS
from entropy_assets.serving.reservoir.filler import telling
from entropy_assets.serving.reservoir.reservoir import Reservoir, Reservoirs
from entropy_assets.serving.single_flight import Questions, SingleFlight
from entropy_assets.stores.api_keys import keys_of
from entropy_assets.stores.buckets import buckets_at
from entropy_assets.stores.lanes import LANES, Fate, Lane
from entropy_assets.stores.pool.blocks import SealedLease
from entropy_assets.stores.pool.shards import BETWEEN, AnyPool, pool_at

T = TypeVar("T")
SAFETY_S: Final = 10.0
"""How often the pool's server is asked again whether it keeps or drops data by itself, seconds."""
_LANE_BYTES: Final = ("leased", "served", "burned", "buffered", "lost")


LOOKUP_S: Final = 15.0
"""Longest wait for ledger and batches, seconds: a folder may lie on a mount that hangs."""
MOST_LOOKUPS: Final = 16
"""Looks at ledger and batches side by side; each takes a thread."""


class ProvenanceReader(Protocol):
    """Where a block comes from, as the ledger and the batch store know it."""

    def freshness(self) -> Ages:
        """Return how old the supply is. Never raises."""
        ...

    def tell(self, block_id: str, fate: Fate | None) -> Mapping[str, object] | None:
        """Return what everybody may know of a published block as JSON-able fields, never its bytes; None if unknown.

        `fate` is where the pool says that the block is, None if it does not answer. The service passes on whatever
        fields there are.
        """
        ...

    def thumbnail(self, block_id: str, image_sha256: str, fate: Fate | None) -> bytes | None:
        """Return a small picture of an image behind a block that revealed, as PNG; None if nobody may see one."""
        ...

    def recent(self, limit: int) -> Sequence[Mapping[str, object]]:
        """Return what became of the newest batches, newest first, as JSON-able fields, never bytes of blocks.

        The service passes on whatever fields there are.
        """
        ...


class RandomService:
    """One serving process: its reservoirs, its pool and its counts.

    Parameters
    ----------
    config
        Places and limits.
    pool
        The pool; by default the one at ``config.pool_url``.
    provenance
        Where block ids are looked up; without it `find_block` raises.
    board
        Where the workers of the service count; without it this process is the only one.
    gate
        Who may have what; by default as `config` says.

    Raises
    ------
    KeysUnreadable
        If `config` names API keys and they can't be read: a service that does not know its keys does not start.
    PoolAddressInvalid
        If an address is none.
    """

    def __init__(
        self,
        config: ServiceConfig,
        pool: AnyPool | None = None,
        provenance: ProvenanceReader | None = None,
        board: Board | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.config = config
        self.hosts = Hosts((config.host, *config.hosts))
        self.gate = gate or _gate_of(config)
        self.pool = pool or pool_at(config.pool_url, prefix=config.pool_prefix, timeout_s=config.pool_timeout_s)
        self.provenance = provenance
        self._lookups = Questions(LOOKUP_S, MOST_LOOKUPS)
        self.board = board or Board()
        self.counts = self.board.counts
        self.watch = Watch(self.pool, provenance.freshness if provenance else None)
        self.reservoirs = Reservoirs(public=self._reservoir("public"), private=self._reservoir("private"))
        self._safe_until = 0.0
        self._safety = SingleFlight(self._danger, WAIT_S)
        self._started = time.monotonic()

    def check_server(self) -> None:
        """Check that the pool's server is safe, unless it was `SAFETY_S` ago, and answered since.

        Anybody who may can give a server persistence or eviction while it runs.

        Raises
        ------
        UnsafePoolServer, PoolUnavailable
            As `PoolClient.check_server_safety`.
        """
        if time.monotonic() >= self._safe_until:
            self.pool.check_server_safety(allow_unsafe=self.config.allow_unsafe_pool)
            self._safe_until = time.monotonic() + SAFETY_S

    def _danger(self) -> tuple[str, str] | None:
        try:
            self.check_server()
        except UnsafePoolServer as error:
            return error.code, error.message
        except PoolError:  # told by what it says of the pool
            pass
        return None

    def _reservoir(self, lane: Lane) -> Reservoir:
        return Reservoir(
            lane,
            telling(partial(self._lease, lane)),
            self.config.reservoir,
            self.counts,
            partial(self.pool.count_altered, lane=lane),
            self.pool.close_blocks,
            self.config.open_s,
        )

    def _lease(self, lane: Lane, max_blocks: int) -> SealedLease:
        self.check_server()
        try:
            return self.pool.lease_sealed(max_blocks, lane=lane)
        except PoolUnavailable:
            self._safe_until = 0.0  # the server that answers next may be another one
            raise

    async def answer(self, n: int, kind: AnswerKind, chosen: Format) -> Answer:
        """Return the answer, after a bounded wait for its bytes.

        Raises
        ------
        PoolError
            If they do not come.
        """
        return encode(await self.reservoirs.of(public=kind.public).draw(n), kind, chosen)

    async def stats(self) -> dict[str, Any]:
        """Return the counts of all workers of this service, and of the pool.

        ``leased_bytes`` = ``served_bytes.public`` + ``served_bytes.private`` + ``burned_bytes`` + ``buffered_bytes`` +
        ``lost_bytes``, and so in each of the ``lanes``; the last is what workers held that were killed.
        """
        health, ages = await self.watch.look()
        totals = self.board.totals()
        plain = ("leased_blocks", "leased_bytes", "burned_bytes", "buffered_bytes", "lost_bytes", "altered_blocks")
        return {
            "service": {
                "uptime_s": round(time.monotonic() - self._started, 3),
                "workers": totals["workers"],
                **{name: totals[name] for name in plain},
                "served_bytes": {name: totals[f"served_{name}_bytes"] for name in CLASSES},
                "lanes": {
                    lane: {f"{what}_bytes": totals[f"{what}_{lane}_bytes"] for what in _LANE_BYTES} for lane in LANES
                },
                "answers": {name: totals[f"{name}_answers"] for name in CLASSES},
                "waited_answers": totals["waited_answers"],
                "refused": {code: totals[f"refused_{code}"] for code in PROBLEMS if totals[f"refused_{code}"]},
            },
            "pool": None if health.stats is None else asdict(health.stats),
            "problems": [*health.reasons, *(sentence for _, sentence in ages["doubts"])],
        }

    async def health(self) -> dict[str, Any]:
        """Return the document of ``/health``: whether bytes can be had, how fresh they are, and every doubt."""
        pool, ages = await self.watch.look(FRESH_S)
        danger = await self._safety.answer(FRESH_S)
        config = self.config
        return health_document(
            pool,
            ages,
            self.reservoirs,
            low_water_bytes=config.low_water_bytes,
            max_age_s=config.max_age_s,
            doubts=(*self.gate.reasons(), *([danger] if danger else ())),
        )

    async def find_block(self, block_id: str) -> Mapping[str, object] | None:
        """Return what everybody may know of a block, None if nobody published it."""
        return await self._look_up(lambda known: known.tell(block_id, self._fate_of(block_id)))

    async def find_thumbnail(self, block_id: str, image_sha256: str) -> bytes | None:
        """Return a small picture of an image behind a block as PNG, None if there is none or it did not reveal."""
        return await self._look_up(lambda known: known.thumbnail(block_id, image_sha256, self._fate_of(block_id)))

    async def _look_up(self, ask: Callable[[ProvenanceReader], T]) -> T:
        if self.provenance is None:
            raise ProvenanceUnavailable("this service was started without a ledger, so it knows no provenance")
        try:
            return await self._lookups.answer(partial(ask, self.provenance))
        except TimeoutError:
            raise LedgerError(f"the ledger and the batches gave no answer in {LOOKUP_S:g} s") from None

    def _fate_of(self, block_id: str) -> Fate | None:
        try:
            return self.pool.fate_of(block_id)
        except PoolError:  # then nothing reveals
            return None


def _gate_of(config: ServiceConfig) -> Gate:
    """Return the gate that `config` describes; the buckets are kept by the servers of the pool, under its prefix."""
    ring = None if config.keys is None else KeyRing(keys_of(config.keys, prefix=config.pool_prefix))
    if ring is not None:
        ring.load()
    # a burst holds the longest answer, and a piece of a stream
    limits = Limits(config.limit_requests, config.limit_bytes, max(config.max_request_bytes, MAX_REQUEST_BYTES))
    buckets = buckets_at(config.pool_url.split(BETWEEN), prefix=config.pool_prefix)
    return Gate(ring, config.anonymous_scopes, limits, Accounts(buckets))
