"""What asking a server may cost, and the clock and chance by which it is paced."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from entropy_assets.images.limits import DEFAULT_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLimits:
    """What one question may cost.

    Attributes
    ----------
    document_bytes, image_bytes
        Longest answer, bytes, both as it comes and once unpacked.
    image_pixels
        Largest plane of an image, pixels, where its header tells in its first bytes.
    connect_s, read_s
        Longest wait for a connection and its TLS, and for the next bytes, seconds.
    document_s, image_s
        Longest time from a question to the end of its answer, seconds, however steadily it drips.
    redirects
        Most of them that are followed.
    attempts
        How often the same is asked in all, where an answer broke off or the server failed.
    budget_s
        No further attempt begins later than this after the first one, seconds.
    longest_wait_s
        What a server asks to wait up to this is waited here; more than this is told, seconds.
    least_interval_s
        Least time between the ends and beginnings of two exchanges with the same host, seconds.
    """

    document_bytes: int = 16 << 20
    image_bytes: int = DEFAULT_LIMITS.max_file_bytes
    image_pixels: int = DEFAULT_LIMITS.max_pixels
    connect_s: float = 10.0
    read_s: float = 30.0
    document_s: float = 60.0
    image_s: float = 900.0
    redirects: int = 5
    attempts: int = 4
    budget_s: float = 300.0
    longest_wait_s: float = 30.0
    least_interval_s: float = 1.0

    def __post_init__(self) -> None:
        if min(self.attempts, self.document_bytes, self.image_bytes, self.image_pixels) < 1:
            raise ValueError("attempts, bytes and pixels are at least 1")
        times = (self.connect_s, self.read_s, self.document_s, self.image_s)
        if min(times) <= 0 or min(self.redirects, self.budget_s, self.longest_wait_s, self.least_interval_s) < 0:
            raise ValueError("timeouts are above 0, and no limit is below it")


DEFAULT_WEB_LIMITS: Final = WebLimits()


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, passed in: a test has its own, and sleeps for nothing.

    Attributes
    ----------
    monotonic
        Seconds that only grow.
    now
        Seconds since 1970, UTC.
    sleep
        Waits so many seconds.
    chance
        A number from 0 up to 1, for the jitter of retries. It decides no byte.
    """

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


SYSTEM_CLOCK: Final = Clock()
