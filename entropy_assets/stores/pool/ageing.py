"""The clock by which leased blocks age: it only goes forward, and it goes on while the machine sleeps."""

import sys
import time
from collections.abc import Callable
from functools import partial

ageing_s: Callable[[], float]
"""Seconds since some moment of the past. Linux stops `time.monotonic` while the machine is suspended; by that clock a
laptop that wakes up hours later would give out what expired meanwhile."""
if sys.platform == "linux":
    ageing_s = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
else:
    ageing_s = time.monotonic
