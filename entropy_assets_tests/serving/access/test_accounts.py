"""Limits over several workers: never more than allowed, hardly less, and what happens when nobody can count."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest

from entropy_assets.errors import QuotaExceeded, QuotaUnavailable
from entropy_assets.serving.access import accounts as accounts_module
from entropy_assets.serving.access.accounts import AWAY_S, HANGS_S, Accounts
from entropy_assets.serving.access.allowances import BURST_S, Account, Limits
from entropy_assets.stores.buckets import Ask, Grant, SharedBuckets, buckets_at
from entropy_assets.stores.pool.embedded import EmbeddedServer

Worker = Callable[[], Accounts]


@pytest.fixture
def buckets(valkey_url: str, pool_prefix: str) -> SharedBuckets:
    """Give the buckets of this test on the real server."""
    return SharedBuckets.from_url(valkey_url, prefix=pool_prefix, timeout_s=5)


@pytest.fixture
def worker(valkey_url: str, pool_prefix: str) -> Worker:
    """Give what makes a worker's accounts on the real server; all made in one test share their buckets."""
    return lambda: Accounts(SharedBuckets.from_url(valkey_url, prefix=pool_prefix, timeout_s=5))


@asynccontextmanager
async def running(*workers: Accounts) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for each in workers:
            await each.stop()


def account(accounts: Accounts, subject: str = "key:a", *, trusted: bool = True, **limits: float) -> Account:
    return accounts.of(subject, Limits(**limits), trusted=trusted)  # type: ignore[arg-type]


async def draw(accounts: Accounts, n_bytes: int, until: float, **limits: float) -> int:
    """Ask without pause, as a client that ignores every refusal, and return the bytes that were granted.

    The last of them is after `until`: what flowed in while the machine did other things is drawn too.
    """
    granted = 0
    while True:
        asked = time.monotonic()
        subject = account(accounts, **limits)
        try:
            if subject.take_at_once(1, n_bytes) is None:
                await accounts.take(subject, 1, n_bytes)
            granted += n_bytes
        except QuotaExceeded:
            if asked >= until:
                return granted
            await asyncio.sleep(0.002)
        if granted % (64 * n_bytes) == 0:
            await asyncio.sleep(0)


async def swept(accounts: Accounts) -> None:
    """Wait until nothing is held any more; it takes some sweeps."""
    async with asyncio.timeout(20):
        while len(accounts):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("rate, n_bytes", [(1_000_000, 1024), (200_000, 65_536)])
async def test_all_workers_together_admit_what_one_may_and_hardly_less(
    workers: int, rate: int, n_bytes: int, worker: Worker
) -> None:
    limits = {"bytes_per_s": rate, "longest_bytes": 65_536}
    all_workers = [worker() for _ in range(workers)]
    async with running(*all_workers):
        began = time.monotonic()
        granted = sum(await asyncio.gather(*(draw(each, n_bytes, began + 2, **limits) for each in all_workers)))
        passed = time.monotonic() - began
    burst = rate * BURST_S
    assert granted <= burst + rate * passed
    # an answer's worth may lie in each worker when the time is up
    assert granted >= burst + 0.9 * rate * passed - workers * n_bytes


async def test_requests_are_limited_too(worker: Worker) -> None:
    one = worker()
    async with running(one):
        began = time.monotonic()
        requests = await draw(one, 1, began + 1.5, requests_per_s=50)
        allowed = 50 * (BURST_S + time.monotonic() - began)
    assert 0.9 * allowed <= requests <= allowed


async def test_one_limit_that_is_used_up_spends_nothing_of_the_other(worker: Worker) -> None:
    one = worker()
    async with running(one):
        subject = account(one, requests_per_s=10, bytes_per_s=100)
        await one.take(subject, 1, 1000)
        for _ in range(20):
            with pytest.raises(QuotaExceeded) as refusal:
                await one.take(subject, 1, 900)
        assert refusal.value.data["violated_policies"] == ["bytes"]
        for _ in range(99):
            await one.take(subject, 1, 0)


async def test_the_wait_that_is_named_is_long_enough(worker: Worker) -> None:
    one = worker()
    async with running(one):
        subject = account(one, bytes_per_s=1000)
        await one.take(subject, 1, 10_000)
        with pytest.raises(QuotaExceeded) as refusal:
            await one.take(subject, 1, 1900)
        wait = refusal.value.data["retry_after_s"]
        assert wait == 2
        await asyncio.sleep(wait)
        await one.take(subject, 1, 1900)


async def test_more_than_a_burst_is_refused_however_long_one_waits(worker: Worker) -> None:
    one = worker()
    async with running(one):
        with pytest.raises(QuotaExceeded):
            await one.take(account(one, bytes_per_s=1000), 1, 10_001)


async def test_a_refusal_that_is_known_asks_nobody(buckets: SharedBuckets) -> None:
    """A client that hammers a used-up limit must not hammer the pool's server."""
    way = Way(buckets)
    one = Accounts(way)
    async with running(one):
        subject = account(one, bytes_per_s=1)
        await one.take(subject, 1, 10)
        for _ in range(100):
            with pytest.raises(QuotaExceeded):
                await one.take(subject, 1, 5)
        assert len(way.asked) < 5


