"""The pool: each block is in it once and leaves it once.

Trusted for keeping ready blocks for a while, and for letting each out once while its server process lives. It is
never trusted across a restart or a failover: a block is leased only on the server process that it was pushed to.
An attacker who can write to the server can offer bytes of their own under their own hash, which the public class of
answers would give out (the private class XORs them with the operating system's generator) and which an audit finds,
since the ledger has no such block; can empty the pool; and can put a served block back by rebuilding every key,
tombstones included. An attacker who can read it sees blocks before they are served: no block holds a secret.

Keys, all beginning with the prefix ``entropy``::

    entropy:block:{uuid}   STRING  JSON: data (base64), hash, quality, timestamp, source_images, ...; expires
    entropy:pool:ready     ZSET    "<id>:<length>", best quality band first, then soonest to expire
    entropy:pool:expiry    ZSET    "<id>:<length>" by the time it expires, ms
    entropy:pool:meta      HASH    counters since the epoch began, and the epoch: the server's run_id
    entropy:pool:tomb      ZSET    ids that were here once, by the time they may be forgotten, ms
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from entropy_assets.errors import BlockRefused, PoolEpochChanged, PoolExhausted, PoolUnavailable, UnsafePoolServer
from entropy_assets.stores import pool_scripts
from entropy_assets.stores.pool_block import (
    Lease,
    LeasedBlock,
    PoolBlock,
    PoolDepth,
    PoolHealth,
    PoolStats,
    PushResult,
    block_id_of,
    read_documents,
)
from entropy_assets.stores.pool_server import client_of, fatal_problems, storage_problems

__all__ = [
    "EntropyPool",
    "Lease",
    "LeasedBlock",
    "PoolBlock",
    "PoolClient",
    "PoolDepth",
    "PoolHealth",
    "PoolStats",
    "PushResult",
    "block_id_of",
]

DEFAULT_PREFIX: Final = "entropy"
DEFAULT_TTL_S: Final = 3600.0
PUSH_BLOCKS: Final = 64
"""Blocks per push call: what is lost when one reply does not come."""
PUSH_BYTES: Final = 2**20
_COUNTERS: Final = tuple(name for name in PoolStats.__dataclass_fields__ if name.endswith(("_blocks", "_bytes")))
LEASE_BLOCKS: Final = 1024  # at most, by one lease of `EntropyPool`
IDS_PER_CALL: Final = 1000
"""Expired or inherited ids that one call takes out, so that no call holds the server for long."""


class PoolClient:
    """The pool on one Redis or Valkey, synchronous and safe for threads.

    Nothing that pushes or leases is ever sent twice: retries are off, and a reply that does not come leaves the
    blocks of that call lost.

    Parameters
    ----------
    client
        A connected client, also one from a Sentinel. Its retries are switched off here.
    prefix
        First part of every key; give it a hash tag (``{entropy}``) on a cluster.
    ttl_s
        Life of a block, seconds. Tombstones last twice as long, and a day at least.
    """

    def __init__(self, client: "redis.Redis", *, prefix: str = DEFAULT_PREFIX, ttl_s: float = DEFAULT_TTL_S) -> None:
        client.set_retry(Retry(NoBackoff(), 0))  # redis-py 8 repeats a command up to 10 times unless told otherwise
        self._client = client
        self._ttl_ms = max(1, round(ttl_s * 1000))
        self._block_prefix = f"{prefix}:block:"
        self._keys = [f"{prefix}:pool:{name}" for name in ("ready", "expiry", "meta", "tomb")]
        self._common = (self._block_prefix, max(2 * self._ttl_ms, 86_400_000), IDS_PER_CALL)
        self._push = client.register_script(pool_scripts.PUSH)
        self._lease = client.register_script(pool_scripts.LEASE)
        self._survey = client.register_script(pool_scripts.SURVEY)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        ttl_s: float = DEFAULT_TTL_S,
        connect_timeout_s: float = 1.0,
        timeout_s: float = 2.0,
        max_connections: int = 16,
    ) -> Self:
        """Make a client for ``redis://``, ``rediss://`` or ``unix://``; connects on first use.

        `timeout_s` is the longest wait for one reply, seconds: when it passes, the blocks of that call are lost.

        Raises
        ------
        PoolAddressInvalid
            If `url` is no such address.
        """
        client = client_of(
            url, connect_timeout_s=connect_timeout_s, timeout_s=timeout_s, max_connections=max_connections
        )
        return cls(client, prefix=prefix, ttl_s=ttl_s)

    def push(self, blocks: Sequence[PoolBlock]) -> PushResult:
        """Push `blocks`, each once; return which entered.

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
        for chunk in _chunks(blocks):
            try:
                outcomes = self._push_chunk(chunk)
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
                    refused[block.block_id] = "present" if outcome == 0 else "consumed"
        return PushResult(tuple(pushed), refused)

    def lease(self, max_blocks: int, need_bytes: int = 0) -> Lease:
        """Take up to `max_blocks` out of the pool; with `need_bytes`, stop there, or take none if there are fewer.

        A block whose bytes do not match its hash is dropped and counted, never handed out.

        Raises
        ------
        PoolEpochChanged
            If the pool was filled on another server process, or no longer says on which; the next push drops what it
            held.
        PoolUnavailable
            If the server does not answer. Blocks of a lost reply are lost.
        """
        before = time.monotonic()
        status, *words = self._run(self._lease, args=(max_blocks, need_bytes))
        if status == b"EPOCH":
            run_id, epoch = (word.decode() for word in words)
            raise PoolEpochChanged(
                "the pool was filled on another server process, or lost its epoch; it serves again after the next push",
                run_id=run_id, epoch=epoch,
            )  # fmt: skip
        now_ms, blocks_left, bytes_left, *entries = words
        # the server read its clock after `before`, so a deadline counted from here is never too late
        spent = time.monotonic() - before
        blocks = read_documents(
            [(block_id.decode(), document) for block_id, document in zip(entries[::3], entries[2::3], strict=True)]
        )
        leased = [
            LeasedBlock(block, (float(expires_ms) - float(now_ms)) / 1000 - spent)
            for block, expires_ms in zip(blocks, entries[1::3], strict=True)
            if block is not None
        ]
        if altered := len(blocks) - len(leased):
            self._call(lambda: self._client.hincrby(self._keys[2], "altered_blocks", altered))
        return Lease(tuple(leased), PoolDepth(int(blocks_left), int(bytes_left)), altered)

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
        """
        status, now, run_id, blocks, tombstones, soonest, *meta = self._run(self._survey)
        fields = {name.decode(): value.decode() for name, value in zip(meta[::2], meta[1::2], strict=True)}
        now_ms = float(now)
        epoch_ok = status == b"OK"

        def age_s(field: str) -> float | None:
            return (now_ms - float(fields[field])) / 1000 if field in fields else None

        return PoolStats(
            blocks=int(blocks) if epoch_ok else 0,
            bytes=int(fields.get("bytes", 0)) if epoch_ok else 0,
            epoch=fields.get("epoch", ""),
            run_id=run_id.decode(),
            epoch_ok=epoch_ok,
            tombstones=int(tombstones),
            soonest_expiry_s=(float(soonest) - now_ms) / 1000 if soonest else None,
            epoch_age_s=age_s("since_ms"),
            since_last_push_s=age_s("last_push_ms"),
            since_last_lease_s=age_s("last_lease_ms"),
            **{name: int(fields.get(name, 0)) for name in _COUNTERS},
        )

    def health(self) -> PoolHealth:
        """Ask the pool whether it can serve; never raises a `PoolError`."""
        before = time.monotonic()
        try:
            stats = self.stats()
        except PoolUnavailable as error:
            return PoolHealth((error.message,), None, time.monotonic() - before)
        reasons = () if stats.epoch_ok else ("the pool was filled on another server process, or lost its epoch",)
        return PoolHealth(reasons, stats, time.monotonic() - before)

    def check_server_safety(self, *, allow_unsafe: bool = False) -> tuple[str, ...]:
        """Look at what the server does with its data; return what is unsafe about it.

        Raises
        ------
        UnsafePoolServer
            If anything is and `allow_unsafe` is false; always, if the server hides its ``run_id`` or is too old,
            since nothing would then stop a restart from serving a block twice.
        PoolUnavailable
            If it does not answer.
        """
        info: dict[str, Any] = self._call(self._client.info)
        fatal = fatal_problems(info)
        problems = (*fatal, *storage_problems(info, self._snapshots()))
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

    def _snapshots(self) -> str:
        """Return the server's ``save`` directive; empty if it hides it, and then the epoch alone fences snapshots."""
        try:
            return self._client.config_get("save").get("save") or ""
        except redis.ResponseError:
            return ""
        except redis.RedisError as error:
            raise _unavailable(error) from error

    def _push_chunk(self, chunk: Sequence[PoolBlock]) -> list[int]:
        words: list[Any] = [self._ttl_ms]
        for block in chunk:
            words += [block.block_id, len(block.data), band_of(block.quality), block.to_document()]
        keys = [self._block_prefix + block.block_id for block in chunk]
        return [int(outcome) for outcome in self._run(self._push, keys, words)[1:]]

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
            return command()
        except redis.RedisError as error:
            raise _unavailable(error) from error


