"""Blocks leased ahead of need, so that an answer touches memory only.

Two threads share it, without a lock. The *event loop* owns every field that says what is held and who waits; the
thread of the `Filler` only reads some of its integers.
At every moment of the loop: leased = served public + served private + burned + buffered, in bytes.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from entropy_assets.errors import PoolError, PoolExhausted
from entropy_assets.serving.counts import Counts, place_of
from entropy_assets.serving.reservoir.demand import Rates
from entropy_assets.serving.reservoir.filler import Filler
from entropy_assets.serving.reservoir.stock import Cut, Draw, Messages, cut_messages
from entropy_assets.stores.pool.ageing import ageing_s
from entropy_assets.stores.pool.blocks import Lease, SealedLease

LEASE_BLOCKS: Final = 128
"""Blocks that one lease takes at most. More cost more each, since their bytes no longer fit the processor's cache."""
OPENED_BLOCKS: Final = 16
"""Blocks that are read in one turn of the loop: some 0.2 ms."""
GROWTH: Final = 4
"""How much more is held when somebody had to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservoirLimits:
    """How much is held ahead of need.

    Attributes
    ----------
    least_bytes
        Held when nobody asks. It is what a crash loses, so it is small beside the pool.
    most_bytes
        Held at full speed; must cover the longest request.
    horizon_s
        Time that the held bytes should last at the recent rate, seconds.
    wait_s
        Longest wait of a request for bytes that are on their way, seconds; a short one that still finds too few then
        waits as long once more, in the queue.
    block_len
        Usual length of a block, bytes; only to guess how many blocks to lease.
    """

    least_bytes: int = 4 * 4096
    most_bytes: int = 4 * 2**20
    horizon_s: float = 1.0
    wait_s: float = 0.05
    block_len: int = 4096


@dataclass(slots=True)
class _Held:
    block_id: str
    data: bytes
    expires_at: float
    simulated: bool
    label: bytes
    position: int = 0


PUBLIC_BYTES: Final = place_of("served_public_bytes")
PUBLIC_ANSWERS: Final = place_of("public_answers")
PRIVATE_BYTES: Final = place_of("served_private_bytes")
PRIVATE_ANSWERS: Final = place_of("private_answers")


@dataclass(eq=False, slots=True)
class _Waiter:
    n: int
    public: bool
    drawn: "asyncio.Future[Draw]"


class Reservoir:
    """Blocks of one serving process.

    Parameters
    ----------
    lease
        Takes up to so many blocks out of the pool; runs in the filler thread.
    limits
        How much to hold.
    counts
        Where to count; by default nobody else sees it.
    count_altered
        Tells the pool of blocks whose bytes did not match their hash; runs in a thread.
    clock
        Seconds that only go forward, also while the machine sleeps.
    """

    def __init__(
        self,
        lease: Callable[[int], SealedLease],
        limits: ReservoirLimits | None = None,
        counts: Counts | None = None,
        count_altered: Callable[[int], None] = lambda blocks: None,
        clock: Callable[[], float] = ageing_s,
    ) -> None:
        self.limits = limits or ReservoirLimits()
        self.counts = counts or Counts()
        self._cells = self.counts.cells  # every answer counts here, so the way is short
        self.buffered_bytes = 0
        self.problem: PoolError | None = None
        self._count_altered = count_altered
        self._clock = clock
        self._held: deque[_Held] = deque()
        self._waiters: deque[_Waiter] = deque()
        self._soonest = math.inf
        self._target = self.limits.least_bytes
        self._has_grown = False
        self._settled = asyncio.Event()
        self._came = asyncio.Event()
        self._patience: asyncio.TimerHandle | None = None
        self._opened_blocks = 0
        self._filling = False  # the filler's alone
        self._wanted_bytes = 0
        self._rates = Rates(clock())
        self._filler = Filler(lease, self._blocks_wanted, self._open, self._failed, self._adapt, clock)
        self._wake = self._filler.wake

    def start(self) -> None:
        """Begin to lease; call it on the event loop that will take."""
        self._filler.start(asyncio.get_running_loop())

    async def settle(self, limit_s: float) -> None:
        """Wait until the first lease gave something or failed, `limit_s` seconds at most.

        Who listens only then does not refuse its first clients for being new.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), limit_s)

    async def stop(self) -> None:
        """Stop leasing and drop what is held, counted as burned."""
        await self._filler.stop()
        while self._opened_blocks < self._filler.leased_blocks:  # noqa: ASYNC110 - it is read in the next turns of the loop
            await asyncio.sleep(0)
        self._burn(lambda held: True)

    @property
    def has_ended(self) -> bool:
        """Whether nothing will ever be leased again, although nobody stopped it."""
        return self._filler.has_ended

    def holds(self, n: int) -> bool:
        """Return whether `take` would give `n` bytes now."""
        if n <= self.buffered_bytes and not self._waiters:
            return self._soonest > self._clock() or self._drop_expired() >= n
        self._wake.set()
        return False

    def take(self, n: int, *, public: bool) -> Draw | None:
        """Return `n` bytes at once, or None if fewer are held or somebody waits already."""
        if self._waiters:
            return None
        return self._take(n, public)

    def take_piece(self, n: int, public: bool, *, fresh: bool = False) -> tuple[bytes, bytes, bool] | None:
        """Return what `take` would, if one block has it all: the bytes, ``<id>:<start>-<end>``, and if it is simulated.

        It is `take` without everything that an answer of one piece does not need, at a third of the time. Who has just
        asked `holds` says that what is held is `fresh`.
        """
        if self._waiters or not self._held:
            return None
        head = self._held[0]
        start = head.position
        end = start + n
        if end > len(head.data) or not (fresh or head.expires_at > self._clock()):
            return None
        if end == len(head.data):
            self._held.popleft()
        else:
            head.position = end
        # as `_count`, whose call would take a tenth of the time
        self.buffered_bytes -= n
        cells = self._cells
        if public:
            cells[PUBLIC_BYTES] += n
            cells[PUBLIC_ANSWERS] += 1
        else:
            cells[PRIVATE_BYTES] += n
            cells[PRIVATE_ANSWERS] += 1
        if 2 * self.buffered_bytes < self._target and not self._wake.is_set():
            self._wake.set()
        return head.data[start:end], b"%b:%d-%d" % (head.label, start, end), head.simulated

    def take_messages(self, n: int, longest: int) -> Messages | None:
        """Return what `take` would for the public class, as messages of at most `longest` bytes; each is an answer."""
        if not self.holds(n):
            return None
        messages = cut_messages(self._held, n, longest)
        self._count(n, public=True)
        self._cells[PUBLIC_ANSWERS] += len(messages.parts) - 1
        return messages

    async def draw(self, n: int, *, public: bool) -> Draw:
        """Return `n` bytes, after a bounded wait if they are not held yet; first come, first served.

        Raises
        ------
        PoolExhausted
            If they do not come in time; ``data["retry_after_s"]`` says when they may.
        PoolError
            The reason why the filler gets nothing, at once.
        """
        drawn = self.take(n, public=public)
        if drawn is not None:
            return drawn
        if self.problem is not None:
            # one error object serves a whole outage, so it must not collect the traceback of every request
            raise self.problem.with_traceback(None)
        self.counts.add("waited_answers")
        waiter = _Waiter(n, public, asyncio.get_running_loop().create_future())
        self._queue(waiter)
        try:
            # not wait_for: in Python 3.11 it swallows a cancellation that comes together with the bytes
            await asyncio.wait([waiter.drawn], timeout=self.limits.wait_s)
            if waiter.drawn.done():
                return waiter.drawn.result()
            self.counts.add("dry_answers")
            raise self._why_not(n)
        except asyncio.CancelledError:
            if waiter.drawn.done() and waiter.drawn.exception() is None:
                self.counts.add("undelivered_bytes", n)
            raise
        finally:
            self._unqueue(waiter)
            self._serve_waiters()  # what did not suffice for this one may suffice for those behind it

    async def more(self, n: int) -> bool:
        """Wait a little for blocks if some are on their way; return whether `n` bytes are held then.

        Nobody is promised anything: who does not get them now asks `draw`, which has a queue. It is for the many short
        requests that a sudden load brings before enough is held, at a tenth of the time that each takes there.
        """
        if not self._is_coming(n):
            return False
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(self.limits.wait_s, self._lose_patience)
        patience = self._patience
        self._wanted_bytes += n
        self._grow()
        try:
            while self.buffered_bytes < n and self._patience is patience and self._is_coming(n):
                await self._came.wait()
        finally:
            self._wanted_bytes -= n
        return self.buffered_bytes >= n

    def _is_coming(self, n: int) -> bool:
        return self.problem is None and not self._waiters and self._filler.left_bytes >= n

    def retry_after_s(self, n: int) -> int:
        """Return the whole seconds after which `n` bytes should be here at the rate of the last seconds, 1 to 60."""
        rate = self._rates.arriving
        return 5 if rate <= 0 else min(60, max(1, math.ceil((n - self.buffered_bytes) / rate)))

    def _why_not(self, n: int) -> PoolError:
        return self.problem or PoolExhausted(
            f"{n} bytes were asked for and the pool could not give them in time; nothing was consumed",
            requested=n,
            ready=self.buffered_bytes,
            retry_after_s=self.retry_after_s(n),
        )

    # --- on the event loop -------------------------------------------------------------------------------------

    def _take(self, n: int, public: bool) -> Draw | None:
        if self._soonest <= self._clock():
            self._drop_expired()
        if n > self.buffered_bytes:
            self._wake.set()
            return None
        head = self._held[0]
        end = head.position + n
        if end < len(head.data):
            draw = Draw(head.data[head.position : end], (Cut(head.block_id, head.position, end),), head.simulated)
            head.position = end
        else:
            draw = self._gather(n)
        self._count(n, public)
        return draw

    def _count(self, n: int, public: bool) -> None:
        self.buffered_bytes -= n
        if public:
            self._cells[PUBLIC_BYTES] += n
            self._cells[PUBLIC_ANSWERS] += 1
        else:
            self._cells[PRIVATE_BYTES] += n
            self._cells[PRIVATE_ANSWERS] += 1
        if 2 * self.buffered_bytes < self._target and not self._wake.is_set():
            self._wake.set()

    def _gather(self, n: int) -> Draw:
        parts, cuts, simulated = [], [], False
        held = self._held
        while n > 0:
            head = held[0]
            start, end = head.position, head.position + n
            part = head.data[start:end]  # of a whole block that is no copy
            if end >= len(head.data):
                end = len(head.data)
                held.popleft()
            else:
                head.position = end
            parts.append(part)
            cuts.append(Cut(head.block_id, start, end))
            simulated |= head.simulated
            n -= end - start
        return Draw(b"".join(parts), tuple(cuts), simulated)

    def _queue(self, waiter: _Waiter) -> None:
        self._waiters.append(waiter)
        self._wanted_bytes += waiter.n
        self._grow()

    def _grow(self) -> None:
        """Hold more from now on, since somebody has to wait although the pool may be full."""
        if not self._has_grown:  # once for all who wait for the same lease
            self._has_grown = True
            self._target = min(self.limits.most_bytes, GROWTH * self._target)
        self._wake.set()

    def _lose_patience(self) -> None:
        self._patience = None
        self._stir()

    def _stir(self) -> None:
        """Let everybody look who waits for `more`."""
        self._came.set()
        self._came.clear()

    def _unqueue(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            self._wanted_bytes -= waiter.n

    def _open(self, sealed: SealedLease, before: float, start: int = 0) -> None:
        """Read the blocks of a lease from `start` on, a few at a time, with a turn of the loop between."""
        loop = asyncio.get_running_loop()
        end = min(start + OPENED_BLOCKS, len(sealed.entries))
        if end < len(sealed.entries):
            loop.call_soon(self._open, sealed, before, end)
        self._opened_blocks += end - start
        lease = sealed.opened(start, end)
        self._arrived(lease, [before + leased.expires_in_s for leased in lease.blocks])
        if lease.altered:
            loop.run_in_executor(None, self._count_altered, lease.altered)

    def _arrived(self, lease: Lease, expirations: Sequence[float]) -> None:
        self.problem = None
        self._settled.set()
        self._has_grown = False
        self.counts.add("altered_blocks", lease.altered)
        arrived = 0
        for leased, expires_at in zip(lease.blocks, expirations, strict=True):
            block = leased.block
            self._held.append(_Held(block.block_id, block.data, expires_at, block.simulated, block.block_id.encode()))
            self._soonest = min(self._soonest, expires_at)
            arrived += len(block.data)
        self.buffered_bytes += arrived
        self.counts.add("leased_bytes", arrived)
        if lease.blocks:
            self.counts.add("leased_blocks", len(lease.blocks))
            self.counts.set("last_lease_us", time.time_ns() // 1000)
        self._serve_waiters()
        self._stir()
        self._adapt()

    def _serve_waiters(self) -> None:
        while self._waiters:
            first = self._waiters[0]
            if not first.drawn.done():
                draw = self._take(first.n, first.public)
                if draw is None:
                    return
                first.drawn.set_result(draw)
            self._unqueue(first)

    def _failed(self, problem: PoolError) -> None:
        self.problem = problem
        self._settled.set()
        self.counts.add("pool_failures")
        for waiter in list(self._waiters):
            if not waiter.drawn.done():
                waiter.drawn.set_exception(problem)
            self._unqueue(waiter)
        self._stir()

    def _adapt(self) -> None:
        """Follow the recent rate: at once upwards, by half a second-long step downwards."""
        served = self._cells[PUBLIC_BYTES] + self._cells[PRIVATE_BYTES]
        if self._rates.update(self._clock(), served, self.counts["leased_bytes"]):
            aim = max(self.limits.least_bytes, int(self.limits.horizon_s * self._rates.served), self._target // 2)
            self._target = min(self.limits.most_bytes, aim)
        if self._soonest <= self._clock():
            self._drop_expired()

    def _drop_expired(self) -> int:
        now = self._clock()
        self._burn(lambda held: held.expires_at <= now)
        return self.buffered_bytes

    def _burn(self, doomed: Callable[[_Held], bool]) -> None:
        kept: deque[_Held] = deque()
        for held in self._held:
            if doomed(held):
                rest = len(held.data) - held.position
                self.counts.add("burned_bytes", rest)
                self.buffered_bytes -= rest
            else:
                kept.append(held)
        self._held = kept
        self._soonest = min((held.expires_at for held in kept), default=math.inf)

    # --- in the filler's thread --------------------------------------------------------------------------------

    def _blocks_wanted(self) -> int:
        on_the_way = (self._filler.leased_blocks - self._opened_blocks) * self.limits.block_len
        held = self.buffered_bytes + on_the_way
        # not more ahead than is left for others: a small pool would end up with one worker, and be lost with it
        target = min(self._target, max(self.limits.least_bytes, (held + self._filler.left_bytes) // 2))
        missing = max(target, self._wanted_bytes) - held
        if missing <= 0:
            self._filling = False
        elif 2 * missing >= target or self._wanted_bytes:
            self._filling = True  # and then up to the brim, so that there is time until the next lease
        return min(LEASE_BLOCKS, -(-missing // self.limits.block_len)) if self._filling else 0
