"""The circuit breaker: nobody waits in a queue for a server that does not answer, and nothing is sent twice."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from entropy_assets.errors import PoolUnavailable
from entropy_assets.stores.pool.breaker import FAILURES, CircuitBreaker
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.pool_blocks import pool_blocks


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Refusal(Exception):
    """An answer that is an error."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(answers=(Refusal,), clock=clock)


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(OSError), breaker.call():  # noqa: PT011 - no message: the error is the test's own
            raise OSError


def test_it_opens_after_three_failures_in_a_row(breaker: CircuitBreaker) -> None:
    fail(breaker, FAILURES - 1)
    with breaker.call() as trying:
        assert not trying
    fail(breaker, FAILURES)
    with pytest.raises(PoolUnavailable) as caught, breaker.call():
        pytest.fail("sent")
    assert caught.value.data == {"retry_after_s": 1}


def test_an_error_that_is_an_answer_is_no_failure(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        with pytest.raises(Refusal), breaker.call():
            raise Refusal
    with breaker.call() as trying:
        assert not trying


def test_the_cool_off_doubles_to_four_seconds_and_begins_again_after_an_answer(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, FAILURES)
    for cool_off in (0.5, 1.0, 2.0, 4.0, 4.0):
        clock.now += cool_off - 0.01
        with pytest.raises(PoolUnavailable), breaker.call():
            pytest.fail("sent")
        clock.now += 0.01
        fail(breaker)
    clock.now += 4.0
    with breaker.call() as trying:
        assert trying
    fail(breaker, FAILURES)
    clock.now += 0.5
    with breaker.call() as trying:
        assert trying


def test_one_tries_and_the_others_are_refused_meanwhile(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    clock.now += 0.5
    with breaker.call() as trying:
        assert trying
        with pytest.raises(PoolUnavailable), breaker.call():
            pytest.fail("sent")
    with breaker.call() as trying:
        assert not trying


def test_what_began_before_it_opened_neither_closes_nor_prolongs_it(breaker: CircuitBreaker, clock: Clock) -> None:
    with breaker.call():
        fail(breaker, FAILURES)
    with pytest.raises(PoolUnavailable), breaker.call():
        pytest.fail("sent")
    clock.now += 0.5
    with pytest.raises(OSError), breaker.call():  # noqa: PT011 - no message: the error is the test's own
        raise OSError
    clock.now += 0.99
    with pytest.raises(PoolUnavailable), breaker.call():
        pytest.fail("sent")


def test_a_try_that_is_interrupted_lets_the_next_one_try(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    clock.now += 0.5
    with pytest.raises(KeyboardInterrupt), breaker.call():
        raise KeyboardInterrupt
    clock.now += 1.0
    with breaker.call() as trying:
        assert trying


def test_of_many_threads_one_tries(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    clock.now += 0.5
    inside, refused, count = [], threading.Semaphore(0), 8

    def attempt(_: int) -> None:
        try:
            with breaker.call() as trying:
                inside.append(trying)
                assert all(refused.acquire(timeout=30) for _ in range(count - 1)), "another one got in"
        except PoolUnavailable:
            refused.release()

    with ThreadPoolExecutor(count) as threads:
        list(threads.map(attempt, range(count)))
    assert inside == [True]


@pytest.fixture
def frozen() -> Iterator[tuple[PoolClient, EmbeddedServer]]:
    """Give a pool whose server is stopped in the middle of its life."""
    with EmbeddedServer() as server:
        # Without a greeting: otherwise redis-py waits for an answer to that before it sends a command.
        client = redis.Redis.from_url(server.url, socket_timeout=0.5, protocol=2, driver_info=None)
        pool = PoolClient(client)
        pool.push(pool_blocks(8))
        pool.lease(0)  # from now on the server knows the script
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        yield pool, server
        os.kill(server.pid, signal.SIGCONT)


def test_a_frozen_server_costs_three_waits_and_no_more(frozen: tuple[PoolClient, EmbeddedServer]) -> None:
    pool, _ = frozen
    for _ in range(FAILURES):
        assert not pool.health().ok
    began = time.monotonic()
    for _ in range(1000):
        assert not pool.health().ok
        with pytest.raises(PoolUnavailable):
            pool.lease(1)
    assert time.monotonic() - began < 5, "two thousand waits would take minutes"


def test_the_try_is_a_ping_so_that_a_server_that_thaws_does_not_wake_up_to_a_lease(
    frozen: tuple[PoolClient, EmbeddedServer],
) -> None:
    pool, server = frozen
    for _ in range(FAILURES):
        pool.health()
    time.sleep(0.55)
    with pytest.raises(PoolUnavailable):
        pool.lease(1)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGCONT)
    time.sleep(1.05)
    assert len(pool.lease(9).blocks) == 8, "recovers by itself, and no block was lost to the try"


def test_more_calls_than_may_be_on_their_way_are_refused_and_not_queued_for_ever(
    frozen: tuple[PoolClient, EmbeddedServer],
) -> None:
    _, server = frozen
    client = redis.Redis.from_url(server.url, socket_timeout=1.0)
    pool = PoolClient(client, max_calls=2, patience_s=0.05)
    with ThreadPoolExecutor(6) as threads:
        reasons = [health.reasons[0] for health in threads.map(lambda _: pool.health(), range(6))]
    assert sum("on their way" in reason for reason in reasons) == 4
