"""Cursors: pure functions of what was seen, read as they were written."""

import pytest

from entropy_assets.defs.cursors import PublishCursor, PublishRequest, next_filling


def test_a_cursor_is_read_as_it_was_written() -> None:
    cursor = PublishCursor(7, {"a": PublishRequest(7, 1, 2.5)})
    assert PublishCursor.loads(cursor.dumps()) == cursor


@pytest.mark.parametrize(
    "filling, depth, expected",
    [(False, 99, True), (False, 100, False), (True, 100, True), (True, 199, True), (True, 200, False)],
)
def test_filling_starts_at_the_low_mark_and_stops_at_the_high_one(filling: bool, depth: int, expected: bool) -> None:
    assert next_filling(filling, depth, 100, 200) is expected
