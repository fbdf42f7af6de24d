"""The last phase, without a fault, as long as it takes to have drawn a million times in all, or `LEAST_DRAWS` times."""

import pytest

from entropy_assets_tests.chaos.arena import CLIENTS, LEAST_DRAWS, MILLION, SCALE, WORKERS
from entropy_assets_tests.chaos.conftest import ArenaOf
from entropy_assets_tests.chaos.report import Table

pytestmark = pytest.mark.chaos

LEAST = 100_000


def test_without_the_fast_lane_no_byte_comes_twice(arena_of: ArenaOf, table: Table) -> None:
    with arena_of(fast_lane=False) as arena:
        arena.draw(LEAST)
        outcome = table.add("none, without the fast lane", arena.finish())
    assert outcome.lost_bytes == outcome.service["burned_bytes"], "only what was open too long"
    assert set(outcome.draws.counts) <= {"503"}, "nobody was cut off"


def test_a_million_draws_and_no_byte_twice(arena_of: ArenaOf, table: Table) -> None:
    """No phase repeats another one's blocks either; and without a fault nothing is lost but what was open too long."""
    with arena_of() as arena:
        missing = max(LEAST * SCALE, LEAST_DRAWS - table.draws)
        while missing > MILLION:  # the clients keep in memory what they drew
            arena.draw(round(MILLION / SCALE))
            arena.rest(0)
            missing -= MILLION
        arena.draw(round(missing / SCALE))
        outcome = table.add(f"none: {CLIENTS} clients, {WORKERS} workers", arena.finish())
    assert outcome.lost_bytes == outcome.service["burned_bytes"], "only what was open too long"
    assert set(outcome.draws.counts) <= {"503"}, "nobody was cut off"
    assert table.draws >= LEAST_DRAWS
    assert table.duplicates == 0
