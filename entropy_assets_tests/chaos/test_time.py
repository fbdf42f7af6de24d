"""Blocks that expire under load, and a server whose clock jumps."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from entropy_assets.stores.pool.embedded import find_server_binary
from entropy_assets_tests.chaos.arena import Arena, Server
from entropy_assets_tests.chaos.conftest import ArenaOf
from entropy_assets_tests.chaos.draws import POSITIONS
from entropy_assets_tests.chaos.outcome import Outcome
from entropy_assets_tests.chaos.report import Table

pytestmark = pytest.mark.chaos

PHASE = 20_000
FEW = 3_000
TTL_S = 1.5
AHEAD = 200
REST_S = 3.5
LATE_S = 1.0
"""Between an answer and its arrival at a client that shares the machine with everybody else."""
HOUR_S = 3600
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def expire(arena: Arena, draws: int) -> None:
    """Draw, send everybody away until all blocks that were held or ready have expired, and draw again; twice."""
    for _ in range(2):
        arena.draw(draws)
        arena.rest(REST_S)
    arena.draw(draws)


def latest(arena: Arena, outcome: Outcome) -> float:
    """Give how long after the end of its life a block was received at the latest, seconds; negative if before."""
    dead_from = np.full(len(arena.known.numbers), np.inf)
    for block_id, pushed in arena.feeder.sure.items():
        dead_from[arena.known.numbers[block_id.encode()]] = pushed + TTL_S
    draws = outcome.draws
    return float(np.max(draws.cut_times - dead_from[draws.begins // POSITIONS]))


def test_expired_blocks_are_not_served(arena_of: ArenaOf, table: Table) -> None:
    with arena_of(ttl_s=TTL_S, ahead_blocks=AHEAD) as arena:
        expire(arena, PHASE)
        arena.recover()
        outcome = table.add(f"blocks that live for {TTL_S:g} s", arena.finish())
        assert latest(arena, outcome) < LATE_S + outcome.draws.stalled_s
    pool = outcome.pool
    assert pool.expired_blocks > 0
    assert pool.pushed_blocks == pool.leased_blocks + pool.expired_blocks + pool.ghost_blocks + pool.blocks
    assert pool.pushed_bytes == pool.leased_bytes + pool.expired_bytes + pool.ghost_bytes + pool.bytes
    assert outcome.undelivered_bytes == 0
    named_bytes = outcome.service["burned_bytes"] + pool.expired_bytes + pool.ghost_bytes
    assert outcome.lost_bytes == named_bytes, "the counters name what was lost"


def test_a_service_that_holds_blocks_for_ever_is_seen(arena_of: ArenaOf) -> None:
    with arena_of(ttl_s=TTL_S, ahead_blocks=AHEAD, broken="expiry") as arena:
        expire(arena, FEW)
        assert latest(arena, arena.finish()) > LATE_S


@pytest.fixture
def stepped(tmp_path: Path, table: Table) -> Path:
    """Give the file that says by how much the clock of the `clocked_server` is off."""
    if FAKETIME is None:
        assert "CI" not in os.environ, "install libfaketime"
        table.skipped.append("The clock's steps were not tried: libfaketime is not installed.")
        pytest.skip("needs libfaketime")
    offset = tmp_path / "offset"
    offset.write_text("+0")
    return offset


@pytest.fixture
def clocked_server(tmp_path: Path, stepped: Path) -> Server:
    """Give a server that takes its time from a file."""
    program = tmp_path / "clocked-server"
    variables = ("FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", f"FAKETIME_TIMESTAMP_FILE={stepped}")
    settings = " ".join((f"LD_PRELOAD={FAKETIME}", *variables))
    program.write_text(f'#!/bin/sh\nexec env {settings} {find_server_binary()} "$@"\n')
    program.chmod(0o700)
    return Server(binary=program)


def step(arena: Arena, stepped: Path, seconds: int) -> None:
    """Set the server's clock; it stands still meanwhile, so that it never reads half a number."""
    arena.server.signal(signal.SIGSTOP)
    stepped.write_text(f"{seconds:+d}")
    arena.server.signal(signal.SIGCONT)
    arena.recover()


def test_a_clock_that_jumps_repeats_nothing(
    arena_of: ArenaOf, table: Table, clocked_server: Server, stepped: Path
) -> None:
    """An hour on, two back, three days on and back to the truth; a consumed block is offered again each time."""
    with arena_of(clocked_server, ttl_s=0.9 * HOUR_S) as arena:
        old = arena.feeder.push(64)
        arena.draw(PHASE, blocks=arena.ahead_blocks + 64)
        for seconds in (HOUR_S, -HOUR_S):
            step(arena, stepped, seconds)
            assert arena.feeder.pool.push(old).pushed == ()
            arena.draw(PHASE, blocks=arena.ahead_blocks)
        for seconds in (3 * 24 * HOUR_S, 0):
            step(arena, stepped, seconds)
            arena.draw(PHASE)
        outcome = table.add("the server's clock steps by +1 h, -2 h, +3 d, -3 d", arena.finish())
    pool = outcome.pool
    assert pool.expired_blocks > 0
    assert pool.pushed_blocks == pool.leased_blocks + pool.expired_blocks + pool.ghost_blocks + pool.blocks
