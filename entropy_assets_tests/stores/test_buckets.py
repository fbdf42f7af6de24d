"""Buckets: what they give out never exceeds what flows in, on a real server and in the process's own form."""

import math
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.errors import QuotaUnavailable
from entropy_assets.stores.buckets import (
    ASKS_PER_CALL,
    Ask,
    Buckets,
    Grant,
    LocalBuckets,
    ShardedBuckets,
    SharedBuckets,
    buckets_at,
)
from entropy_assets.stores.pool.embedded import EmbeddedServer


def ask(
    need: int,
    want: int | None = None,
    *,
    subject: str = "s",
    rate: float = 1e-3,
    burst: int = 100,
    of_bytes: bool = True,
) -> Ask:
    """Return an ask whose bucket hardly fills while a test runs."""
    return Ask(of_bytes, subject, need, need if want is None else want, 1e6 / rate, burst * 1e6 / rate)


@pytest.fixture
def shared(valkey_url: str, pool_prefix: str) -> Iterator[SharedBuckets]:
    """Give empty buckets on the real server."""
    buckets = SharedBuckets.from_url(valkey_url, prefix=pool_prefix, timeout_s=5)
    yield buckets
    buckets.close()


@pytest.fixture(params=["shared", "local"])
def buckets(request: pytest.FixtureRequest, shared: SharedBuckets) -> Buckets:
    """Give both kinds, empty."""
    return shared if request.param == "shared" else LocalBuckets()


class TestBothKinds:
    def test_a_bucket_begins_full_and_gives_its_burst(self, buckets: Buckets) -> None:
        assert buckets.grant([ask(100)]) == [Grant(100, 0, 0)]
        [refused] = buckets.grant([ask(1)])
        assert (refused.units, refused.left) == (0, 0)
        assert 990e6 < refused.wait_us <= 1000e6

    def test_all_that_is_wanted_or_what_there_is_or_nothing(self, buckets: Buckets) -> None:
        assert buckets.grant([ask(10, 60)]) == [Grant(60, 40, 0)]
        assert buckets.grant([ask(10, 60)]) == [Grant(40, 0, 0)]
        assert buckets.grant([ask(10, 60)])[0].units == 0

    def test_too_much_is_refused_and_takes_nothing(self, buckets: Buckets) -> None:
        buckets.grant([ask(70)])
        [refused] = buckets.grant([ask(31)])
        assert (refused.units, refused.left) == (0, 30)
        assert buckets.grant([ask(30)]) == [Grant(30, 0, 0)]

    def test_what_comes_back_can_be_had_again_and_never_more_than_a_burst(self, buckets: Buckets) -> None:
        buckets.grant([ask(100)])
        buckets.grant([ask(0, -40)])
        assert buckets.grant([ask(40)])[0].units == 40
        buckets.grant([ask(0, -1000)])
        assert buckets.grant([ask(101)])[0].units == 0
        assert buckets.grant([ask(100)])[0].units == 100

    def test_subjects_and_kinds_do_not_touch_each_other(self, buckets: Buckets) -> None:
        buckets.grant([ask(100, subject="a")])
        others = [ask(100, subject="b"), ask(100, subject="a", of_bytes=False), ask(1, subject="a")]
        assert [grant.units for grant in buckets.grant(others)] == [100, 100, 0]

    def test_it_fills_at_its_rate(self, buckets: Buckets) -> None:
        burst = 100_000  # more than flows in while the machine does other things
        began = time.monotonic()
        buckets.grant([ask(burst, rate=1000.0, burst=burst)])
        emptied, got = time.monotonic(), 0
        for _ in range(30):
            time.sleep(0.01)
            asked = time.monotonic()
            got += buckets.grant([ask(1, burst, rate=1000.0, burst=burst)])[0].units
        answered = time.monotonic()
        assert 1000 * (asked - emptied) - 2 <= got <= 1000 * (answered - began) + 2

    @pytest.mark.parametrize("rate", [0.1, 1 / 3, 7.0, 1e4, 123_456_789.0, 1e12])
    def test_a_full_bucket_holds_exactly_its_burst_at_any_rate(self, buckets: Buckets, rate: float) -> None:
        burst = max(1, math.ceil(rate * 10))
        full = ask(1, burst + 1, rate=rate, burst=burst, subject=f"{rate}")
        assert buckets.grant([full])[0].units == burst