class EntropyPool:
    """The pool for a program that awaits: add bytes, get bytes, each byte once.

    The calls run `PoolClient` in a thread. What is left of a block after a `get_entropy` stays in this object for the
    next call, until the block would have expired; it is gone with the object.

    Parameters
    ----------
    pool
        The pool to use.
    """

    def __init__(self, pool: PoolClient) -> None:
        self._pool = pool
        self._held: deque[tuple[memoryview, float]] = deque()
        self._turn = asyncio.Lock()

    async def add_entropy(self, entropy_bytes: bytes, quality_score: float) -> str:
        """Push `entropy_bytes` as one block and return its id.

        Such a block has no batch and no provenance; the caller answers for it. The pipeline publishes through the
        ledger instead.

        Raises
        ------
        BlockRefused
            If it is empty, if the score is not from 0 to 10, or if these bytes were in the pool before.
        PoolUnavailable
            If the pool does not answer. The bytes may be in it: make new ones.
        """
        if not entropy_bytes or not 0 <= quality_score <= 10:
            raise BlockRefused("a block needs bytes and a quality score from 0 to 10", quality=quality_score)
        sha256 = hashlib.sha256(entropy_bytes).hexdigest()
        block = PoolBlock(block_id_of(sha256), bytes(entropy_bytes), sha256, quality_score, time.time_ns() // 1000)
        result = await asyncio.to_thread(self._pool.push, [block])
        if result.refused:
            raise BlockRefused(f"block {block.block_id} was in the pool before", block_id=block.block_id)
        return block.block_id

    async def get_entropy(self, n_bytes: int = 256) -> bytes:
        """Return exactly `n_bytes` bytes that nobody else gets.

        Raises
        ------
        PoolExhausted
            If fewer are ready; ``data`` has ``requested`` and ``ready``.
        PoolEpochChanged, PoolUnavailable
            As `PoolClient.lease`.
        """
        if n_bytes < 1:
            raise ValueError("n_bytes must be at least 1")
        async with self._turn:
            while (missing := n_bytes - self._held_bytes()) > 0:
                before = time.monotonic()
                lease = await asyncio.to_thread(self._pool.lease, LEASE_BLOCKS, missing)
                if not lease.blocks and not lease.altered:
                    raise PoolExhausted(
                        f"{n_bytes} bytes were asked for, {n_bytes - missing + lease.left.bytes} are ready",
                        requested=n_bytes, ready=n_bytes - missing + lease.left.bytes,
                    )  # fmt: skip
                self._held.extend((memoryview(held.block.data), before + held.expires_in_s) for held in lease.blocks)
            return self._cut(n_bytes)

    async def get_stats(self) -> dict[str, Any]:
        """Return the fields of `PoolStats`."""
        return asdict(await asyncio.to_thread(self._pool.stats))

    def _held_bytes(self) -> int:
        now = time.monotonic()
        while self._held and self._held[0][1] <= now:
            self._held.popleft()
        return sum(len(data) for data, _ in self._held)

    def _cut(self, n_bytes: int) -> bytes:
        parts = []
        while n_bytes > 0:
            data, expires_at = self._held.popleft()
            parts.append(data[:n_bytes])
            if len(data) > n_bytes:
                self._held.appendleft((data[n_bytes:], expires_at))
            n_bytes -= len(parts[-1])
        return b"".join(parts)


def band_of(quality: float) -> int:
    """Return the band of a quality score: its whole part, 0 to 10."""
    return min(10, max(0, int(quality)))


def _chunks(blocks: Sequence[PoolBlock]) -> Iterator[list[PoolBlock]]:
    chunk: list[PoolBlock] = []
    size = 0
    for block in blocks:
        if chunk and (len(chunk) == PUSH_BLOCKS or size + len(block.data) > PUSH_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(block)
        size += len(block.data)
    if chunk:
        yield chunk


def _unavailable(error: redis.RedisError) -> PoolUnavailable | UnsafePoolServer:
    if "NORUNID" in str(error):
        return UnsafePoolServer("this server hides its run_id from scripts, so a restart could not be noticed")
    return PoolUnavailable(f"the pool's server did not do as asked: {error}", cause=type(error).__name__)