async def test_waiters_at_once_are_answered_by_one_question(buckets: SharedBuckets) -> None:
    way = Way(buckets)
    one = Accounts(way)
    async with running(one):
        subject = account(one, bytes_per_s=10_000)
        await asyncio.gather(*(one.take(subject, 1, 100) for _ in range(200)))
        assert way.calls <= 4


async def test_what_is_not_used_goes_back_and_another_worker_can_have_it(worker: Worker) -> None:
    first, second = worker(), worker()
    async with running(first, second):
        await first.take(account(first, bytes_per_s=100), 1, 1)
        assert account(first, bytes_per_s=100).allowances[0].held > 0
        await swept(first)
        await second.take(account(second, bytes_per_s=100), 1, 999)


@pytest.mark.parametrize("waits", [False, True])
async def test_what_was_spent_and_not_drawn_is_had_again_however_long_that_took(waits: bool, worker: Worker) -> None:
    """By then the worker may have let go of the account."""
    one, other = worker(), worker()
    async with running(one, other):
        spender = account(one, bytes_per_s=1, longest_bytes=1000)
        await one.take(spender, 1, 1000)
        if waits:
            await swept(one)
        one.refund(spender, 1000, local=False)
        await swept(one)
        await asyncio.sleep(3 * accounts_module.SWEEP_S)  # no account tells of a gift on its way
        await other.take(account(other, bytes_per_s=1, longest_bytes=1000), 1, 999)


async def test_a_worker_that_stops_gives_back_what_it_holds(worker: Worker) -> None:
    first, second = worker(), worker()
    async with running(second):
        async with running(first):
            await first.take(account(first, bytes_per_s=10), 1, 1)
        await second.take(account(second, bytes_per_s=10), 1, 99)


async def test_addresses_beyond_the_cap_make_way_and_keys_stay(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts_module, "MAX_ADDRESSES", 50)
    one = worker()
    async with running(one):
        kept = account(one, "key:kept", bytes_per_s=100)
        for number in range(500):
            account(one, f"address:{number}", trusted=False, bytes_per_s=100)
        assert len(one) <= 51
        assert one.known("key:kept") is kept


class TestWithoutTheServer:
    @pytest.fixture
    def gone(self) -> Accounts:
        """Give accounts whose server has just ended."""
        with EmbeddedServer() as server:
            accounts = Accounts(SharedBuckets.from_url(server.url, prefix="q"))
        return accounts

    async def test_who_has_no_key_gets_nothing(self, gone: Accounts) -> None:
        async with running(gone):
            for _ in range(3):
                with pytest.raises(QuotaUnavailable):
                    await gone.take(account(gone, "address:1", trusted=False, bytes_per_s=100), 1, 1)
            assert gone.problem is not None

    async def test_a_failure_is_not_reported_for_ever(self) -> None:
        """Without traffic nobody would ever see that the server is back."""
        later = 0.0
        gone = Accounts(SharedBuckets.from_url("unix:///nowhere", prefix="q"), lambda: time.monotonic() + later)
        async with running(gone):
            await gone.take(account(gone, bytes_per_s=100), 1, 1)
            assert gone.problem is not None
            later = accounts_module.PROBLEM_S + accounts_module.AWAY_S + 1
            assert gone.problem is None

    async def test_a_key_is_limited_by_the_worker_alone(self, gone: Accounts) -> None:
        async with running(gone):
            subject = account(gone, bytes_per_s=100)
            for _ in range(10):
                await gone.take(subject, 1, 100)
            with pytest.raises(QuotaExceeded):
                await gone.take(subject, 1, 100)

    async def test_one_of_several_servers_takes_limits_only_from_its_own_subjects(self) -> None:
        with EmbeddedServer() as dead, EmbeddedServer() as healthy:
            urls = [dead.url, healthy.url]
            shards = buckets_at(urls, prefix="q")
            addresses = [f"address:{number}" for number in range(40)]
            dead.stop()
            known = shards.grant([Ask(True, address, 1, 1, 1e6, 10e6) for address in addresses])
            of_dead = addresses[known.index(None)]
            of_healthy = next(each for each, grant in zip(addresses, known, strict=True) if grant is not None)
            accounts = Accounts(buckets_at(urls, prefix="q"))
            async with running(accounts):
                for _ in range(2):
                    with pytest.raises(QuotaUnavailable):
                        await accounts.take(account(accounts, of_dead, trusted=False, bytes_per_s=100), 1, 1)
                    await accounts.take(account(accounts, of_healthy, trusted=False, bytes_per_s=100), 1, 1)
                assert accounts.problem is not None

    async def test_its_own_units_never_enter_the_shared_buckets(self) -> None:
        """Else every outage would fill them."""
        with EmbeddedServer() as server:
            way = Way(SharedBuckets.from_url(server.url, prefix="q"))
            one = Accounts(way)
            async with running(one):
                way.away = True
                await one.take(account(one, bytes_per_s=1000), 1, 1)
                assert account(one, bytes_per_s=1000).allowances[0].held > 0
                way.away = False
                await asyncio.sleep(accounts_module.AWAY_S)
                await swept(one)
            assert [ask for ask in way.asked if ask.want < 0] == []

    async def test_nor_do_those_that_were_spent_and_not_drawn(self) -> None:
        """Whether they come back while the worker has the account, or when it has let go of it."""
        with EmbeddedServer() as server:
            way = Way(SharedBuckets.from_url(server.url, prefix="q"))
            one = Accounts(way)
            async with running(one):
                way.away = True
                early, late = account(one, bytes_per_s=1000), account(one, "key:b", bytes_per_s=1000)
                for each in (early, late):
                    await one.take(each, 1, 400)
                    assert each.makes_bytes
                way.away = False
                early.take_at_once(0, early.allowances[0].held)
                early.allowances[0].local = False  # as with the next grant of the server
                one.refund(early, 400, local=True)
                await asyncio.sleep(accounts_module.AWAY_S)
                await swept(one)
                one.refund(late, 400, local=True)
                await asyncio.sleep(2 * accounts_module.SWEEP_S)
            assert [ask for ask in way.asked if ask.want < 0] == []

    async def test_it_counts_for_all_again_when_the_server_is_back(self) -> None:
        with EmbeddedServer() as server:
            way = Way(SharedBuckets.from_url(server.url, prefix="q"))
            one = Accounts(way)
            async with running(one):
                way.away = True
                with pytest.raises(QuotaUnavailable):
                    await one.take(account(one, "address:1", trusted=False, bytes_per_s=10), 1, 1)
                way.away = False
                await asyncio.sleep(accounts_module.AWAY_S + 0.05)
                await one.take(account(one, "address:1", trusted=False, bytes_per_s=10), 1, 1)
                assert one.problem is None


