"""What is held ages while the machine sleeps."""

import inspect
import math
import sys
import time
from random import Random

import pytest

from entropy_assets.serving.reservoir.reservoir import Reservoir
from entropy_assets.stores.pool.ageing import DRIFT, ServersClock, ageing_s
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import pool_blocks


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the monotonic clock counts sleep")
def test_the_clock_counts_the_time_that_the_machine_sleeps() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = ageing_s()
    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_a_reservoir_ages_by_it() -> None:
    assert inspect.signature(Reservoir).parameters["clock"].default is ageing_s


def test_a_lease_that_the_machine_slept_through_is_as_old_as_the_sleep(
    pool: PoolClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.push(pool_blocks(1))
    moments = iter((0.0, 3601.0))
    monkeypatch.setattr("entropy_assets.stores.pool.client.ageing_s", lambda: next(moments))
    [leased] = pool.lease(1).blocks
    assert leased.expires_in_s < 0


def test_a_servers_clock_that_was_set_forward_is_told_from_slow_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers take up to two seconds each way, and the two clocks drift by a third of what they may."""
    now, ahead, random = 1000.0, 5e8, Random(7)
    monkeypatch.setattr("entropy_assets.stores.pool.ageing.ageing_s", lambda: now)
    clock = ServersClock()

    def ask(slowest_s: float) -> None:
        nonlocal now
        asked_at = now
        now += random.uniform(0, slowest_s)
        told = ahead + now * (1 + DRIFT / 3)
        now += random.uniform(0, slowest_s)
        clock.saw(told, asked_at)
        now += random.uniform(0, 100)

    for _ in range(2000):
        ask(2.0)
        ahead -= random.choice((0, 0, 0, 30))  # it may be set back
    assert clock.stepped_s == math.inf
    ask(0.01)
    ahead += 2
    ask(0.01)
    assert clock.stepped_s <= 100
    for _ in range(100):
        ask(2.0)
    assert clock.stepped_s > 100, "once is once"
