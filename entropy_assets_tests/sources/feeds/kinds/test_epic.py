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
    assert found.cursor == "2026-11-28 22:10:00"


def test_a_day_that_stays_the_newest_brings_nothing() -> None:
    """The satellite was off for months (DATA.md 2), and the listing stayed as it was."""
    feed = feed_of({f"{HOST}api/natural": TODAY})
    found = feed.discover("2026-11-28 22:10:00")
    assert (names(found), found.cursor, found.is_whole) == ([], "2026-11-28 22:10:00", True)


def test_the_days_since_are_asked_one_by_one() -> None:
    answers = {
        f"{HOST}api/natural": TODAY,
        f"{HOST}api/natural/date/2026-11-26": told("2026-11-26 10:00:00", "2026-11-26 11:00:00"),
        f"{HOST}api/natural/date/2026-11-27": b"[]",
    }
    feed = feed_of(answers)
    first = feed.discover("2026-11-26 10:00:00")
    assert (names(first), first.is_whole) == (["2026/11/26/png/epic_1b_20261126110000.png"], False)
    second = feed.discover(first.cursor)
    assert (len(names(second)), second.cursor, second.is_whole) == (3, "2026-11-28 22:10:00", True)


def test_who_was_away_for_long_begins_with_the_newest_day() -> None:
    feed = feed_of({f"{HOST}api/natural": TODAY})
    assert len(names(feed.discover("2025-07-01 00:00:00"))) == 3


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
    with pytest.raises(FeedLies):
        feed_of({f"{HOST}api/natural": answer}).discover("")


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
