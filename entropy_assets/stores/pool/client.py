"""The pool: each block is in it once and leaves it once. docs/never-twice.md argues this, and lists the keys.

Trusted for keeping ready blocks for a while, and for letting each out once while its server process lives; never
across a restart or a failover. An attacker who can write to the server can offer bytes of their own, which an audit
finds; can empty the pool; and can put a served block back by rebuilding every key, tombstones included. An attacker
who can read it sees blocks before they are served: no block holds a secret. Nothing here notices a virtual machine
that is set back or cloned while the server runs, run_id and all.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from entropy_assets.errors import PoolEpochChanged, PoolUnavailable, UnsafePoolServer
from entropy_assets.stores.lanes import DEFAULT_TTL_S, LANES, Fate, Lane
from entropy_assets.stores.pool import fitness, scripts
from entropy_assets.stores.pool.ageing import ServersClock, ageing_s
from entropy_assets.stores.pool.blocks import (
    Lease,
    PoolBlock,
    PoolDepth,
    PoolHealth,
    PoolStats,
    PushResult,
    SealedLease,
    band_of,
    chunks_of,
)
from entropy_assets.stores.pool.breaker import CircuitBreaker
from entropy_assets.stores.pool.surveys import health_of, stats_of
from entropy_assets.stores.redis_server import client_of, follows_cluster

DEFAULT_PREFIX: Final = "entropy"
PUSH_BLOCKS: Final = 64
"""Blocks per push call: what is lost when one reply does not come."""
PUSH_BYTES: Final = 2**20
_FATES: Final[dict[bytes, Literal["ready", "open", "gone", "unknown"]]] = {
    b"READY": "ready",
    b"OPEN": "open",
    b"GONE": "gone",
    b"UNKNOWN": "unknown",
}
_REFUSALS: Final = {0: "present", -1: "consumed", -2: "late"}
MAX_CALLS: Final = 16
"""Calls that are on their way at once, each with a connection of its own."""
IDS_PER_CALL: Final = 1000
"""Expired or inherited ids that one call takes out, so that no call holds the server for long."""


class PoolClient:
    """The pool on one Redis or Valkey, synchronous and safe for threads.

    Nothing that pushes or leases is ever sent twice: retries are off, and a reply that does not come leaves the
    blocks of that call lost. A server that does not answer is left alone for a while, see `breaker`; the call that
    tries it again asks for a sign of life first, so that a server that was only frozen does not wake up to a lease.

    Parameters
    ----------
    client
        A connected client, also one from a Sentinel. Its retries are switched off here.
    prefix
        First part of every key; give it a hash tag (``{entropy}``) on a cluster.
    ttl_s
        Life of a block, seconds. Tombstones last twice as long, and a day at least.
    max_calls
        Calls that may be on their way at once; more wait for `patience_s`, seconds, and are then refused.
    clock
        Seconds that only go forward, for the circuit breaker.
    """

    def __init__(
        self,
        client: "redis.Redis",
        *,
        prefix: str = DEFAULT_PREFIX,
        ttl_s: float = DEFAULT_TTL_S,
        max_calls: int = MAX_CALLS,
        patience_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        client.set_retry(Retry(NoBackoff(), 0))  # redis-py 8 repeats a command up to 10 times unless told otherwise
        self._client: Any = client
        self._breaker = CircuitBreaker(answers=(redis.ResponseError,), clock=clock)
        self._free_calls = threading.BoundedSemaphore(max_calls)
        self._patience_s = patience_s
        self._clock = ServersClock()
        self._ttl_ms = max(1, round(ttl_s * 1000))
        self._block_prefix = f"{prefix}:block:"
        names = (*(f"ready:{lane}" for lane in LANES), "expiry", "meta", "tomb", "open")
        self._keys = [f"{prefix}:pool:{name}" for name in names]
        self._meta = f"{prefix}:pool:meta"
        self._ledger_key = f"{prefix}:pool:ledger"
        self._common = (self._block_prefix, max(2 * self._ttl_ms, 86_400_000), IDS_PER_CALL)
        self._push = client.register_script(scripts.PUSH)
        self._lease = client.register_script(scripts.LEASE)
        self._survey = client.register_script(scripts.SURVEY)
        self._close = client.register_script(scripts.CLOSE)
        self._fate = client.register_script(scripts.FATE)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        ttl_s: float = DEFAULT_TTL_S,
        connect_timeout_s: float = 1.0,
        timeout_s: float = 2.0,
        max_connections: int = MAX_CALLS,
    ) -> Self:
        """Make a client for an address as `redis_server.client_of` describes it; connects on first use.

        `timeout_s` is the longest wait for one reply, seconds: when it passes, the blocks of that call are lost.

        Raises
        ------
        PoolAddressInvalid
            If `url` is no such address.
        """
        client = client_of(
            url,
            key=f"{prefix}:pool:meta",
            connect_timeout_s=connect_timeout_s,
            timeout_s=timeout_s,
            max_connections=max_connections,
        )
        return cls(client, prefix=prefix, ttl_s=ttl_s, max_calls=max_connections, patience_s=timeout_s)

    def takers(self, lane: Lane) -> list[tuple["PoolClient", int]]:
        """Return who may take blocks of `lane`, and its `expiry_ms`: this one; see `shards.ShardedPool`."""
        return [(self, self.expiry_ms())]

    def taker(self, lane: Lane) -> Self:
        """Return the pool that takes blocks of `lane` if it has room: this one."""
        return self

    @property
    def life_ms(self) -> int:
        """How long a block that is pushed lives, ms."""
        return self._ttl_ms

    def expiry_ms(self) -> int:
        """Return when a block that is pushed now expires, ms by the server's clock; raises what `stats` does."""
        return int(self._run(self._survey)[1]) + self._ttl_ms

    def push(self, blocks: Sequence[PoolBlock], *, latest_ms: int = 0) -> PushResult:
        """Push `blocks`, each once; return which entered.

        Parameters
        ----------
        blocks
            What to push.
        latest_ms
            When each expires at the latest, as `expiry_ms` said before; by default a whole life from now. A push can
            lie in a frozen server's buffer for long, and what was published by then must not outlive its life.

        Raises
        ------
        BlockRefused
            If bytes, hash and id of a block do not belong together; nothing was pushed.
        PoolUnavailable
            If a call failed. ``data`` says how many were pushed for sure, how many are uncertain and how many were
            not sent. Do not push any of them again: make new ones.
        """
        for block in blocks:
            block.verify()
        pushed: list[str] = []
        refused: dict[str, str] = {}
        sent = 0
        for chunk in chunks_of(blocks, PUSH_BLOCKS, PUSH_BYTES):
            try:
                outcomes = self._push_chunk(chunk, latest_ms)
            except PoolUnavailable as error:
                error.data |= {
                    "pushed": len(pushed), "uncertain": len(chunk), "unsent": len(blocks) - sent - len(chunk)
                }  # fmt: skip
                raise
            sent += len(chunk)
            for block, outcome in zip(chunk, outcomes, strict=True):
                if outcome == 1:
                    pushed.append(block.block_id)
                else:
                    refused[block.block_id] = _REFUSALS[outcome]
        return PushResult(tuple(pushed), refused)

    def lease(self, max_blocks: int, need_bytes: int = 0, *, lane: Lane = "private") -> Lease:
        """Take up to `max_blocks` out of a lane; with `need_bytes`, stop there, or take none if there are fewer.

        One lease gives `IDS_PER_CALL` blocks at most, however many are asked for. A block whose bytes do not match its
        hash is dropped and counted, never handed out.

        Raises
        ------
        PoolEpochChanged
            If the pool was filled on another server process, or no longer says on which; the next push drops what it
            held.
        PoolUnavailable
            If the server does not answer. Blocks of a lost reply are lost.
        UnsafePoolServer
            If it hides from scripts who it is.
        """
        lease = self.lease_sealed(max_blocks, need_bytes, lane=lane).opened()
        if lease.altered:
            self.count_altered(lease.altered, lane)
        return lease

    def lease_sealed(self, max_blocks: int, need_bytes: int = 0, *, lane: Lane = "private") -> SealedLease:
        """Take blocks as `lease` does, and leave it to the caller to read them and to `count_altered` ones.

        Raises
        ------
        PoolEpochChanged, PoolUnavailable, UnsafePoolServer
            As `lease`.
        """
        before = ageing_s()
        status, *values = self._run(self._lease, args=(lane, max_blocks, need_bytes))
        if status == b"EPOCH":
            run_id, epoch = (value.decode() for value in values)
            raise PoolEpochChanged(
                "the pool was filled on another server process, or lost its epoch; it serves again after the next push",
                run_id=run_id, epoch=epoch,
            )  # fmt: skip
        now_ms, blocks_left, bytes_left, *parts = values
        self._clock.saw(float(now_ms) / 1000, before)
        entries = tuple(zip(parts[::3], parts[1::3], parts[2::3], strict=True))
        left = PoolDepth(int(blocks_left), int(bytes_left))
        return SealedLease(entries, float(now_ms), ageing_s() - before, left, lane)

    def close_blocks(self, begun: Mapping[str, float], closed: Sequence[str]) -> None:
        """Tell of leased public blocks that they reveal soon, or at once.

        Parameters
        ----------
        begun
            By id, the seconds from now after which a block can't be served any more by its holder.
        closed
            Ids of blocks that can't be served any more.

        Raises
        ------
        PoolUnavailable
            If the server does not answer. What was not told reveals when it would have expired.
        """
        opened = [(block_id, math.ceil(left_s * 1000)) for block_id, left_s in begun.items()]
        for start in range(0, max(len(opened), len(closed)), IDS_PER_CALL):
            part, ids = opened[start : start + IDS_PER_CALL], closed[start : start + IDS_PER_CALL]
            self._run(self._close, args=(len(part), *(word for pair in part for word in pair), *ids))

    def fate_of(self, block_id: str) -> Fate:
        """Tell where a block is.

        Raises
        ------
        PoolUnavailable
            If the server does not answer.
        """
        before = ageing_s()
        status, now_ms, *left_ms = self._run(self._fate, args=(block_id,))
        now_s, left_s = float(now_ms) / 1000, float(left_ms[0]) / 1000 if left_ms else 0.0
        self._clock.saw(now_s, before)
        return Fate(
            state=_FATES[status], left_s=left_s, ahead_s=now_s - time.time(), stepped_s=self._clock.stepped_s
        )  # fmt: skip

    def count_altered(self, blocks: int, lane: Lane) -> None:
        """Count leased blocks whose bytes did not match their hash; what can't be counted now is not."""
        with suppress(PoolUnavailable):  # the blocks beside them are the caller's already
            self._call(lambda: self._client.hincrby(self._meta, f"{lane}_altered_blocks", blocks))

    def ledger_links(self) -> tuple[str, ...]:
        """Return the links of the ledger that the server was told of, hex: the newest, unless several ledgers told."""
        links: list[bytes] = self._call(lambda: self._client.zrange(self._ledger_key, 0, -1))
        return tuple(link.decode() for link in links)

    def keep_ledger_link(self, link: str, seq: int) -> None:
        """Tell the server that the publication `seq` of the ledger has this link; links of earlier ones go.

        The key lives as long as the server's process, whatever becomes of the epoch: a push begins `meta` anew.
        """
        earlier = self._call(lambda: self._client.zrangebyscore(self._ledger_key, "-inf", f"({seq}"))
        self._call(lambda: self._client.zadd(self._ledger_key, {link: seq}))
        if earlier:
            self._call(lambda: self._client.zrem(self._ledger_key, *earlier))

    def refuse_if_full(self, blocks: Sequence[PoolBlock]) -> None:
        """Take out what need not be in the server; raise `fitness.PoolFull` unless it has room for `blocks` then."""
        # A command's words count as used memory before it runs: one as large as the push sets who is not there.
        self._run(self._push, args=(self._ttl_ms, 0))
        parts = list(chunks_of(blocks, PUSH_BLOCKS, PUSH_BYTES))
        room = [word for member in fitness.room_of(parts) for word in (0, member)]
        self._call(lambda: self._client.execute_command("ZADD", self._ledger_key, "XX", *room))

    def depth(self) -> PoolDepth:
        """Return what is ready now; nothing is, while the epoch is another."""
        stats = self.stats()
        return PoolDepth(stats.blocks, stats.bytes)

    def stats(self) -> PoolStats:
        """Return the truth about the pool, in one round trip.

        Raises
        ------
        PoolUnavailable
            If the server does not answer.
        UnsafePoolServer
            If it hides from scripts who it is.
        """
        return stats_of(self._run(self._survey))

    def health(self) -> PoolHealth:
        """Ask the pool whether it can serve; never raises a `PoolError`."""
        return health_of(self.stats)

    def check_server_safety(self, *, allow_unsafe: bool = False) -> tuple[str, ...]:
        """Look at what the server does with its data; return what is unsafe about it.

        Raises
        ------
        UnsafePoolServer
            If anything is and `allow_unsafe` is false; always, if the server hides its ``run_id`` or ``master_replid``
            or is too old, since nothing would then stop a restart or a failover from serving a block twice.
        ClusterRefused
            As `fitness.refuse_wrong_address`.
        PoolUnavailable
            If it does not answer.
        """
        info: dict[str, Any] = self._call(self._client.info)
        if info.get("role") == "slave":
            # INFO is answered by whatever node a connection led to when it was made: another one may be master now.
            self._client.connection_pool.disconnect(inuse_connections=False)
            info = self._call(self._client.info)
        keys = [*self._keys, self._block_prefix]
        fitness.refuse_wrong_address(info, keys, names_cluster=follows_cluster(self._client))
        fatal = fitness.fatal_problems(info)
        problems = (*fatal, *fitness.storage_problems(info, self._snapshots()))
        if fatal or (problems and not allow_unsafe):
            raise UnsafePoolServer(
                f"this server is not safe for a pool: {'; '.join(problems)}. Use one without persistence and eviction, "
                "or allow it with ENTROPY_ALLOW_UNSAFE_POOL=true if only blocks may be lost by it",
                problems=list(problems),
            )
        return problems

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _snapshots(self) -> str | None:
        """Return the server's ``save`` directive, None if it hides it."""
        try:
            directive: str | None = self._call(lambda: self._client.config_get("save")).get("save") or ""
        except PoolUnavailable as error:
            if isinstance(error.__cause__, redis.ResponseError):
                return None
            raise
        return directive

    def _push_chunk(self, chunk: Sequence[PoolBlock], latest_ms: int) -> list[int]:
        arguments: list[Any] = [self._ttl_ms, latest_ms]
        for block in chunk:
            arguments += [block.block_id, len(block.data), block.lane, band_of(block.quality), block.to_document()]
        keys = [self._block_prefix + block.block_id for block in chunk]
        return [int(outcome) for outcome in self._run(self._push, keys, arguments)[1:]]

    def _run(self, script: Any, keys: Sequence[str] = (), args: Sequence[Any] = ()) -> list[Any]:
        """Run `script` until it has nothing more to take out. ``AGAIN`` means that it did nothing else.

        EVALSHA, and after NOSCRIPT once more with the script loaded: on NOSCRIPT nothing ran.
        """
        while True:
            reply: list[Any] = self._call(lambda: script(keys=[*self._keys, *keys], args=[*self._common, *args]))
            if reply[0] != b"AGAIN":
                return reply

    def _call(self, command: Callable[[], Any]) -> Any:
        try:
            with self._limited(), self._breaker.call() as trying:
                if trying:
                    self._client.ping()
                return command()
        except redis.RedisError as error:
            raise fitness.refusal_of(error) from error

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Stand around one call, while fewer than `max_calls` are on their way."""
        if not self._free_calls.acquire(timeout=self._patience_s):
            raise PoolUnavailable("too many calls to the pool's server are on their way", retry_after_s=1)
        try:
            yield
        finally:
            self._free_calls.release()
