"""How much to hold ahead of need, and how many blocks to lease for it.

The event loop says what is wanted; the thread of the `Filler` asks how many blocks that is. There is no lock: every
number has one writer, and the thread reads integers only.
"""

import math
import sys
import threading
from dataclasses import dataclass
from typing import Final

from entropy_assets.serving.reservoir.stock import Stock

LEASE_BLOCKS: Final = 128
"""Blocks that one lease takes at most. More cost more each, since their bytes no longer fit the processor's cache."""
GROWTH: Final = 4
"""How much more is held when somebody had to wait."""
SHORTEST_S: Final = 0.1
"""Time over which a rate is taken at least, seconds."""
SMOOTHING: Final = 0.3
"""Weight of the newest second in the two rates."""
LONGEST_WAIT_S: Final = 60
UNKNOWN_WAIT_S: Final = 5
"""What is guessed where nothing ever came."""


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


class Rates:
    """Bytes per second that were served and that arrived, over the last seconds."""

    def __init__(self, now: float) -> None:
        self.served = 0.0
        self.arriving = 0.0
        self._since = now
        self._served_bytes = 0
        self._arrived_bytes = 0

    def update(self, now: float, served_bytes: int, arrived_bytes: int) -> bool:
        """Take in the totals up to `now`; return whether enough time passed for a new figure."""
        spent = now - self._since
        if spent < SHORTEST_S:
            return False
        latest = (served_bytes - self._served_bytes) / spent
        self.served = max(latest, self.served + SMOOTHING * (latest - self.served))
        self.arriving += SMOOTHING * ((arrived_bytes - self._arrived_bytes) / spent - self.arriving)
        self._since, self._served_bytes, self._arrived_bytes = now, served_bytes, arrived_bytes
        return True

    def wait_s(self, n_bytes: int) -> int:
        """Return the whole seconds after which `n_bytes` more should have come at this rate, 1 to `LONGEST_WAIT_S`.

        The mean falls towards 0 for as long as nothing comes, and a quotient by it would be infinite.
        """
        if self.arriving <= 0:
            return UNKNOWN_WAIT_S
        if n_bytes >= LONGEST_WAIT_S * self.arriving:
            return LONGEST_WAIT_S
        return math.ceil(n_bytes / self.arriving) if n_bytes > self.arriving else 1


class Demand:
    """What is wanted beside what is held.

    Parameters
    ----------
    limits
        How much to hold.
    stock
        What is held.
    now
        The time, by a clock in seconds that only goes forward.

    Attributes
    ----------
    wake
        Set when more may be wanted: the filler's thread looks then.
    target_bytes, low_bytes
        How much to hold, and below how much to lease again. Written by the loop.
    waiting_bytes
        What those who wait want. Written by the loop.
    left_bytes
        In the pool, after the last lease. Written by the thread.
    rates
        How fast bytes come and go.
    """

    def __init__(self, limits: ReservoirLimits, stock: Stock, now: float) -> None:
        self.wake = threading.Event()
        self.waiting_bytes = 0
        self.left_bytes = sys.maxsize
        self.rates = Rates(now)
        self._limits = limits
        self._stock = stock
        self._has_grown = False
        self._leased_blocks = 0  # the thread's
        self._opened_blocks = 0  # the loop's
        self._is_filling = False  # the thread's
        self._hold(limits.least_bytes)

    @property
    def blocks_on_the_way(self) -> int:
        """Blocks that were leased and have not been read yet."""
        return self._leased_blocks - self._opened_blocks

    # --- on the event loop -------------------------------------------------------------------------------------

    def begin_wait(self, n: int) -> None:
        """Note that somebody waits for `n` bytes: hold more from now on, since the pool may be full nevertheless."""
        self.waiting_bytes += n
        if not self._has_grown:  # once for all who wait for the same lease
            self._has_grown = True
            self._hold(GROWTH * self.target_bytes)
        self.wake.set()

    def end_wait(self, n: int) -> None:
        """Note that somebody waits no longer who waited for `n` bytes."""
        self.waiting_bytes -= n

    def opened(self, blocks: int) -> None:
        """Note that so many of the leased blocks are being read."""
        self._opened_blocks += blocks
        self._has_grown = False

    def follow(self, now: float, served_bytes: int, arrived_bytes: int) -> None:
        """Follow the recent rate, from the totals so far: at once upwards, by half a second-long step downwards."""
        if self.rates.update(now, served_bytes, arrived_bytes):
            lasting = int(self._limits.horizon_s * self.rates.served)
            self._hold(max(self._limits.least_bytes, lasting, self.target_bytes // 2))

    def _hold(self, target_bytes: int) -> None:
        self.target_bytes = min(self._limits.most_bytes, target_bytes)
        self.low_bytes = -(-self.target_bytes // 2)

    # --- in the filler's thread --------------------------------------------------------------------------------

    def leased(self, blocks: int, left_bytes: int) -> None:
        """Note that so many blocks are on their way, and how many bytes the pool has left."""
        self.left_bytes = left_bytes
        self._leased_blocks += blocks

    def blocks_wanted(self) -> int:
        """Return how many blocks to lease now."""
        limits, waiting_bytes = self._limits, self.waiting_bytes
        held = self.blocks_on_the_way * limits.block_len + self._stock.held_bytes
        # not more ahead than is left for others: a small pool would end up with one worker, and be lost with it
        target = min(self.target_bytes, max(limits.least_bytes, (held + self.left_bytes) // 2))
        missing = max(target, waiting_bytes) - held
        if missing <= 0:
            self._is_filling = False
        elif 2 * missing >= target or waiting_bytes:
            self._is_filling = True  # and then up to the brim, so that there is time until the next lease
        return min(LEASE_BLOCKS, -(-missing // limits.block_len)) if self._is_filling else 0