@given(
    rate=st.floats(0.05, 1e10),
    steps=st.lists(
        st.tuples(st.integers(0, 2_000_000), st.floats(0, 1), st.floats(0, 1), st.booleans()), min_size=1, max_size=60
    ),
)
def test_never_more_than_a_burst_and_what_flowed_in(rate: float, steps: list[tuple[int, float, float, bool]]) -> None:
    """Asks of any size at any time, with units given back in between, from a full bucket."""
    now = 1e15
    buckets = LocalBuckets(lambda: now)
    burst = max(1, math.ceil(rate * 10))
    taken = began = 0.0
    began = now
    for wait_us, share, least, gives_back in steps:
        now += wait_us
        want = max(1, round(burst * share))
        need = max(1, round(want * least))
        if gives_back and taken >= want:
            buckets.grant([ask(0, -want, rate=rate, burst=burst)])
            taken -= want
        else:
            taken += buckets.grant([ask(need, want, rate=rate, burst=burst)])[0].units
        # half a microsecond for what a double can't tell apart at 1e15
        assert taken <= burst + rate * (now - began + 0.5) / 1e6


def test_the_server_keeps_the_rules_of_the_process(shared: SharedBuckets) -> None:
    """One list of asks, both kinds: the same units, and the same left but for what flows in meanwhile."""
    local = LocalBuckets()
    asks = [
        ask(need, want) for need, want in [(5, 30), (1, 1), (50, 60), (0, -7), (20, 90), (3, 3), (0, -200), (1, 99)]
    ]
    answers = [buckets.grant(asks) for buckets in (shared, local)]
    assert [[grant[:2] for grant in each] for each in answers] == [[grant[:2] for grant in answers[1]]] * 2


def test_many_asks_are_answered_in_their_order(shared: SharedBuckets) -> None:
    many = [ask(number % 100 + 1, subject=str(number)) for number in range(3 * ASKS_PER_CALL + 1)]
    assert [grant.units for grant in shared.grant(many)] == [each.need for each in many]


class TestOnSeveralServers:
    SUBJECTS = tuple(f"address {number}" for number in range(400))
    """So many that none of two servers has less than a quarter, whatever the names of their sockets: one in 10**24."""

    @pytest.fixture
    def servers(self) -> Iterator[list[EmbeddedServer]]:
        """Give two servers of their own."""
        with EmbeddedServer() as one, EmbeddedServer() as other:
            yield [one, other]

    def test_each_subject_has_one_bucket_whoever_asks_in_whatever_order_by_whichever_user(
        self, servers: list[EmbeddedServer]
    ) -> None:
        urls = [server.url for server in servers]
        workers = [buckets_at(urls, prefix="p"), buckets_at(urls[::-1], prefix="p")]
        assert isinstance(workers[0], ShardedBuckets)
        asks = [ask(60, subject=subject) for subject in self.SUBJECTS]
        grants = [worker.grant(asks) for worker in workers]
        assert [[grant.units for grant in each if grant] for each in grants] == [[60] * 400, [0] * 400]
        held = []
        for server in servers:
            with redis.Redis.from_url(server.url) as client:
                held.append(client.zcard("p:quota:bytes"))
        assert sum(held) == 400
        assert min(held) > 100

    def test_while_one_is_away_its_subjects_have_no_answer_and_never_a_second_limit(
        self, servers: list[EmbeddedServer]
    ) -> None:
        buckets = buckets_at([server.url for server in servers], prefix="p")
        asks = [ask(60, subject=subject) for subject in self.SUBJECTS]
        buckets.grant(asks)
        servers[0].stop()
        grants = buckets.grant(asks)
        assert {grant.units for grant in grants if grant} == {0}, "those of the other server are as they were"
        assert 100 < grants.count(None) < 300
        assert [grant is None for grant in buckets.grant(asks)] == [grant is None for grant in grants]
        servers[1].stop()
        with pytest.raises(QuotaUnavailable):
            buckets.grant(asks)

    def test_who_asks_for_subjects_of_the_one_that_is_away_alone_is_told_of_no_other(
        self, servers: list[EmbeddedServer]
    ) -> None:
        """Else a caller that leaves all of them alone for a while would refuse everybody."""
        one, other = (buckets_at([server.url for server in servers], prefix="p") for _ in range(2))
        asks = [ask(60, subject=subject) for subject in self.SUBJECTS]
        servers[0].stop()
        grants = one.grant(asks)
        of_the_dead = [each for each, grant in zip(asks, grants, strict=True) if grant is None]
        assert set(other.grant(of_the_dead)) == {None}
        of_the_living = [each for each in asks if each not in of_the_dead]
        assert {grant and grant.units for grant in other.grant(of_the_living)} == {0}

    def test_a_server_more_moves_only_what_it_gets(self) -> None:
        few, more = (
            ShardedBuckets({name: LocalBuckets() for name in names}) for names in (("a", "b"), ("c", "b", "a"))
        )
        moved = [subject for subject in self.SUBJECTS if few._home_of(subject) != more._home_of(subject)]
        assert {more._home_of(subject) for subject in moved} == {"c"}
        assert len(moved) < 300


