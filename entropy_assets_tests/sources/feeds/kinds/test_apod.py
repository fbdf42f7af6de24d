"""Astronomy Picture of the Day: pictures without a copyright alone, each day once, and a server that stands still."""

import json

import pytest

from entropy_assets.sources.feeds.interface import FeedLies
from entropy_assets.sources.feeds.kinds.apod import DEMO_KEY, ApodFeed
from entropy_assets_tests.sources.feeds.replaying import Replay, clock, picture, served, table_of

URL = "https://api.nasa.gov/planetary/apod"
PLACE = "https://apod.nasa.gov/apod/image/"


def day(date: str, **more: object) -> dict[str, object]:
    """Return a documented answer, DATA.md 2, without the copyright."""
    return {
        "date": date,
        "title": "Galaxy Wars: M81 versus M82",
        "media_type": "image",
        "url": f"{PLACE}0604/M81_M82_schedler_c25.jpg",
        "hdurl": f"{PLACE}0604/M81_M82_schedler_c80.jpg",
        "explanation": "...",
        "service_version": "v1",
    } | more


def found_in(told: object, cursor: str = "") -> tuple[list[str], str, Replay]:
    reader = Replay({URL: json.dumps(told).encode()})
    found = ApodFeed("mine", table_of("apod"), reader, clock).discover(cursor)
    return [candidate.url for candidate in found.candidates], found.cursor, reader


def test_a_picture_in_the_public_domain_is_taken_at_its_full_size() -> None:
    urls, _, reader = found_in(day("2026-11-29"))
    assert urls == [f"{PLACE}0604/M81_M82_schedler_c80.jpg"]
    assert (reader.asked[0].query, reader.asked[0].secret) == ({}, {"api_key": DEMO_KEY})


def test_a_picture_with_a_copyright_is_left_out_and_not_asked_for_again() -> None:
    urls, cursor, _ = found_in(day("2006-04-15", copyright="Panther Observatory"))
    assert (urls, found_in(day("2006-04-15"), cursor)[0]) == ([], [])


@pytest.mark.parametrize(
    "told",
    [
        {"media_type": "video", "url": "https://www.youtube.com/embed/x?rel=0"},
        {"media_type": "other", "url": f"{PLACE}2611/applet.html"},
        {"url": "", "hdurl": ""},
    ],
)
def test_what_is_no_picture_is_left_out(told) -> None:
    assert found_in(day("2026-11-29", **told))[0] == []


def test_without_a_large_one_the_small_one_is_taken() -> None:
    told = day("2026-11-29", url="http://apod.nasa.gov/apod/image/a.png")
    del told["hdurl"]
    assert found_in(told)[0] == [f"{PLACE}a.png"]


def test_the_days_since_come_as_a_list_in_any_order() -> None:
    _, cursor, _ = found_in(day("2026-11-27"))
    told = [day(date, hdurl=f"{PLACE}{date}.jpg") for date in ("2026-11-29", "2026-11-27", "2026-11-28")]
    urls, cursor, reader = found_in(told, cursor)
    assert urls == [f"{PLACE}2026-11-28.jpg", f"{PLACE}2026-11-29.jpg"]
    assert reader.asked[0].query == {"start_date": "2026-11-26"}
    assert found_in(told, cursor)[0] == []


def test_a_day_that_appears_late_is_taken_for_a_week() -> None:
    """The server stood still, went on, and filled the gap afterwards. What was before the first look stays left."""
    _, cursor, _ = found_in(day("2026-11-20"))
    listed = [day(f"2026-11-{number}", hdurl=f"{PLACE}{number}.jpg") for number in range(19, 30)]
    _, cursor, _ = found_in([each for each in listed if each["date"] not in ("2026-11-21", "2026-11-25")], cursor)
    urls, cursor, reader = found_in(listed, cursor)
    assert urls == [f"{PLACE}25.jpg"]
    assert reader.asked[0].query == {"start_date": "2026-11-22"}
    assert found_in(listed, cursor)[0] == []


def test_a_server_that_stands_still_brings_nothing() -> None:
    """In October 2025 it told the same picture for five days and more (DATA.md 2)."""
    _, cursor, _ = found_in(day("2026-11-24"))
    assert found_in([day("2026-11-24")], cursor)[:2] == ([], cursor)


def test_a_picture_of_a_day_to_come_is_not_taken_for_the_newest() -> None:
    """Nothing would come after it for as long as that lies ahead."""
    _, cursor, _ = found_in([day("2026-11-28"), day("2062-11-28")])
    assert len(found_in([day("2026-11-28"), day("2026-11-29"), day("2062-11-28")], cursor)[0]) == 1


def test_who_was_away_asks_for_a_month_at_most() -> None:
    _, cursor, _ = found_in(day("2020-01-01"))
    assert found_in([], cursor)[2].asked[0].query == {"start_date": "2026-10-30"}


@pytest.mark.parametrize(
    "told",
    [
        {},
        [1],
        day("0001-01-01"),
        {"date": "soon", "media_type": "image"},
        [day("2026-11-29")] * 201,
        {"error": {"code": "X"}},
    ],
)
def test_what_is_no_answer_of_it_is_a_lie(told) -> None:
    with pytest.raises(FeedLies):
        found_in(told)


def test_a_key_is_sent_and_never_shown() -> None:
    reader = Replay({URL: json.dumps(day("2026-11-29")).encode(), f"{PLACE}0604/M81_M82_schedler_c80.jpg": b"x"})
    feed = ApodFeed("mine", table_of("apod", key_env="NASA_API_KEY"), reader, clock, "hunter2")
    fetched = feed.fetch(feed.discover("").candidates[0])
    assert reader.asked[0].secret == {"api_key": "hunter2"}
    assert "hunter2" not in repr(fetched)


def test_over_http() -> None:
    """The key is in the query that is sent, and in nothing that is kept."""
    table = table_of("apod")
    image = f"{PLACE}0604/M81_M82_schedler_c80.jpg"
    with served(table, {URL: json.dumps(day("2026-11-29")).encode(), image: picture("JPEG")}) as (reader, targets):
        feed = ApodFeed("mine", table, reader, clock, "hunter2")
        fetched = feed.fetch(feed.discover("").candidates[0])
    assert targets == ["/planetary/apod?api_key=hunter2", "/apod/image/0604/M81_M82_schedler_c80.jpg"]
    assert fetched is not None
    assert fetched.data == picture("JPEG")
    assert "hunter2" not in repr(fetched)
