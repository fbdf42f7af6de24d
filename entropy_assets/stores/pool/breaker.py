"""A circuit breaker: a server that does not answer is left alone for a while, so that nobody waits for it in a queue.

Trusted for nothing but time. It repeats no call: it lets each through once or refuses it before it was sent.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from entropy_assets.errors import PoolUnavailable

FAILURES: Final = 3
"""Calls in a row without an answer that open the circuit."""
FIRST_COOL_OFF_S: Final = 0.5
LONGEST_COOL_OFF_S: Final = 4.0


class CircuitBreaker:
    """Refuses calls for a cool-off after `FAILURES` in a row; then one caller tries, and the others still wait.

    Each try that fails doubles the cool-off, from `FIRST_COOL_OFF_S` to `LONGEST_COOL_OFF_S`. Safe for threads.

    Parameters
    ----------
    answers
        Errors that are an answer, since the server spoke. Whatever else ends a call counts as a failure.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self, *, answers: tuple[type[BaseException], ...] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._answers = answers
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._cool_off_s = FIRST_COOL_OFF_S
        self._closes_at: float | None = None
        self._trying = False
        self._turn = 0

    @contextmanager
    def call(self) -> Iterator[bool]:
        """Stand around one call; give whether it is the one that tries.

        Raises
        ------
        PoolUnavailable
            If the circuit is open; ``data["retry_after_s"]`` is whole seconds, one at least. Nothing was sent.
        """
        turn, trying = self._admit()
        answered = False
        try:
            yield trying
            answered = True
        except self._answers:
            answered = True
            raise
        finally:
            self._settle(turn, answered)

    def _admit(self) -> tuple[int, bool]:
        with self._lock:
            if self._closes_at is None:
                return self._turn, False
            wait_s = self._closes_at - self._clock()
            if self._trying or wait_s > 0:
                raise PoolUnavailable(
                    "the pool's server does not answer and is left alone for a moment",
                    retry_after_s=max(1, math.ceil(wait_s)),
                )
            self._trying = True
            return self._turn, True

    def _settle(self, turn: int, answered: bool) -> None:
        with self._lock:
            if turn != self._turn:
                return  # began before the circuit last opened or closed, and says nothing about now
            if not answered:
                self._count_failure()
            elif self._closes_at is not None or self._failures:
                self._turn += self._closes_at is not None
                self._failures, self._cool_off_s = 0, FIRST_COOL_OFF_S
                self._closes_at, self._trying = None, False

    def _count_failure(self) -> None:
        self._failures += 1
        if self._trying:
            self._cool_off_s = min(2 * self._cool_off_s, LONGEST_COOL_OFF_S)
        elif self._failures < FAILURES:
            return
        self._turn += 1
        self._trying = False
        self._closes_at = self._clock() + self._cool_off_s