class TestOnTheServer:
    def test_a_full_bucket_takes_no_memory(self, shared: SharedBuckets, valkey_url: str, pool_prefix: str) -> None:
        shared.grant([ask(1, subject=f"quick {number}", rate=1e6) for number in range(50)])
        time.sleep(0.01)
        shared.grant([ask(1, subject="slow")])
        with redis.Redis.from_url(valkey_url) as client:
            assert client.zrange(f"{pool_prefix}:quota:bytes", 0, -1) == [b"slow"]

    def test_a_clock_that_was_set_back_costs_a_burst_at_most(
        self, shared: SharedBuckets, valkey_url: str, pool_prefix: str
    ) -> None:
        with redis.Redis.from_url(valkey_url) as client:
            client.zadd(f"{pool_prefix}:quota:bytes", {"s": time.time() * 1e6 + 86_400e6})
        [refused] = shared.grant([ask(100, rate=100.0)])
        assert 0.9e6 < refused.wait_us <= 1.1e6

    def test_it_needs_no_right_to_read_a_block(self, valkey_url: str, pool_prefix: str) -> None:
        """A user who may run these commands and no other, on these two keys and no other, can keep buckets."""
        commands = ["+evalsha", "+script|load", "+time", "+zscore", "+zadd", "+zremrangebyscore", "+hello"]
        name = f"{pool_prefix}-quota"
        with redis.Redis.from_url(valkey_url) as client:
            client.execute_command("ACL", "SETUSER", name, "on", ">p", "-@all", *commands, f"~{pool_prefix}:quota:*")
            path = client.connection_pool.connection_kwargs["path"]
            limited = redis.Redis(connection_pool=redis.ConnectionPool.from_url(f"unix://{name}:p@{path}"))
            buckets = SharedBuckets(limited, prefix=pool_prefix)
            assert [grant.units for grant in buckets.grant([ask(1, 10), ask(0, -5)])] == [10, -5]
            with pytest.raises(redis.exceptions.NoPermissionError):
                limited.get(f"{pool_prefix}:block:x")
            buckets.close()
            client.execute_command("ACL", "DELUSER", name)

    def test_one_that_is_full_still_counts(self) -> None:
        """A pool that fills its server must not shut out whoever has a limit."""
        with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory", 1)
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                client.zadd("z", {"a": 1})
            buckets = SharedBuckets.from_url(server.url, prefix="q")
            assert [buckets.grant([ask(60)])[0].units for _ in range(2)] == [60, 0]
            buckets.close()

    def test_one_that_is_gone_is_a_typed_error(self) -> None:
        with EmbeddedServer() as server:
            buckets = SharedBuckets.from_url(server.url, prefix="q")
            buckets.grant([ask(1)])
        with pytest.raises(QuotaUnavailable):
            buckets.grant([ask(1)])
        buckets.close()


def test_the_processs_own_buckets_forget_who_is_full() -> None:
    clock: list[float] = [0.0]
    now: Callable[[], float] = lambda: clock[0]  # noqa: E731
    buckets = LocalBuckets(now)
    buckets.grant([ask(1, subject=str(number), rate=1.0) for number in range(100)])
    clock[0] = 2e6
    buckets.grant([ask(1)])
    assert len(buckets._full) == 1
