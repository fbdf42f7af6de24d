"""When a host may be asked again: one question at a time, with rests between, and never before it said.

Kept in memory and shared by all readers of a process. A process that starts anew asks once, and is told again.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from entropy_assets.sources.feeds.web.limits import SYSTEM_CLOCK, Clock

MOST_HOSTS: Final = 1024
"""Most hosts that are remembered: a feed may ask all names below one, and a server make them up."""


class HostResting(Exception):
    """A host must not be asked for longer than somebody wants to wait; `wait_s` is how long."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


@dataclass(slots=True)
class _Host:
    turn: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = 0.0
    """When it may be asked again, by the monotonic clock."""
    users: int = 0


class Pacing:
    """The hosts that were asked, and when each may be asked again.

    Parameters
    ----------
    clock
        By which is waited.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, name: str, *, least_interval_s: float, longest_wait_s: float) -> Iterator[None]:
        """Wait until the host may be asked, and hold everybody else off until its answer has come.

        Parameters
        ----------
        name
            The host.
        least_interval_s
            Rest afterwards, seconds.
        longest_wait_s
            Longest wait for its rests, seconds. The wait for others that ask it now is not counted.

        Raises
        ------
        HostResting
            If that is not enough; nothing was waited for then.
        """
        host = self._taken(name)
        try:
            with host.turn:
                wait = host.free_at - self.clock.monotonic()
                if wait > longest_wait_s:
                    raise HostResting(wait)
                if wait > 0:
                    self.clock.sleep(wait)
                try:
                    yield
                finally:
                    self._rest(host, least_interval_s)
        finally:
            with self._lock:
                host.users -= 1

    def rest(self, name: str, seconds: float) -> None:
        """Leave a host alone from now on for so long, or for longer if that was said before."""
        host = self._taken(name)
        self._rest(host, seconds)
        with self._lock:
            host.users -= 1

    def _rest(self, host: _Host, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        with self._lock:
            host.free_at = max(host.free_at, until)

    def _taken(self, name: str) -> _Host:
        with self._lock:
            if name not in self._hosts and len(self._hosts) >= MOST_HOSTS:
                self._forget()
            host = self._hosts.setdefault(name, _Host(free_at=self.clock.monotonic()))
            host.users += 1
            return host

    def _forget(self) -> None:
        """Forget the unused host that is free the soonest."""
        idle = [(host.free_at, name) for name, host in self._hosts.items() if not host.users]
        if idle:
            del self._hosts[min(idle)[1]]
