"""Several pools as one: independent servers, called shards, each with blocks, tombstones and an epoch of its own.

Trusted for nothing beyond each of its `PoolClient`s. A block is in one shard only because it is offered to one only:
who publishes takes a shard before he begins (`ShardedPool.takers`) and pushes to that one, once, whatever comes of it.
Nothing is ever told to another shard instead, and none knows of the others. So which shards there are matters to who
looks for blocks alone: addresses may be added, removed and reordered while blocks are in any of them.

A shard that does not answer, or is not fit to hold a pool, is left out until it is found well again; a thread looks for
that, so nobody waits for it. A place in the list is a name for people; whether two shards are one server is told by the
server's own process.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from entropy_assets.errors import PoolAddressInvalid, PoolEpochChanged, PoolError, PoolUnavailable, UnsafePoolServer
from entropy_assets.stores.lanes import DEFAULT_TTL_S, LANES, Fate, Lane
from entropy_assets.stores.pool.blocks import (
    Lease,
    PoolBlock,
    PoolDepth,
    PoolHealth,
    PoolStats,
    SealedLease,
    ShardState,
)
from entropy_assets.stores.pool.client import DEFAULT_PREFIX, PoolClient
from entropy_assets.stores.pool.fitness import PoolFull
from entropy_assets.stores.pool.surveys import health_of, sum_of

LOOK_S: Final = 0.5
"""How often a shard that is left out is looked at again, seconds; its circuit breaker may say less often."""
BETWEEN: Final = "\n"
"""Stands between the addresses of several pools, of which none can hold it."""
_NOTHING: Final = PoolDepth(0, 0)
_T = TypeVar("_T")


@dataclass(eq=False, slots=True)
class _Shard:
    """One of the pools, why it is left out if it is, which server it was last found on, and what each lane had left."""

    place: int
    client: PoolClient
    problem: PoolError | None = None
    server: str = ""
    left: dict[Lane, PoolDepth] = field(default_factory=lambda: dict.fromkeys(LANES, _NOTHING))


class ShardedPool:
    """Several pools as one, in the words of `PoolClient`; blocks are pushed to one of the `takers`. Safe for threads.

    Every call goes on with the shards that are well, and raises only if none is.

    Parameters
    ----------
    clients
        The pools, in the order of their addresses. Two of one server would be counted twice; `check_server_safety`
        leaves out the second.
    """

    def __init__(self, clients: Sequence[PoolClient]) -> None:
        self._shards = [_Shard(place, client) for place, client in enumerate(clients, start=1)]
        self._turns: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self._gave_last: dict[Lane, _Shard] = dict.fromkeys(LANES, self._shards[0])
        self._allow_unsafe: bool | None = None
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None
        self._closed = threading.Event()

    # --- what is pushed ----------------------------------------------------------------------------------------

    def takers(self, lane: Lane) -> list[tuple[PoolClient, int]]:
        """Return the shards that are well, the one that has the least ready in a lane first, with their `expiry_ms`.

        Who publishes pushes to the first that has room, and to no other afterwards. No shard knows what another one
        had: who may offer a block twice must remember it.

        Raises
        ------
        PoolUnavailable, UnsafePoolServer
            If no shard is well.
        """
        expiry_ms, said = self._asked(PoolClient.expiry_ms), self._asked(PoolClient.stats)
        # of two that are empty first one that serves nothing before the next push
        order = sorted(
            said.keys() & expiry_ms, key=lambda each: (said[each].lanes[lane].bytes, said[each].epoch_ok, each.place)
        )
        if not order:
            raise self._refusal()
        return [(shard.client, expiry_ms[shard]) for shard in order]

    def taker(self, lane: Lane) -> PoolClient:
        """Return the first of the `takers`, whether or not it has room."""
        return self.takers(lane)[0][0]

    # --- what is leased ----------------------------------------------------------------------------------------

    def lease(self, max_blocks: int, need_bytes: int = 0, *, lane: Lane = "private") -> Lease:
        """Take up to `max_blocks` out of a lane, as `lease_sealed`, and read them."""
        lease = self.lease_sealed(max_blocks, need_bytes, lane=lane).opened()
        if lease.altered:
            self.count_altered(lease.altered, lane)
        return lease

    def lease_sealed(self, max_blocks: int, need_bytes: int = 0, *, lane: Lane = "private") -> SealedLease:
        """Take blocks out of the next shard that has any, each in its turn; ``left`` is what all of them have.

        With `need_bytes` out of one that has so many. If none has, and all together do, the fullest gives what it has:
        ask again for the rest.

        Raises
        ------
        PoolEpochChanged, PoolUnavailable, UnsafePoolServer
            If no shard may be leased from.
        """
        changed: PoolEpochChanged | None = None
        short: dict[_Shard, SealedLease] = {}
        for shard in self._in_turn(lane):
            try:
                leased = self._lease_of(shard, max_blocks, need_bytes, lane)
            except PoolEpochChanged as problem:
                changed = problem
                continue
            if leased is not None and leased.entries:
                return replace(leased, left=self._left(lane))
            if leased is not None:
                short[shard] = leased
        if not short:
            raise changed or self._refusal()
        if need_bytes and self._left(lane).bytes >= need_bytes:
            fullest = max(short, key=lambda shard: shard.left[lane].bytes)
            short[fullest] = self._lease_of(fullest, max_blocks, 0, lane) or short[fullest]
            return replace(short[fullest], left=self._left(lane))
        return replace(next(iter(short.values())), left=self._left(lane))

    def _lease_of(self, shard: _Shard, max_blocks: int, need_bytes: int, lane: Lane) -> SealedLease | None:
        """Return what one shard gives; None if it has to be left out."""
        shard.left[lane] = _NOTHING
        try:
            leased = shard.client.lease_sealed(max_blocks, need_bytes, lane=lane)
        except (PoolUnavailable, UnsafePoolServer) as problem:
            self._leave_out(shard, problem)
            return None
        shard.left[lane] = leased.left
        if leased.entries:
            self._gave_last[lane] = shard
        return leased

    def _in_turn(self, lane: Lane) -> list[_Shard]:
        turn = self._turns[lane] = (self._turns[lane] + 1) % len(self._shards)
        return [shard for shard in (*self._shards[turn:], *self._shards[:turn]) if shard.problem is None]

    def _left(self, lane: Lane) -> PoolDepth:
        left = [shard.left[lane] for shard in self._shards if shard.problem is None]
        return PoolDepth(sum(each.blocks for each in left), sum(each.bytes for each in left))

    def close_blocks(self, begun: Mapping[str, float], closed: Sequence[str]) -> None:
        """Tell every shard of leased public blocks, as `PoolClient.close_blocks`; each knows its own."""
        self._asked(lambda client: client.close_blocks(begun, closed))

    def count_altered(self, blocks: int, lane: Lane) -> None:
        """Count leased blocks whose bytes did not match their hash, at the shard that last gave some of this lane."""
        self._gave_last[lane].client.count_altered(blocks, lane)

    # --- what is known -----------------------------------------------------------------------------------------

    def fate_of(self, block_id: str) -> Fate:
        """Tell where a block is.

        Raises
        ------
        PoolUnavailable
            If no shard that answers knows it and one does not answer, which may have it.
        """
        fates = self._asked(lambda client: client.fate_of(block_id)).values()
        known = [fate for fate in fates if fate.state != "unknown"]
        if known:
            return max(known, key=lambda fate: fate.left_s)
        if len(fates) < len(self._shards):
            raise self._refusal()
        ahead_s, stepped_s = max((fate.ahead_s for fate in fates), key=abs), min(fate.stepped_s for fate in fates)
        return Fate(state="unknown", ahead_s=ahead_s, stepped_s=stepped_s)

    def ledger_links(self) -> tuple[str, ...]:
        """Return the links of the ledger that the shards were told of, hex. One that was away has an earlier one."""
        links = self._asked(PoolClient.ledger_links).values()
        return tuple(dict.fromkeys(link for told in links for link in told))

    def keep_ledger_link(self, link: str, seq: int) -> None:
        """Tell every shard that the publication `seq` of the ledger has this link."""
        self._asked(lambda client: client.keep_ledger_link(link, seq))

    def depth(self) -> PoolDepth:
        """Return what is ready now in all shards whose epoch is theirs."""
        stats = self.stats()
        return PoolDepth(stats.blocks, stats.bytes)

    def stats(self) -> PoolStats:
        """Return the truth about all shards, and of each.

        Raises
        ------
        PoolUnavailable, UnsafePoolServer
            If no shard is well.
        """
        said = self._asked(PoolClient.stats)
        return sum_of(
            [
                ShardState(shard.place, None if shard.problem is None else shard.problem.message, said.get(shard))
                for shard in self._shards
            ]
        )

    def health(self) -> PoolHealth:
        """Ask whether any shard can serve; never raises a `PoolError`."""
        return health_of(self.stats)

    def check_server_safety(self, *, allow_unsafe: bool = False) -> tuple[str, ...]:
        """Look at what each server does with its data; leave out those that are not fit, and return what is allowed.

        Raises
        ------
        PoolUnavailable, UnsafePoolServer
            If none is left, as `PoolClient.check_server_safety`.
        """
        self._allow_unsafe = allow_unsafe
        allowed: list[str] = []
        for shard in self._shards:
            if shard.problem is None:
                try:
                    allowed += [f"shard {shard.place}: {problem}" for problem in self._examined(shard)]
                except (PoolUnavailable, UnsafePoolServer) as problem:
                    self._leave_out(shard, problem)
        if all(shard.problem is not None for shard in self._shards):
            raise self._refusal()
        return tuple(allowed)

    def close(self) -> None:
        """Close the connections, and look at nothing any more."""
        self._closed.set()
        self._disconnect()

    def _disconnect(self) -> None:
        for shard in self._shards:
            shard.client.close()

    # --- who is well -------------------------------------------------------------------------------------------

    def _asked(self, ask: Callable[[PoolClient], _T]) -> dict[_Shard, _T]:
        """Return what each shard says that is well; one that can't is left out from now on.

        One that is full is not: it is there, and what is in it may be leased.
        """
        said = {}
        full: PoolFull | None = None
        for shard in self._shards:
            if shard.problem is None:
                try:
                    said[shard] = ask(shard.client)
                except PoolFull as problem:
                    full = problem
                except (PoolUnavailable, UnsafePoolServer) as problem:
                    self._leave_out(shard, problem)
        if not said:
            raise full or self._refusal()
        return said

    def _refusal(self) -> PoolError:
        problems = {shard.place: shard.problem for shard in self._shards if shard.problem is not None}
        unsafe = all(isinstance(problem, UnsafePoolServer) for problem in problems.values()) and problems
        told = "; ".join(f"shard {place} of {len(self._shards)}: {each.message}" for place, each in problems.items())
        if unsafe:
            return UnsafePoolServer(told)
        return PoolUnavailable(told or "a shard is being looked at", retry_after_s=1)

    def _examined(self, shard: _Shard) -> tuple[str, ...]:
        """Return what is unsafe about a shard and allowed.

        Raises
        ------
        PoolUnavailable, UnsafePoolServer
            If it can't be used.
        """
        allowed: tuple[str, ...] = ()
        if self._allow_unsafe is not None:
            allowed = shard.client.check_server_safety(allow_unsafe=self._allow_unsafe)
        shard.server = shard.client.stats().run_id
        for other in self._shards:
            if other is not shard and other.problem is None and other.server == shard.server:
                raise UnsafePoolServer(f"it is the same server as shard {other.place}")
        return allowed

    def _leave_out(self, shard: _Shard, problem: PoolError) -> None:
        with self._lock:
            shard.problem = problem.with_traceback(None)
            if self._watch is None or not self._watch.is_alive():
                self._watch = threading.Thread(target=self._watched, name="shard-watch", daemon=True)
                self._watch.start()

    def _watched(self) -> None:
        self._look_again()
        if self._closed.is_set():  # while a shard was being looked at: that connected once more
            self._disconnect()

    def _look_again(self) -> None:
        """Look at the shards that are left out until none is."""
        while not self._closed.wait(LOOK_S):
            for shard in self._shards:
                if shard.problem is not None:
                    try:
                        self._examined(shard)
                        shard.problem = None
                    except PoolError as problem:
                        shard.problem = problem.with_traceback(None)
            with self._lock:
                if all(shard.problem is None for shard in self._shards):
                    self._watch = None
                    return


AnyPool = PoolClient | ShardedPool


def first_with_room(takers: Sequence[tuple[PoolClient, int]], blocks: Sequence[PoolBlock]) -> tuple[PoolClient, int]:
    """Return the first of the `takers` that has room for `blocks`.

    Raises
    ------
    PoolUnavailable, UnsafePoolServer
        What the first says, if none has.
    """
    problems: list[PoolError] = []
    for taker in takers:
        try:
            taker[0].refuse_if_full(blocks)
        except (PoolUnavailable, UnsafePoolServer) as problem:
            problems.append(problem)
        else:
            return taker
    raise problems[0]


def pool_at(
    address: str,
    *,
    prefix: str = DEFAULT_PREFIX,
    ttl_s: float = DEFAULT_TTL_S,
    timeout_s: float = 2.0,
) -> AnyPool:
    """Return the pool at an address, or at several with `BETWEEN` them; it connects on first use.

    Raises
    ------
    PoolAddressInvalid
        If one of them is none.
    """
    urls = address.split(BETWEEN)
    if len(set(urls)) < len(urls):
        raise PoolAddressInvalid("ENTROPY_REDIS_URLS names a pool twice")
    clients = [PoolClient.from_url(url, prefix=prefix, ttl_s=ttl_s, timeout_s=timeout_s) for url in urls]
    return clients[0] if len(clients) == 1 else ShardedPool(clients)
