"""Cursors: pure functions of what was seen, read as they were written."""

import json

import pytest

from entropy_assets.defs.cursors import PublishCursor, PublishRequest, ReplenishCursor, next_filling

# As installations hold them in Dagster's storage: written by the first release.
PUBLISH = '{"storage_id": 7, "waiting": {"a": {"storage_id": 7, "round": 1, "asked_at": 2.5}}}'
REPLENISH = '{"round": 3, "filling": true, "pool_absent_ticks": 1}'


def test_the_cursors_of_an_installation_are_read_and_written_as_ever() -> None:
    """A field of another name would stop the sensors of whoever upgrades."""
    publish, replenish = PublishCursor.loads(PUBLISH), ReplenishCursor.loads(REPLENISH)
    assert publish == PublishCursor(7, {"a": PublishRequest(7, 1, 2.5)})
    assert replenish == ReplenishCursor(3, filling=True, pool_absent_ticks=1)
    assert [json.loads(cursor.dumps()) for cursor in (publish, replenish)] == [
        json.loads(PUBLISH),
        json.loads(REPLENISH),
    ]


@pytest.mark.parametrize(
    "filling, depth, expected",
    [(False, 99, True), (False, 100, False), (True, 100, True), (True, 199, True), (True, 200, False)],
)
def test_filling_starts_at_the_low_mark_and_stops_at_the_high_one(filling: bool, depth: int, expected: bool) -> None:
    assert next_filling(filling, depth, 100, 200) is expected
