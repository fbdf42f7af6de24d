"""A worker that dies or stands still: its blocks are lost, and nobody else's."""

import os
import signal
import time

import pytest

from entropy_assets_tests.chaos.arena import Arena
from entropy_assets_tests.chaos.conftest import ArenaOf
from entropy_assets_tests.chaos.report import Table

pytestmark = pytest.mark.chaos

PHASE = 40_000
STALL_S = 3.0
"""Longer than clients wait for an answer and the service for the pool's server; shorter than uvicorn's patience."""


def kill_workers(arena: Arena) -> None:
    """Kill three workers, one after the other."""
    for _ in range(3):
        os.kill(arena.service.busiest(), signal.SIGKILL)
        arena.recover()
        arena.draw(PHASE // 2)


def test_a_killed_worker_takes_its_blocks_with_it(arena_of: ArenaOf, table: Table) -> None:
    with arena_of() as arena:
        arena.draw(PHASE)
        kill_workers(arena)
        outcome = table.add("kill -9 of a worker, three times", arena.finish())
    assert outcome.service["lost_bytes"] > 0
    # on a busy machine a public block may stay open so long that its rest is burned
    named_bytes = outcome.service["lost_bytes"] + outcome.service["burned_bytes"] + outcome.undelivered_bytes
    assert outcome.lost_bytes == named_bytes, "the counters name what was lost"


def test_a_worker_that_stands_still_answers_nobody_twice(arena_of: ArenaOf, table: Table) -> None:
    with arena_of() as arena:
        arena.draw(PHASE)
        worker = arena.service.busiest()
        os.kill(worker, signal.SIGSTOP)
        time.sleep(STALL_S)
        os.kill(worker, signal.SIGCONT)
        arena.recover()
        arena.draw(PHASE)
        outcome = table.add(f"SIGSTOP of a worker for {STALL_S:g} s", arena.finish())
    assert outcome.draws.counts["timed out"] > 0, "the clients must have noticed"
