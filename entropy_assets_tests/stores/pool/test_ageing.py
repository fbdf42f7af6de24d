"""What is held ages while the machine sleeps."""

import inspect
import sys
import time

import pytest

from entropy_assets.serving.reservoir.reservoir import Reservoir
from entropy_assets.stores.pool.ageing import ageing_s
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
