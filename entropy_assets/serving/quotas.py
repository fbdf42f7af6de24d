"""Limits in requests and bytes, the same over all workers, at the cost of two subtractions per answer.

The truth is in the buckets of `stores.quota`. A worker takes units out of them in grants of half a second's worth and
spends those in memory; what it has not touched for a while it gives back. So over all workers and from any moment at
which a bucket was full, never more is admitted than its burst and what flowed in since; over any other stretch of time,
that and what the workers held when it began.

While the buckets are out of reach, whoever has no key gets nothing, and holders of keys are limited by each worker on
its own.
"""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from entropy_assets.errors import QuotaExceeded, QuotaUnavailable
from entropy_assets.stores.quota import Ask, Grant, LocalQuotas, Quotas

BURST_S: Final = 10.0
"""A bucket that is full holds what flows in during this time: enough for a page or a batch job to begin at once."""
GRANT_S: Final = 0.5
"""A worker takes this much of the flow at a time: above the shortest outage worth riding out, far below a burst."""
SWEEP_S: Final = 0.5
"""What a worker did not touch between two sweeps goes back."""
AWAY_S: Final = 1.0
"""After a failure the buckets are left alone for so long."""
REPLY_S: Final = 1.0
"""Longest wait for a grant."""
MAX_ADDRESSES: Final = 4096
"""Addresses whose grants a worker holds; the oldest makes way, which costs it what it held."""
_TRIES: Final = 8
Headers = list[tuple[bytes, bytes]]


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
        """Whether there is one."""
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
        self.burst: Final = max(math.ceil(per_s * BURST_S), least)
        self.full_grant: Final = max(1, min(math.ceil(per_s * GRANT_S), self.burst))
        self.ask: Final = Ask(of_bytes, subject, 1, self.full_grant, 1e6 / per_s, self.burst * 1e6 / per_s)
        name, unit = ("bytes", ';qu="content-bytes"') if of_bytes else ("requests", "")
        self.policy: Final = (name, f'"{name}";q={self.burst};w={math.ceil(self.burst / per_s)}{unit}')
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
        whole_s = math.ceil((self.burst - remaining) * self.ask.cost_us / 1e6)
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
    headers
        ``RateLimit`` and ``RateLimit-Policy``, if there are limits.
    """

    subject: str
    headers: Headers
    account: "Account | None" = None


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

    def short_of(self, requests: int, n_bytes: int) -> list[tuple[Allowance, int]]:
        """Return the allowances with too few units at hand, and how many each needs."""
        wanted = ((self._requests, requests), (self._bytes, n_bytes))
        return [(each, units) for each, units in wanted if each is not None and each.held < units]

    def show(self) -> None:
        """Make the headers anew."""
        fields = ", ".join(each.show() for each in self.allowances).encode()
        self.admission = Admission(self.subject, [(b"ratelimit-policy", self._policy), (b"ratelimit", fields)], self)

    def _attend(self, allowance: Allowance) -> None:
        if allowance.held < allowance.full_grant // 2:
            self._fill(self, allowance)
        self.show()


class Accounts:
    """Every subject's account in this worker, and the thread that talks to the buckets.

    Parameters
    ----------
    shared
        The buckets that all workers share.
    clock
        Monotonic seconds.
    """

    def __init__(self, shared: Quotas, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._local = LocalQuotas()
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._wanted: dict[Allowance, tuple[Account, int, int]] = {}
        self._gifts: list[Ask] = []
        self._wake = asyncio.Event()
        self._filler: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "quotas")
        self._away_until = -math.inf
        self.problem: str | None = None

    def __len__(self) -> int:
        return len(self._accounts)

    def known(self, subject: str) -> Account | None:
        """Return the account of a subject, None if it has none."""
        return self._accounts.get(subject)

    def of(self, subject: str, limits: Limits, *, trusted: bool) -> Account:
        """Return the account of a subject; a new one if it has none."""
        account = self._accounts.get(subject)
        if account is None:
            if not trusted and len(self._accounts) >= MAX_ADDRESSES:
                self._forget_one()
            account = self._accounts[subject] = Account(subject, limits, trusted=trusted, fill=self._prefetch)
        return account

    def forget_keys(self) -> None:
        """Forget the accounts of keys, whose limits may have changed."""
        for account in [each for each in self._accounts.values() if each.trusted]:
            self._let_go(account)

    async def take(self, account: Account, requests: int, n_bytes: int) -> Admission:
        """Spend units, after asking for them if need be.

        Raises
        ------
        QuotaExceeded
            If the limit does not allow it now; nothing was spent.
        QuotaUnavailable
            If nobody can tell and the subject has no key.
        """
        for _ in range(_TRIES):
            admission = account.take_at_once(requests, n_bytes)
            if admission is not None:
                return admission
            short = account.short_of(requests, n_bytes)
            self._refuse_if_known(account, short)
            for allowance, units in short:
                self._want(account, allowance, units - allowance.held)
            await self._replies(account, [allowance for allowance, _ in short])
        raise _exceeded(account, [allowance for allowance, _ in account.short_of(requests, n_bytes)], 1.0)

    def _refuse_if_known(self, account: Account, short: list[tuple[Allowance, int]]) -> None:
        now = self._clock()
        waits = [each.refused_for_s(units, now) for each, units in short]
        waits += [(units - each.held) * each.ask.cost_us / 1e6 for each, units in short if units > each.burst]
        if max(waits, default=0) > 0:
            violated = [each for each, units in short if units > each.burst or each.refused_for_s(units, now) > 0]
            raise _exceeded(account, violated, max(waits))

    async def _replies(self, account: Account, allowances: list[Allowance]) -> None:
        replies = [each.reply for each in allowances if each.reply is not None]
        done, late = await asyncio.wait(replies, timeout=REPLY_S)
        if late:
            for allowance in allowances:
                allowance.reply = None  # whoever comes next may ask again
            raise QuotaUnavailable("nobody could tell in time how much of the quota is left", retry_after_s=1)
        for reply in done:
            reply.result()

    def _prefetch(self, account: Account, allowance: Allowance) -> None:
        if allowance.reply is None and self._clock() >= allowance.refusal[1]:
            self._want(account, allowance, max(1, allowance.full_grant // 4))

    def _want(self, account: Account, allowance: Allowance, need: int) -> None:
        """Put an allowance on the list; what is wanted twice is asked for once."""
        _, most, total = self._wanted.get(allowance, (account, 0, 0))
        if allowance.reply is None or allowance in self._wanted:
            self._wanted[allowance] = (account, max(most, need), total + need)
        if allowance.reply is None:
            allowance.reply = asyncio.get_running_loop().create_future()
        if self._filler is None or self._filler.done():
            self._filler = asyncio.create_task(self._fill())
        self._wake.set()

    async def _fill(self) -> None:
        sweep_at = self._clock() + SWEEP_S
        while True:
            try:
                async with asyncio.timeout(max(0.0, sweep_at - self._clock())):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self._ask_for_all()
            if self._clock() >= sweep_at:
                self._sweep()
                await self._give_back()
                sweep_at = self._clock() + SWEEP_S

    async def _ask_for_all(self) -> None:
        wanted, self._wanted = self._wanted, {}
        if not wanted:
            return
        asks = [
            allowance.ask._replace(need=most, want=min(max(total, allowance.full_grant), allowance.burst))
            for allowance, (_, most, total) in wanted.items()
        ]
        grants = await self._shared_grants(asks)
        local = grants is None
        now = self._clock()
        for ask, grant, (allowance, (account, *_)) in zip(
            asks, self._local.grant(asks) if grants is None else grants, wanted.items(), strict=True
        ):
            reply, allowance.reply = allowance.reply, None
            if local and not account.trusted:
                _settle(reply, QuotaUnavailable("the server that keeps the quotas is away", retry_after_s=1))
                continue
            allowance.receive(grant, ask.need, now, local=local)
            account.show()
            _settle(reply, None)

    async def _shared_grants(self, asks: list[Ask]) -> list[Grant] | None:
        """Return what the shared buckets grant; None while they are away."""
        if self._clock() < self._away_until:
            return None
        try:
            grants = await asyncio.get_running_loop().run_in_executor(self._thread, self._shared.grant, asks)
        except QuotaUnavailable as error:
            self.problem = error.message
            self._away_until = self._clock() + AWAY_S
            return None
        self.problem = None
        return grants

    def _sweep(self) -> None:
        """Let go of what was not touched since the last sweep."""
        for account in list(self._accounts.values()):
            if any(each.reply is not None or each.held != each.swept for each in account.allowances):
                for each in account.allowances:
                    each.swept = each.held
            else:
                self._let_go(account)

    def _let_go(self, account: Account) -> None:
        del self._accounts[account.subject]
        for each in account.allowances:
            if each.held and not each.local:  # units of this worker's own making don't enter the shared buckets
                self._gifts.append(each.ask._replace(want=-each.held))
            each.held = each.swept = 0

    def _forget_one(self) -> None:
        oldest = next((each for each in self._accounts.values() if not each.trusted), None)
        if oldest is not None:
            self._let_go(oldest)

    async def _give_back(self) -> None:
        gifts, self._gifts = self._gifts, []
        if gifts:
            await self._shared_grants(gifts)

    async def stop(self) -> None:
        """Give back what is held and end the thread."""
        if self._filler is not None:
            self._filler.cancel()
            await asyncio.wait([self._filler])
            for account in list(self._accounts.values()):
                self._let_go(account)
            await self._give_back()
        self._thread.shutdown(wait=False)
        self._shared.close()


def _settle(reply: "asyncio.Future[None] | None", error: QuotaUnavailable | None) -> None:
    if reply is None or reply.done():
        return
    if error is None:
        reply.set_result(None)
    else:
        reply.set_exception(error)
        reply.exception()  # a prefetch has nobody who would fetch it


def _exceeded(account: Account, allowances: list[Allowance], wait_s: float) -> QuotaExceeded:
    names = [each.policy[0] for each in allowances]
    wait = max(1, math.ceil(wait_s))
    return QuotaExceeded(
        f"the limit in {' and '.join(names)} is used up; ask again in {wait} s",
        retry_after_s=wait,
        violated_policies=names,
        **{name.decode(): value.decode() for name, value in account.admission.headers},
    )
