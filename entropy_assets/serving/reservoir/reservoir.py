"""Blocks leased ahead of need, so that an answer touches memory only.

Two threads share it, without a lock. The *event loop* owns every field that says what is held and who waits; the
thread of the `Filler` reads integers only, through the `Demand`.
A worker has one for each lane. At every moment of the loop, in each: leased = served + burned + buffered, in bytes.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from entropy_assets.errors import PoolError, PoolExhausted
from entropy_assets.serving.counts import Counts, place_of
from entropy_assets.serving.reservoir.demand import Demand, ReservoirLimits
from entropy_assets.serving.reservoir.filler import Filler
from entropy_assets.serving.reservoir.stock import Closing, Draw, Messages, Piece, Stock
from entropy_assets.serving.single_flight import begun
from entropy_assets.stores.lanes import Lane
from entropy_assets.stores.pool.ageing import WallClock, ageing_s
from entropy_assets.stores.pool.blocks import Lease, SealedLease

OPEN_S: Final = 10.0
"""How long a public block that was begun is given out, seconds."""
STOP_S: Final = 2.0
"""Longest that an end waits for the last lease, and for what the pool is told at last, seconds each."""


@dataclass(eq=False, slots=True)
class _Waiter:
    n: int
    drawn: "asyncio.Future[Draw]"


class Reservoir:
    """Blocks of one lane in one serving process: who takes, who waits, what arrives, what fails.

    Parameters
    ----------
    lane
        Its lane.
    lease
        Takes up to so many blocks of it out of the pool; runs in the filler thread.
    limits
        How much to hold.
    counts
        Where to count; by default nobody else sees it.
    count_altered
        Tells the pool of blocks whose bytes did not match their hash; runs in a thread.
    close_blocks
        Tells the pool of public blocks that were begun, with the seconds that each stays open, and of closed ones;
        runs in the filler thread.
    open_s
        How long a public block that was begun is given out, seconds.
    clock
        Seconds that only go forward, also while the machine sleeps.
    wall
        Seconds since 1970.

    Attributes
    ----------
    lane
        As given.
    problem
        Why the last lease failed; None if it did not.
    """

    def __init__(
        self,
        lane: Lane,
        lease: Callable[[int], SealedLease],
        limits: ReservoirLimits | None = None,
        counts: Counts | None = None,
        count_altered: Callable[[int], None] = lambda blocks: None,
        close_blocks: Callable[[Mapping[str, float], Sequence[str]], None] = lambda begun, closed: None,
        open_s: float = OPEN_S,
        clock: Callable[[], float] = ageing_s,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.lane = lane
        self.limits = limits or ReservoirLimits()
        self.counts = counts or Counts()
        self.problem: PoolError | None = None
        self._cells = self.counts.cells  # every answer counts here, so the way is short
        self._bytes_place = place_of(f"served_{lane}_bytes")
        self._answers_place = place_of(f"{lane}_answers")
        self._clock = clock
        self._closing = Closing(open_s, wall, clock, self._wake) if lane == "public" else None
        self._wall_clock = WallClock(wall, clock)
        self._close_blocks = close_blocks
        self._stock = Stock(self._closing)
        self._demand = Demand(self.limits, self._stock, clock())
        self._filler = Filler(lease, self._demand, count_altered, self._tell, clock)
        self._waiters: deque[_Waiter] = deque()
        self._settled = asyncio.Event()
        self._came = asyncio.Event()
        self._patience: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to lease; call it on the event loop that will take."""
        self._filler.start(self)

    async def settle(self, limit_s: float) -> None:
        """Wait until the first lease gave something or failed, `limit_s` seconds at most.

        Who listens only then does not refuse its first clients for being new.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._settled.wait()

    async def stop(self) -> None:
        """Stop leasing and drop what is held, counted as burned."""
        await self._filler.stop(STOP_S)
        self.counts.add(f"burned_{self.lane}_bytes", self._stock.drop_all())
        with contextlib.suppress(PoolError, TimeoutError):  # as in the filler
            async with asyncio.timeout(STOP_S):
                await asyncio.wrap_future(begun(self._tell))

    def _tell(self) -> None:
        """Tell the pool which blocks were begun or closed since it was told last; called in a thread.

        Raises
        ------
        PoolError
            If it can't be told. Then they reveal when they would have expired.
        """
        closing = self._closing
        if closing is not None and closing.has_news:
            self._close_blocks(*closing.told())

    def _wake(self) -> None:
        self._demand.wake.set()

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing will ever be leased again, although nobody stopped it."""
        return self._filler.has_ended

    @property
    def buffered_bytes(self) -> int:
        """Return what is held."""
        return self._stock.held_bytes

    # --- who takes ---------------------------------------------------------------------------------------------

    def holds(self, n: int) -> bool:
        """Tell whether `take` would give `n` bytes now."""
        stock = self._stock
        if n <= stock.held_bytes and not self._waiters:
            if stock.soonest <= self._clock():
                self._drop_expired()
            return n <= stock.held_bytes
        self._demand.wake.set()
        return False

    def take(self, n: int) -> Draw | None:
        """Return `n` bytes at once, or None if fewer are held or somebody waits already."""
        return None if self._waiters else self._take(n)

    def _take(self, n: int) -> Draw | None:
        stock = self._stock
        now = self._clock()
        if stock.soonest <= now:
            self._drop_expired()
        draw = stock.draw(n, now)
        if draw is None:
            self._demand.wake.set()
        else:
            self._count(n)
        return draw

    def take_piece(self, n: int) -> Piece | None:
        """Return what `take` would if the first block has it all, in the form of `Stock.piece`; else None."""
        if self._waiters:
            return None
        stock = self._stock
        piece = stock.piece(n, self._clock())
        if piece is None:
            return None
        # as `_count`, whose call would take a tenth of the time
        cells = self._cells
        cells[self._bytes_place] += n
        cells[self._answers_place] += 1
        if stock.held_bytes < self._demand.low_bytes and not self._demand.wake.is_set():
            self._demand.wake.set()
        return piece

    def take_messages(self, n: int, longest: int) -> Messages | None:
        """Return what `take` would, as messages of at most `longest` bytes; each is an answer."""
        messages = self._stock.messages(n, longest, self._clock()) if self.holds(n) else None
        if messages is not None:
            self._count(n)
            self._cells[self._answers_place] += len(messages.parts) - 1
        return messages

    def _count(self, n: int) -> None:
        self._cells[self._bytes_place] += n
        self._cells[self._answers_place] += 1
        if self._stock.held_bytes < self._demand.low_bytes and not self._demand.wake.is_set():
            self._demand.wake.set()

    def _drop_expired(self) -> None:
        self.counts.add(f"burned_{self.lane}_bytes", self._stock.drop_expired(self._clock()))

    # --- who waits ---------------------------------------------------------------------------------------------

    async def draw(self, n: int) -> Draw:
        """Return `n` bytes, after a bounded wait if they are not held yet; first come, first served.

        Raises
        ------
        PoolExhausted
            If they do not come in time; ``data["retry_after_s"]`` says when they may.
        PoolError
            The reason why the filler gets nothing, at once.
        """
        drawn = self.take(n)
        if drawn is not None:
            return drawn
        if self.problem is not None:
            # one error object serves a whole outage, so it must not collect the traceback of every request
            raise self.problem.with_traceback(None)
        self.counts.add("waited_answers")
        waiter = _Waiter(n, asyncio.get_running_loop().create_future())
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
        self._demand.begin_wait(n)
        try:
            while self._stock.held_bytes < n and self._patience is patience and self._is_coming(n):
                await self._came.wait()
        finally:
            self._demand.end_wait(n)
        return self._stock.held_bytes >= n

    def _is_coming(self, n: int) -> bool:
        return self.problem is None and not self._waiters and self._demand.left_bytes >= n

    def retry_after_s(self, n: int) -> int:
        """Return the whole seconds after which `n` bytes should be here at the rate of the last seconds, 1 to 60."""
        return self._demand.rates.wait_s(n - self._stock.held_bytes)

    def _why_not(self, n: int) -> PoolError:
        return self.problem or PoolExhausted(
            f"{n} bytes of the class {self.lane} were asked for, the pool gave fewer in time, and nothing was consumed",
            requested=n,
            ready=self._stock.held_bytes,
            retry_after_s=self.retry_after_s(n),
        )

    def _queue(self, waiter: _Waiter) -> None:
        self._waiters.append(waiter)
        self._demand.begin_wait(waiter.n)

    def _unqueue(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            self._demand.end_wait(waiter.n)

    def _serve_waiters(self) -> None:
        while self._waiters:
            first = self._waiters[0]
            if not first.drawn.done():
                draw = self._take(first.n)
                if draw is None:
                    return
                first.drawn.set_result(draw)
            self._unqueue(first)

    def _lose_patience(self) -> None:
        self._patience = None
        self._stir()

    def _stir(self) -> None:
        """Let everybody who waits for `more` look again."""
        self._came.set()
        self._came.clear()

    # --- what arrives, what fails: the filler tells --------------------------------------------------------------

    def arrived(self, lease: Lease, since: float) -> None:
        """Hold the blocks of a lease that began at `since`, and serve who waits."""
        self.problem = None
        self._settled.set()
        self.counts.add("altered_blocks", lease.altered)
        self.counts.add(f"leased_{self.lane}_bytes", self._stock.add(lease.blocks, since))
        if lease.blocks:
            self.counts.add(f"leased_{self.lane}_blocks", len(lease.blocks))
            self.counts.set("last_lease_us", time.time_ns() // 1000)
        self._serve_waiters()
        self._stir()
        self.idle()

    def failed(self, problem: PoolError) -> None:
        """Refuse everybody who waits, for this reason."""
        self.problem = problem
        self._settled.set()
        self.counts.add("pool_failures")
        for waiter in list(self._waiters):
            if not waiter.drawn.done():
                waiter.drawn.set_exception(problem)
            self._unqueue(waiter)
        self._stir()

    def idle(self) -> None:
        """Follow the rate at which bytes go, and drop what has expired, if only by the wall clock."""
        now = self._clock()
        self._demand.follow(now, self._cells[self._bytes_place], self.counts[f"leased_{self.lane}_bytes"])
        if self._closing is not None and self._wall_clock.was_set_forward():
            self.counts.add("burned_public_bytes", self._stock.drop_all())
        if self._stock.soonest <= now:
            self._drop_expired()


class Reservoirs(NamedTuple):
    """Both of a serving process."""

    public: Reservoir
    private: Reservoir

    def of(self, *, public: bool) -> Reservoir:
        """Return the one of a class of answers."""
        return self.public if public else self.private

    @property
    def buffered_bytes(self) -> int:
        """Return what both hold."""
        return self.public.buffered_bytes + self.private.buffered_bytes

    def retry_after_s(self) -> int:
        """Return the whole seconds after which either should have something again, 1 to 60."""
        return max(each.retry_after_s(0) for each in self)

    def start(self) -> None:
        """Begin to lease for both."""
        for each in self:
            each.start()

    async def settle(self, limit_s: float) -> None:
        """Wait until the first lease of each gave something or failed, `limit_s` seconds at most."""
        await asyncio.gather(*(each.settle(limit_s) for each in self))

    async def stop(self) -> None:
        """Stop both."""
        await asyncio.gather(*(each.stop() for each in self))
