"""EPIC's pictures: of the newest day, then of each day since, and the same day again brings none."""

import json

import pytest

from entropy_assets.sources.feeds.interface import FeedLies
from entropy_assets.sources.feeds.kinds.epic import EpicFeed
from entropy_assets_tests.sources.feeds.replaying import Replay, clock, picture, served, table_of

HOST = "https://epic.gsfc.nasa.gov/"
KEYED = "https://api.nasa.gov/EPIC/api/natural"


def told(*dates: str) -> bytes:
    """Return a documented answer, DATA.md 2, with a picture of each time."""
    return json.dumps(
        [
            {
                "identifier": date.translate({ord(sign): None for sign in "-: "}),
                "caption": "This image was taken by NASA's EPIC camera onboard the NOAA DSCOVR spacecraft",
                "image": f"epic_1b_{date.translate({ord(sign): None for sign in '-: '})}",
                "version": "03",
                "centroid_coordinates": {"lat": 18.94043, "lon": 161.762695},
                "dscovr_j2000_position": {"x": 1191267.9, "y": 840468.8, "z": 497482.8},
                "attitude_quaternions": {"q0": -0.08047},
                "date": date,
                "coords": {},
            }
            for date in dates
        ]
    ).encode()


TODAY = told("2026-11-28 22:10:00", "2026-11-28 00:22:24", "2026-11-28 12:00:00")


def names(discovery) -> list[str]:
    return [candidate.url.removeprefix(f"{HOST}archive/natural/") for candidate in discovery.candidates]


def feed_of(answers, **fields) -> EpicFeed:
    return EpicFeed("mine", table_of("epic", **fields), Replay(answers), clock)


def test_the_first_look_gives_the_newest_pictures_in_the_order_of_their_times() -> None:
    found = feed_of({f"{HOST}api/natural": TODAY}, max_files=2).discover("")
    assert names(found) == ["2026/11/28/png/epic_1b_20261128120000.png", "2026/11/28/png/epic_1b_20261128221000.png"]
    assert found.candidates[0].dated_at == "2026-11-28T12:00:00Z"
    again = feed_of({f"{HOST}api/natural": TODAY}, max_files=2).discover(found.cursor)
    assert names(again) == [], "the oldest was left, and stays so"


def test_a_day_that_stays_the_newest_brings_nothing() -> None:
    """The satellite was off for months (DATA.md 2), and the listing stayed as it was."""
    feed = feed_of({f"{HOST}api/natural": TODAY})
    first = feed.discover("")
    found = feed.discover(first.cursor)
    assert (names(found), found.cursor, found.is_whole) == ([], first.cursor, True)
    assert feed.reader.urls == [f"{HOST}api/natural"] * 2


def looked(listed: dict[str, tuple[str, ...]], cursor: str = "", **fields) -> tuple[list[str], str, list[str]]:
    """Look once at a server that has those times by day; the newest day is the last one that has any.

    Gives the times of what is new, the cursor, and the days that were asked for.
    """
    newest = told(*listed[max(day for day, times in listed.items() if times)])
    days = {f"{HOST}api/natural/date/{day}": told(*times) for day, times in listed.items()}
    feed, found = feed_of({f"{HOST}api/natural": newest} | days, **fields), []
    for _ in range(9):
        page = feed.discover(cursor)
        cursor, found = page.cursor, found + [each.dated_at for each in page.candidates]
        if page.is_whole:
            break
    return found, cursor, [url[-10:] for url in feed.reader.urls if "/date/" in url]


def test_the_days_since_are_asked_one_by_one() -> None:
    before = {"2026-11-25": ("2026-11-25 10:00:00",)}
    _, cursor, _ = looked(before)
    more = {"2026-11-26": ("2026-11-26 10:00:00", "2026-11-26 11:00:00"), "2026-11-27": ()}
    last = {"2026-11-28": ("2026-11-28 09:00:00",)}
    found, cursor, days = looked(before | more | last, cursor, max_files=2)
    assert found == ["2026-11-26T10:00:00Z", "2026-11-26T11:00:00Z", "2026-11-28T09:00:00Z"]
    assert set(days) == {"2026-11-25", "2026-11-26", "2026-11-27"}
    assert looked(before | more | last, cursor)[2] == ["2026-11-27"], "the day before may still get some"


