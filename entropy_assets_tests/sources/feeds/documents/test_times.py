"""Times of servers become times of ours, or none."""

from datetime import UTC, datetime

import pytest

from entropy_assets.sources.feeds.documents.times import iso_time, stamp, time_in
from entropy_assets.stores.inboxes.origins import Origin

THEN = datetime(2026, 11, 29, 8, 33, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-11-29T08:33:00Z", "2026-11-29T09:33:00+01:00", "2026-11-29 08:33", "20261129T0833"]
)
def test_iso_times_are_of_utc(text) -> None:
    assert iso_time(text) == THEN


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-13-01"],
)
def test_what_is_no_time_of_an_image_is_none(text) -> None:
    assert iso_time(text) is None


def test_a_stamp_is_what_a_note_of_origin_takes() -> None:
    assert stamp(THEN.replace(year=1900)) == "1900-11-29T08:33:00Z"
    Origin(feed="a", url="b", fetched_at=stamp(THEN))


def test_forms_are_tried_in_turn() -> None:
    assert time_in("20261129_0833", "%Y%m%d_%H%M%S", "%Y%m%d_%H%M") == THEN
    assert time_in("99990101", "%Y%m%d") is None
    assert time_in("2026112", "%Y%m%d") is None
