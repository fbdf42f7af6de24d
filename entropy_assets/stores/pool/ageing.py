"""The clock by which leased blocks age: it only goes forward, and it goes on while the machine sleeps."""

import math
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

ageing_s: Callable[[], float]
"""Seconds since some moment of the past. Linux stops `time.monotonic` while the machine is suspended; by that clock a
laptop that wakes up hours later would give out what expired meanwhile."""
if sys.platform == "linux":
    ageing_s = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
else:
    ageing_s = time.monotonic

STEP_S: Final = 0.5
"""From how many seconds on the wall clock counts as set forward; what is less is how two clocks are read."""


DRIFT: Final = 1e-3
"""By how much a clock may go faster than another one without having been set: twice what NTP does to mend it."""


class ServersClock:
    """Notices that the clock of a server was set forward, however long its answers take.

    What it told of its clock before, and the time that passed here, say what it may show at most.
    """

    def __init__(self) -> None:
        self._seen_at = 0.0
        self._most_ahead = math.inf
        self._stepped_at = -math.inf

    def saw(self, time_s: float, asked_at: float) -> None:
        """Note the time that a server told, seconds since 1970, and when by `ageing_s` it was asked."""
        now = ageing_s()
        most = self._most_ahead + DRIFT * (now - self._seen_at)
        if time_s - now > most + STEP_S:
            self._stepped_at, most = now, math.inf
        self._seen_at, self._most_ahead = now, min(most, time_s - asked_at)

    @property
    def stepped_s(self) -> float:
        """Seconds since it was seen to have been set forward; infinite if it never was."""
        return ageing_s() - self._stepped_at


class WallClock:
    """Notices that this machine's wall clock was set forward, as at the start of a machine without one of its own.

    By a pool's server on this machine all that is held has expired then, and reveals, though by `ageing_s` it has not.

    Parameters
    ----------
    wall
        Seconds since 1970.
    clock
        Seconds that only go forward.
    """

    def __init__(self, wall: Callable[[], float] = time.time, clock: Callable[[], float] = ageing_s) -> None:
        self._wall = wall
        self._clock = clock
        self._ahead = wall() - clock()

    def was_set_forward(self) -> bool:
        """Tell whether it was since this was asked last."""
        before, self._ahead = self._ahead, self._wall() - self._clock()
        return self._ahead - before > STEP_S
