"""What one subject may have of one worker: units at hand, spent by subtraction, and the fields that tell the client."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from entropy_assets.stores.buckets import Ask, Grant

BURST_S: Final = 10.0
"""A bucket that is full holds what flows in during this time: enough for a page or a batch job to begin at once."""
GRANT_S: Final = 0.5
"""A worker takes this much of the flow at a time: above the shortest outage worth riding out, far below a burst."""
LEAST_PER_S: Final = 1e-6
MOST_PER_S: Final = 1e12
"""Flows are counted as if they lay within these, one unit in 12 days and more than any machine serves: beyond, a wait
would be no number, and an integer of a field has 15 digits at most (RFC 9651, section 3.3.1)."""
MOST_WAIT_S: Final = 10**15 - 1
Headers = list[tuple[bytes, bytes]]
"""Of a request or an answer, as ASGI has them: names in lower case, and values."""


def lines_of(headers: Headers) -> bytes:
    """Return `headers` as they are sent."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


@dataclass(frozen=True, slots=True)
class Limits:
    """What one subject may have, in units a second; None is no limit.

    Attributes
    ----------
    requests_per_s, bytes_per_s
        The flow into its buckets.
    longest_bytes
        A bucket of bytes holds this at least, so that every answer fits into one.
    """

    requests_per_s: float | None = None
    bytes_per_s: int | None = None
    longest_bytes: int = 0

    @property
    def any(self) -> bool:
        """Tell whether anything is limited."""
        return self.requests_per_s is not None or self.bytes_per_s is not None