class Way:
    """A way to the server that can be cut, and that knows what was asked on it."""

    def __init__(self, shared: SharedBuckets) -> None:
        self._shared = shared
        self.away = False
        self.calls = 0
        self.asked: list[Ask] = []

    def grant(self, asks: list[Ask]) -> list[Grant]:
        """Answer, unless cut."""
        self.calls += 1
        self.asked += asks
        if self.away:
            raise QuotaUnavailable("cut")
        return self._shared.grant(asks)

    def close(self) -> None:
        """Close the way."""
        self._shared.close()


async def test_while_a_server_of_some_is_away_its_addresses_get_nothing_and_everybody_else_goes_on() -> None:
    class HalfAway:
        def grant(self, asks: Sequence[Ask]) -> list[Grant | None]:
            return [None if "away" in ask.subject else Grant(ask.want, 9, 0) for ask in asks]

        def close(self) -> None: ...

    accounts = Accounts(HalfAway())
    async with running(accounts):
        for subject, trusted in (("here", False), ("key:here", True), ("key:away", True)):
            assert await accounts.take(account(accounts, subject, trusted=trusted, requests_per_s=5.0), 1, 1)
        with pytest.raises(QuotaUnavailable):
            await accounts.take(account(accounts, "away", trusted=False, requests_per_s=5.0), 1, 1)
        assert "some of the quotas" in str(accounts.problem)


class Hanging:
    """Buckets that nobody hears of, as while the name of their server is looked up in vain."""

    def __init__(self) -> None:
        self.asked = 0
        self.ends = threading.Event()

    def grant(self, asks: Sequence[Ask]) -> Sequence[Grant | None]:
        self.asked += 1
        self.ends.wait(30)
        raise QuotaUnavailable("away")

    def close(self) -> None: ...


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    """Give such buckets, and let them go in the end."""
    buckets = Hanging()
    yield buckets
    buckets.ends.set()


async def test_a_stop_does_not_wait_for_buckets_that_hang(hanging: Hanging) -> None:
    """Nor does the end of the process, which waits for every thread that is no daemon."""
    before = {*threading.enumerate()}
    accounts = Accounts(hanging)
    with pytest.raises(QuotaUnavailable):
        await accounts.take(account(accounts, "address:a", trusted=False, requests_per_s=10), 1, 0)
    async with asyncio.timeout(HANGS_S + 3):
        await accounts.stop()
    begun = {*threading.enumerate()} - before
    assert all(thread.daemon or thread.name.startswith("asyncio_") for thread in begun)  # the loop's own idle


async def test_holders_of_keys_are_let_in_while_buckets_hang_and_nobody_is_asked_meanwhile(hanging: Hanging) -> None:
    """As while they are away; each question that hangs has a thread."""
    accounts = Accounts(hanging)
    async with running(accounts):
        subject = account(accounts, requests_per_s=10)
        with contextlib.suppress(QuotaUnavailable):
            await accounts.take(subject, 1, 0)
        async with asyncio.timeout(HANGS_S + 3):
            while True:
                with contextlib.suppress(QuotaUnavailable):
                    await accounts.take(subject, 1, 0)
                    break
        assert accounts.problem is not None
        for number in range(3):
            await asyncio.sleep(AWAY_S / 2)
            await accounts.take(account(accounts, f"key:{number}", requests_per_s=10), 1, 0)
        assert hanging.asked == 1
