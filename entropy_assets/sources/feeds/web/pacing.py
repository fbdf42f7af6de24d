"""When a host may be asked again: one question at a time, with rests between, and never before it said.

Kept in memory and shared by all readers of a process; what a host asked for is kept, for all others.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from entropy_assets.sources.feeds.web.limits import SYSTEM_CLOCK, Clock
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.refusals import StoreError

MOST_HOSTS: Final = 1024
"""Most hosts that are remembered: a feed may ask all names below one, and a server make them up."""


LEAST_KEPT_S: Final = 1.0
"""Rests up to this are over before another process asks, seconds."""
LONGEST_KEPT_S: Final = 86_400.0
"""Longest rest that is kept, seconds; one that is longer was written by another clock, and is none."""


class HostResting(Exception):
    """A host must not be asked for longer than somebody wants to wait; `wait_s` is how long."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class KeptRests:
    """Until when hosts want to be left alone, a small blob for each, whoever asked it. Trusted for pacing alone.

    What is lost, or can't be read or written, costs that host one more question, and then it is told again.

    Attributes
    ----------
    blobs
        Where they are.
    """

    blobs: Blobs

    def left_s(self, host: str, now: float) -> float:
        """Return how long a host still wants to be left alone, seconds; 0 if it does not."""
        try:
            told = json.loads(self.blobs.read(_blob_of(host)))
        except (OSError, StoreError, ValueError, RecursionError):
            return 0.0
        match told:
            case {"host": str(name), "until_s": int() | float() as until} if name == host:
                left = until - now
                return left if 0 < left <= LONGEST_KEPT_S else 0.0
        return 0.0

    def keep(self, host: str, seconds: float, now: float) -> None:
        """Keep that a host wants to be left alone from `now` on, seconds since 1970, or longer if that is kept.

        Those of others that are surely over are removed.
        """
        seconds = min(seconds, LONGEST_KEPT_S)
        if seconds <= LEAST_KEPT_S or seconds <= self.left_s(host, now):
            return
        with suppress(OSError, StoreError):
            kept = self.blobs.list().blobs
            over = [blob.name for blob in kept if blob.modified_ns < (now - LONGEST_KEPT_S) * 1e9]
            for name in over:
                self.blobs.delete(name)
            if len(kept) - len(over) < MOST_HOSTS:
                told = json.dumps({"host": host, "until_s": now + seconds})
                self.blobs.replace(_blob_of(host), told.encode("ascii"))


def _blob_of(host: str) -> str:
    """Return the name for a host; two long ones may have the same, so what is kept tells the whole one."""
    return f"{host.replace(':', '_')[:200]}.json"


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
    kept
        What hosts asked other processes for; None if nothing of it is known.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, kept: KeptRests | None = None) -> None:
        self.clock = clock
        self._kept = kept
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
                if self._kept is not None:
                    wait = max(wait, self._kept.left_s(name, self.clock.now()))
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
        if self._kept is not None:
            self._kept.keep(name, seconds, self.clock.now())

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
