"""The thread that leases blocks ahead of need, for the reservoir of one event loop.

It talks to the pool's server and does nothing else: what came over goes to the loop unread, by
``call_soon_threadsafe``. Two threads that both need the interpreter cost each other more than either does.
"""

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from entropy_assets.errors import PoolError, PoolUnavailable
from entropy_assets.serving.logs import cleaned, error_facts, log_event
from entropy_assets.stores.pool.blocks import SealedLease

IDLE_S: Final = 1.0
DRY_PAUSE_S: Final = 0.01
"""Shortest time between two leases of an empty pool, however many requests wait."""
FIRST_BACK_OFF_S: Final = 0.1
LONGEST_BACK_OFF_S: Final = 2.0


class Filler:
    """Leases while more is wanted.

    Parameters
    ----------
    lease
        Takes up to so many blocks out of the pool.
    wanted
        Tells how many blocks to lease now; runs in this thread.
    arrived
        Takes a lease, and when it began by `clock`, on the loop.
    failed
        Takes the reason why there is none, on the loop.
    idle
        Is called on the loop when nothing is wanted, once a second.
    clock
        Seconds that only go forward.

    Attributes
    ----------
    wake
        Set it when more may be wanted.
    leased_blocks
        All that came over.
    left_bytes
        In the pool, after the last lease.
    """

    def __init__(
        self,
        lease: Callable[[int], SealedLease],
        wanted: Callable[[], int],
        arrived: Callable[[SealedLease, float], None],
        failed: Callable[[PoolError], None],
        idle: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.lease = lease
        self.wake = threading.Event()
        self.leased_blocks = 0
        self.left_bytes = sys.maxsize
        self._wanted = wanted
        self._arrived = arrived
        self._failed = failed
        self._idle = idle
        self._clock = clock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin; hand over to `loop`."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="reservoir-filler", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End, and let the last lease arrive."""
        self._stopping.set()
        self.wake.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            await asyncio.sleep(0)
            self._thread = None

    @property
    def has_ended(self) -> bool:
        """Whether it ended although nobody stopped it, so that nothing will ever be leased again."""
        return self._thread is not None and not self._thread.is_alive() and not self._stopping.is_set()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._run_until_stopped(loop)
        finally:
            error = sys.exc_info()[1]
            if error is not None:
                log_event("filler-ended", logging.ERROR, **error_facts(error))
                reason = PoolUnavailable("what leases blocks has ended; restart this worker")
                self._hand_over(loop, self._failed, reason)

    def _run_until_stopped(self, loop: asyncio.AbstractEventLoop) -> None:
        back_off, failing = FIRST_BACK_OFF_S, 0
        while not self._stopping.is_set():
            self.wake.clear()
            # after a failure one is leased also into a full reservoir: somebody has to see that the pool is back
            blocks = max(self._wanted(), failing)
            if blocks == 0:
                self._hand_over(loop, self._idle)
                self.wake.wait(IDLE_S)
                continue
            try:
                got = self._lease_once(loop, blocks)
            except PoolError as problem:
                self._hand_over(loop, self._failed, problem)
                self._stopping.wait(back_off)  # requests are refused meanwhile without asking the server
                back_off, failing = min(LONGEST_BACK_OFF_S, 2 * back_off), 1
                continue
            back_off, failing = FIRST_BACK_OFF_S, 0
            if not got:
                self._stopping.wait(DRY_PAUSE_S)
                self.wake.wait(IDLE_S / 2)

    def _lease_once(self, loop: asyncio.AbstractEventLoop, blocks: int) -> bool:
        before = self._clock()
        lease = self.lease(blocks)
        self.left_bytes = lease.left.bytes
        self.leased_blocks += len(lease.entries)
        self._hand_over(loop, self._arrived, lease, before)
        return bool(lease.entries)

    def _hand_over(self, loop: asyncio.AbstractEventLoop, step: Callable[..., None], *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends, and these blocks with it
            loop.call_soon_threadsafe(step, *values)


def telling(lease: Callable[[int], SealedLease]) -> Callable[[int], SealedLease]:
    """Return `lease` such that a line says when the pool is lost and when it is back, once each."""
    lost: tuple[str, float] | None = None

    def told(max_blocks: int) -> SealedLease:
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

    return told
