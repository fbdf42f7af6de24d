"""The last phase, without a fault, as long as it takes to have drawn a million times in all."""

import pytest

from entropy_assets_tests.chaos.arena import CLIENTS, WORKERS
from entropy_assets_tests.chaos.conftest import ArenaOf
from entropy_assets_tests.chaos.report import Table

pytestmark = pytest.mark.chaos

MILLION = 1_000_000
LEAST = 100_000


def test_without_the_fast_lane_no_byte_comes_twice(arena_of: ArenaOf, table: Table) -> None:
    with arena_of(fast_lane=False) as arena:
        arena.draw(LEAST)
        outcome = table.add("none, without the fast lane", arena.finish())
    assert outcome.lost_bytes == 0
    assert set(outcome.draws.counts) <= {"503"}, "nobody was cut off"


def test_a_million_draws_and_no_byte_twice(arena_of: ArenaOf, table: Table) -> None:
    """No phase repeats another one's blocks either; and without a fault nothing is lost."""
    with arena_of() as arena:
        arena.draw(max(LEAST, MILLION - table.draws))
        outcome = table.add(f"none: {CLIENTS} clients, {WORKERS} workers", arena.finish())
    assert outcome.lost_bytes == 0
    assert set(outcome.draws.counts) <= {"503"}, "nobody was cut off"
    assert table.draws >= MILLION
    assert table.duplicates == 0
