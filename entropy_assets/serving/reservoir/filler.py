"""The thread that leases blocks ahead of need, for the reservoir of one event loop.

The thread talks to the pool's server and does nothing else: what came over goes to the loop unread, by
``call_soon_threadsafe``, and is read there. Two threads that both need the interpreter cost each other more than either
does.
"""

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from entropy_assets.errors import PoolError, PoolUnavailable
from entropy_assets.serving.logs import cleaned, error_facts, log_event
from entropy_assets.serving.reservoir.demand import Demand
from entropy_assets.stores.pool.blocks import Lease, SealedLease

OPENED_BLOCKS: Final = 16
"""Blocks that are read in one turn of the loop: some 0.2 ms."""
IDLE_S: Final = 1.0
DRY_PAUSE_S: Final = 0.01
"""Shortest time between two leases of an empty pool, however many requests wait."""
FIRST_BACK_OFF_S: Final = 0.1
LONGEST_BACK_OFF_S: Final = 2.0


class Receiver(Protocol):
    """Who is told, on the event loop, what came of the leases."""

    def arrived(self, lease: Lease, since: float) -> None:
        """Take the blocks of a lease that began at `since`; it may be empty."""
        ...

    def failed(self, problem: PoolError) -> None:
        """Take the reason why no blocks come."""
        ...

    def idle(self) -> None:
        """Do what has to be done from time to time; called about once a second while no blocks are wanted."""
        ...


class Filler:
    """Leases while more is wanted, and has what came read on the event loop.

    Parameters
    ----------
    lease
        Takes up to so many blocks out of the pool; runs in the thread.
    demand
        Tells how many blocks to lease now, and is told how many came.
    count_altered
        Tells the pool of blocks whose bytes did not match their hash; runs in another thread.
    tell
        Tells the pool what became of leased blocks, if anything did; runs in the thread.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self,
        lease: Callable[[int], SealedLease],
        demand: Demand,
        count_altered: Callable[[int], None],
        tell: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.lease = lease
        self._demand = demand
        self._count_altered = count_altered
        self._tell = tell
        self._clock = clock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, receiver: Receiver) -> None:
        """Begin; `receiver` is told on the running loop."""
        self._stopping.clear()
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(loop, receiver), name="reservoir-filler", daemon=True)
        self._thread.start()

    async def stop(self, limit_s: float) -> None:
        """End, and let the last lease arrive if it does within `limit_s`, seconds.

        A server that drips passes no time-out: the blocks of such a lease are lost.
        """
        self._stopping.set()
        self._demand.wake.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, limit_s)
            await asyncio.sleep(0)
            self._thread = None
        while self._demand.blocks_on_the_way:  # noqa: ASYNC110 - they are read in the next turns of the loop
            await asyncio.sleep(0)

    @property
    def has_ended(self) -> bool:
        """Tell whether it ended although nobody stopped it, so that nothing will ever be leased again."""
        return self._thread is not None and not self._thread.is_alive() and not self._stopping.is_set()

    # --- in the thread -----------------------------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> None:
        try:
            self._run_until_stopped(loop, receiver)
        finally:
            error = sys.exc_info()[1]
            if error is not None:
                log_event("filler-ended", logging.ERROR, **error_facts(error))
                reason = PoolUnavailable("what leases blocks has ended; restart this worker")
                _hand_over(loop, receiver.failed, reason)

    def _run_until_stopped(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> None:
        wake = self._demand.wake
        back_off, failing = FIRST_BACK_OFF_S, 0
        while not self._stopping.is_set():
            wake.clear()
            with contextlib.suppress(PoolError):  # what can't be told reveals later; a lease finds out what is wrong
                self._tell()
            # after a failure one is leased also into a full reservoir: somebody has to see that the pool is back
            blocks = max(self._demand.blocks_wanted(), failing)
            if blocks == 0:
                _hand_over(loop, receiver.idle)
                wake.wait(IDLE_S)
                continue
            try:
                came = self._lease_once(loop, receiver, blocks)
            except PoolError as problem:
                _hand_over(loop, receiver.failed, problem)
                self._stopping.wait(back_off)  # requests are refused meanwhile without asking the server
                back_off, failing = min(LONGEST_BACK_OFF_S, 2 * back_off), 1
                continue
            back_off, failing = FIRST_BACK_OFF_S, 0
            if not came:
                self._stopping.wait(DRY_PAUSE_S)
                wake.wait(IDLE_S / 2)

    def _lease_once(self, loop: asyncio.AbstractEventLoop, receiver: Receiver, blocks: int) -> bool:
        since = self._clock()
        sealed = self.lease(blocks)
        self._demand.leased(len(sealed.entries), sealed.left.bytes)
        _hand_over(loop, self._open, receiver, sealed, since)
        return bool(sealed.entries)

    # --- on the event loop -------------------------------------------------------------------------------------

    def _open(self, receiver: Receiver, sealed: SealedLease, since: float, start: int = 0) -> None:
        """Read the blocks of a lease from `start` on, a few at a time, with a turn of the loop between."""
        loop = asyncio.get_running_loop()
        end = min(start + OPENED_BLOCKS, len(sealed.entries))
        if end < len(sealed.entries):
            loop.call_soon(self._open, receiver, sealed, since, end)
        lease = sealed.opened(start, end)
        self._demand.opened(end - start)
        receiver.arrived(lease, since)
        if lease.altered:
            loop.run_in_executor(None, self._count_altered, lease.altered)


def _hand_over(loop: asyncio.AbstractEventLoop, step: Callable[..., None], *values: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends, and these blocks with it
        loop.call_soon_threadsafe(step, *values)


def telling(lease: Callable[[int], SealedLease]) -> Callable[[int], SealedLease]:
    """Return `lease` such that a line says when the pool is lost and when it is back, once each."""
    lost: tuple[str, float] | None = None

    def lease_and_log(max_blocks: int) -> SealedLease:
        nonlocal lost
        try:
            leased = lease(max_blocks)
        except PoolError as problem:
            if lost is None or lost[0] != problem.code:
                event = "pool-epoch-changed" if problem.code == "pool-epoch-changed" else "pool-lost"
                log_event(event, logging.WARNING, code=problem.code, detail=cleaned(problem.message))
                lost = (problem.code, lost[1] if lost else time.monotonic())
            raise
        if lost is not None:
            log_event("pool-back", after_s=round(time.monotonic() - lost[1], 3))
            lost = None
        return leased

    return lease_and_log