def test_a_picture_that_appears_late_is_taken_all_the_same() -> None:
    """Of the same day behind others, and of the day before; what was left at the first look is not."""
    day, following = ["2026-11-27 10:00:00", "2026-11-27 12:00:00"], ["2026-11-28 10:00:00"]
    _, cursor, _ = looked({"2026-11-26": (), "2026-11-27": tuple(day)})
    day.insert(1, "2026-11-27 11:00:00")
    before = {"2026-11-26": ("2026-11-26 10:00:00",)}
    found, cursor, _ = looked(before | {"2026-11-27": tuple(day)}, cursor)
    assert found == ["2026-11-27T11:00:00Z"]
    found, cursor, _ = looked(before | {"2026-11-27": tuple(day), "2026-11-28": tuple(following)}, cursor)
    assert found == ["2026-11-28T10:00:00Z"]
    day.insert(0, "2026-11-27 09:00:00")
    found, cursor, _ = looked(before | {"2026-11-27": tuple(day), "2026-11-28": tuple(following)}, cursor)
    assert found == ["2026-11-27T09:00:00Z"]
    assert looked(before | {"2026-11-27": tuple(day), "2026-11-28": tuple(following)}, cursor)[0] == []


def test_who_was_away_for_long_catches_up_with_ten_days() -> None:
    _, cursor, _ = looked({"2025-07-01": ("2025-07-01 10:00:00",)})
    listed = {f"2026-11-{day:02}": (f"2026-11-{day:02} 10:00:00",) for day in range(1, 29)}
    found, _, days = looked(listed, cursor)
    assert found == [f"2026-11-{day:02}T10:00:00Z" for day in range(18, 29)]
    assert days[0] == "2026-11-18"


def test_a_picture_of_a_day_to_come_does_not_end_the_walk() -> None:
    """Taken for the newest one, nothing would come after it for as long as that lies ahead."""
    answers = {f"{HOST}api/natural": told("2026-11-28 10:00:00", "2062-11-28 10:00:00")}
    assert names(feed_of(answers).discover("")) == ["2026/11/28/png/epic_1b_20261128100000.png"]
    assert feed_of({f"{HOST}api/natural": told("2062-11-28 10:00:00")}).discover("").cursor == ""


def test_with_a_key_the_listing_is_asked_with_it_and_the_picture_without() -> None:
    reader = Replay({KEYED: TODAY, f"{HOST}archive/natural/2026/11/28/jpg/epic_1b_20261128221000.jpg": picture("JPEG")})
    feed = EpicFeed("mine", table_of("epic", key_env="NASA_API_KEY", form="jpg"), reader, clock, "hunter2")
    fetched = feed.fetch(feed.discover("").candidates[-1])
    assert fetched is not None
    assert [question.secret for question in reader.asked] == [{"api_key": "hunter2"}, {}]
    assert "hunter2" not in str(fetched.origin)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>DEMO_KEY</html>",
        b'{"error": {"code": "OVER_RATE_LIMIT"}}',
        told("yesterday"),
        told("2026-11-28 22:10:00").replace(b"epic_1b_", b"../../"),
        told("2026-11-28 22:10:00").replace(b'"image"', b'"picture"'),
        b"[" + b",".join([TODAY[1:-1]] * 400) + b"]",
    ],
)
def test_what_is_no_listing_is_a_lie(answer) -> None:
    for cursor in ("", feed_of({f"{HOST}api/natural": TODAY}).discover("").cursor):
        with pytest.raises(FeedLies):
            feed_of({f"{HOST}api/natural": answer}).discover(cursor)


def test_no_pictures_at_all_are_no_error() -> None:
    found = feed_of({f"{HOST}api/natural": b"[]"}).discover("")
    assert (names(found), found.cursor) == ([], "")


def test_over_http() -> None:
    table = table_of("epic")
    image = f"{HOST}archive/natural/2026/11/28/png/epic_1b_20261128221000.png"
    with served(table, {f"{HOST}api/natural": TODAY, image: picture("PNG")}) as (reader, targets):
        feed = EpicFeed("mine", table, reader, clock)
        fetched = feed.fetch(feed.discover("").candidates[-1])
    assert fetched is not None
    assert (fetched.name, fetched.data) == ("epic_1b_20261128221000.png", picture("PNG"))
    assert targets[0] == "/api/natural"