class Allowance:
    """Units of one kind that this worker may let one subject have without asking.

    Attributes
    ----------
    held
        Units at hand.
    alarm
        Below this there is something to do: ask for more, or tell the client.
    """

    __slots__ = ("alarm", "ask", "burst", "full_grant", "held", "left", "local", "policy", "refusal", "reply", "swept")

    def __init__(self, subject: str, per_s: float, least: int, *, of_bytes: bool) -> None:
        per_s = min(max(per_s, LEAST_PER_S), MOST_PER_S)
        self.burst: Final = max(math.ceil(per_s * BURST_S), least)
        self.full_grant: Final = max(1, min(math.ceil(per_s * GRANT_S), self.burst))
        self.ask: Final = Ask(of_bytes, subject, 1, self.full_grant, 1e6 / per_s, self.burst * 1e6 / per_s)
        name, unit = ("bytes", ';qu="content-bytes"') if of_bytes else ("requests", "")
        window_s = min(MOST_WAIT_S, math.ceil(self.burst / per_s))
        self.policy: Final = (name, f'"{name}";q={self.burst};w={window_s}{unit}')
        self.held = self.alarm = self.swept = 0
        self.left = self.burst  # in the bucket, as far as known
        self.refusal = (math.inf, 0.0)  # so many units will not be had before then
        self.local = False
        self.reply: asyncio.Future[None] | None = None

    def show(self) -> str:
        """Return its part of the ``RateLimit`` field, and note when that has to be made anew."""
        remaining = min(self.burst, self.held + self.left)
        step = max(1, self.burst // 100)  # a field that is at most a hundredth off costs nothing on most answers
        self.alarm = max(self.full_grant // 2, self.held - step + 1)
        whole_s = min(MOST_WAIT_S, math.ceil((self.burst - remaining) * self.ask.cost_us / 1e6))
        return f'"{self.policy[0]}";r={max(0, remaining)};t={whole_s}'

    def receive(self, grant: Grant, need: int, now: float, *, local: bool) -> None:
        """Take in what was granted."""
        self.local = local if self.held == 0 else self.local or local
        self.held += grant.units
        self.left = grant.left
        self.refusal = (need, now + grant.wait_us / 1e6) if grant.wait_us else (math.inf, 0.0)

    def refused_for_s(self, units: int, now: float) -> float:
        """Return for how long it is known that `units` can't be had, seconds."""
        need, until = self.refusal
        missing = units - self.held
        return until - now + (missing - need) * self.ask.cost_us / 1e6 if missing >= need and until > now else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Admission:
    """Leave to have an answer.

    Attributes
    ----------
    subject
        Who has it: ``key:<id>``, ``address:<address>`` or ``anonymous``.
    headers, lines
        ``RateLimit`` and ``RateLimit-Policy``, if there are limits: as ASGI wants them, and as they are sent.
    """

    subject: str
    headers: Headers
    account: "Account | None" = None
    lines: bytes = b""


class Account:
    """What one subject may have in this worker.

    Parameters
    ----------
    subject
        Who it is.
    limits
        At least one.
    trusted
        Whether it holds a key, and so is served while the buckets are out of reach.
    fill
        Asks for more of an allowance, and returns at once.
    """

    __slots__ = ("_bytes", "_fill", "_policy", "_requests", "admission", "allowances", "limits", "subject", "trusted")

    def __init__(
        self, subject: str, limits: Limits, *, trusted: bool, fill: "Callable[[Account, Allowance], None]"
    ) -> None:
        self.subject: Final = subject
        self.limits: Final = limits
        self.trusted: Final = trusted
        self._fill = fill
        self._requests = self._bytes = None
        if limits.requests_per_s is not None:
            self._requests = Allowance(subject, limits.requests_per_s, 1, of_bytes=False)
        if limits.bytes_per_s is not None:
            self._bytes = Allowance(subject, limits.bytes_per_s, limits.longest_bytes, of_bytes=True)
        self.allowances: Final = tuple(each for each in (self._requests, self._bytes) if each is not None)
        self._policy = ", ".join(each.policy[1] for each in self.allowances).encode()
        self.show()

    def take_at_once(self, requests: int, n_bytes: int) -> Admission | None:
        """Spend units at hand; None, with nothing spent, if there are too few."""
        first, second = self._requests, self._bytes
        if second is not None:
            if second.held < n_bytes or (first is not None and first.held < requests):
                return None
            second.held -= n_bytes
            if second.held < second.alarm:
                self._attend(second)
        if first is not None:
            if first.held < requests:
                return None
            first.held -= requests
            if first.held < first.alarm:
                self._attend(first)
        return self.admission

    def undo(self, requests: int, n_bytes: int) -> None:
        """Take back what `take_at_once` spent a moment ago, with no await between."""
        if self._requests is not None:
            self._requests.held += requests
        if self._bytes is not None:
            self._bytes.held += n_bytes

    @property
    def makes_bytes(self) -> bool:
        """Tell whether units of bytes at hand are of this worker's own making."""
        return self._bytes is not None and self._bytes.local

    def refund(self, n_bytes: int, *, local: bool) -> None:
        """Take back bytes that were spent and not drawn; with the worker's own making among them all count as such."""
        if self._bytes is not None:
            self._bytes.held += n_bytes
            self._bytes.local = self._bytes.local or local
            self.show()

    def gift_of(self, n_bytes: int) -> list[Ask]:
        """Return what puts bytes that this worker held back into the shared bucket."""
        return [] if self._bytes is None else [self._bytes.ask._replace(want=-n_bytes)]

    def short_of(self, requests: int, n_bytes: int) -> list[tuple[Allowance, int]]:
        """Return the allowances with too few units at hand, and how many each needs."""
        wanted = ((self._requests, requests), (self._bytes, n_bytes))
        return [(each, units) for each, units in wanted if each is not None and each.held < units]

    def show(self) -> None:
        """Make the headers anew."""
        fields = ", ".join(each.show() for each in self.allowances).encode()
        headers = [(b"ratelimit-policy", self._policy), (b"ratelimit", fields)]
        self.admission = Admission(self.subject, headers, self, lines_of(headers))

    def _attend(self, allowance: Allowance) -> None:
        if allowance.held < allowance.full_grant // 2:
            self._fill(self, allowance)
        self.show()
