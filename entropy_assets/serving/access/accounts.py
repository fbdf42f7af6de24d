"""Limits in requests and bytes, the same over all workers, at the cost of two subtractions per answer.

The truth is in the buckets of `stores.buckets`. A worker takes units out of them in grants of half a second's worth and
spends those in memory; what it has not touched for a while it gives back. So over all workers, from any moment at
which a bucket was full and nobody held a part of it, never more is admitted than its burst and what flowed in since;
over any other stretch of time, that and what the workers held when it began.

While the buckets are out of reach, whoever has no key gets nothing, and holders of keys are limited by each worker on
its own.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Final

from entropy_assets.errors import QuotaExceeded, QuotaUnavailable
from entropy_assets.serving.access.allowances import Account, Admission, Allowance, Limits
from entropy_assets.serving.single_flight import begun
from entropy_assets.stores.buckets import Ask, Buckets, Grant, LocalBuckets

SWEEP_S: Final = 0.5
"""What a worker did not touch between two sweeps goes back."""
AWAY_S: Final = 1.0
"""After a failure the buckets are left alone for so long."""
PROBLEM_S: Final = 10.0
"""A failure is reported for so long, unless the buckets answer before."""
HANGS_S: Final = 2.0
"""Buckets that do not answer for so long are away, and are not asked again before they do: an answer that drips, or a
name that is looked up in vain, passes no time-out. Of several servers each may take its time-outs."""
REPLY_S: Final = 1.0
"""Longest wait for a grant."""
MAX_ADDRESSES: Final = 4096
"""Addresses whose grants a worker holds; the oldest makes way, which costs it what it held."""
_TRIES: Final = 8
_HANG: Final = f"the server that keeps the quotas gave no answer in {HANGS_S:g} s"


class Accounts:
    """Every subject's account in this worker, and the task that asks the buckets, in a thread.

    Parameters
    ----------
    shared
        The buckets that all workers share.
    clock
        Monotonic seconds.

    Attributes
    ----------
    known
        Returns the account of a subject, None if it has none.
    """

    def __init__(self, shared: Buckets, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._local = LocalBuckets()
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self.known: Final = self._accounts.get
        self._wanted: dict[Allowance, tuple[Account, int, int]] = {}
        self._gifts: list[Ask] = []
        self._wake = asyncio.Event()
        self._filler: asyncio.Task[None] | None = None
        self._asked: Future[Sequence[Grant | None]] = Future()
        self._asked.set_result(())
        self._away_until = -math.inf
        self._told_until = -math.inf
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why the shared buckets are out of reach; None if they are not, or nobody asked for a while."""
        return self._problem if self._clock() < self._told_until else None

    def __len__(self) -> int:
        return len(self._accounts)

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

    def refund(self, account: Account, n_bytes: int, *, local: bool) -> None:
        """Take back bytes that were spent and not drawn.

        Parameters
        ----------
        account
            Who spent them; one that was let go meanwhile gives them back to the shared buckets.
        n_bytes
            As many as that.
        local
            Whether there may be units of this worker's own making among them, which don't enter the shared buckets.
        """
        if self._accounts.get(account.subject) is account:
            account.refund(n_bytes, local=local)
        elif not local:
            self._gifts += account.gift_of(n_bytes)

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
        shared = await self._shared_grants(asks) or [None] * len(asks)
        now = self._clock()
        for ask, granted, (allowance, (account, *_)) in zip(asks, shared, wanted.items(), strict=True):
            reply, allowance.reply = allowance.reply, None
            local = granted is None
            grant = self._local.grant([ask])[0] if granted is None else granted
            if local and not account.trusted:
                _settle(reply, QuotaUnavailable("the server that keeps the quotas is away", retry_after_s=1))
                continue
            allowance.receive(grant, ask.need, now, local=local)
            account.show()
            _settle(reply, None)

    async def _shared_grants(self, asks: list[Ask]) -> Sequence[Grant | None] | None:
        """Return what the shared buckets grant; None while they are away, or for each that is away."""
        if self._clock() < self._away_until or not self._asked.done():
            return None
        self._asked = begun(partial(self._shared.grant, asks))
        try:
            async with asyncio.timeout(HANGS_S):
                grants = await asyncio.shield(asyncio.wrap_future(self._asked))
        except (QuotaUnavailable, TimeoutError) as error:
            self._away_until = self._clock() + AWAY_S
            self._tell(error.message if isinstance(error, QuotaUnavailable) else _HANG)
            return None
        if None in grants:
            self._tell("a server that keeps some of the quotas does not answer")
        else:
            self._problem = None
        return grants

    def _tell(self, problem: str) -> None:
        self._problem, self._told_until = problem, self._clock() + AWAY_S + PROBLEM_S

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
        """Give back what is held."""
        if self._filler is not None:
            self._filler.cancel()
            await asyncio.wait([self._filler])
            await asyncio.to_thread(wait, [self._asked], HANGS_S)
            for account in list(self._accounts.values()):
                self._let_go(account)
            await self._give_back()
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
