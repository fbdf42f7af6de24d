"""What feeds of servers share: names that are files, notes that hold no more than they may, errors that say who."""

from datetime import UTC, datetime, timedelta

import pytest

from entropy_assets.sources.feeds.fetching import ServerFeed, file_name, origin_of, upgraded
from entropy_assets.sources.feeds.interface import Candidate, FeedLies, FeedUnavailable, WebAnswer
from entropy_assets.stores.inboxes.folder import hindrance_of_name
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets_tests.sources.feeds.replaying import NOW, Question, Replay, clock, table_of

URL = "https://frames.example.org/raw/a.fits"


@pytest.mark.parametrize(
    "url, name",
    [
        (URL, "a.fits"),
        ("https://a/b/a%20b.fits.gz?x=1", "a b.fits.gz"),
        ("https://a/..%2F..%2Fetc%2Fpasswd", "_.._etc_passwd"),
        ("https://a/.hidden.fits", "hidden.fits"),
        ("https://a/a.fits.part", "a.fits.part.image"),
        ("https://a/a.reason.json", "a.reason.json.image"),
        ("https://a/a%0A%1B.fits", "a\\n\\x1b.fits"),
        ("https://a/", "image"),
        ("https://a/..", "image"),
        ("https://a/" + "b" * 3000 + ".fits", "b" * 195 + ".fits"),
        ("https://a/" + "%C3%A9" * 3000 + ".fits", "\N{LATIN SMALL LETTER E WITH ACUTE}" * 97 + ".fits"),
    ],
)
def test_a_name_is_a_plain_file_that_an_inbox_takes(url, name) -> None:
    assert file_name(url) == name
    assert hindrance_of_name(name) is None
    assert "/" not in name


def test_a_place_that_stays_the_same_gets_a_time_in_its_name() -> None:
    assert file_name("https://a/latest.fits.gz", NOW) == "latest-20261129T083305Z.fits.gz"
    assert file_name("https://a/latest", NOW) == "latest-20261129T083305Z"


def test_an_old_scheme_is_upgraded_and_nothing_else() -> None:
    assert upgraded("http://a/b c") == "https://a/b c"
    assert upgraded("ftp://a/b") == "ftp://a/b"


def test_what_a_listing_tells_goes_before_what_the_table_says() -> None:
    table = table_of(
        "http-directory", url="https://frames.example.org/raw/", claim="drop", credit="ours", licence="free"
    )
    answer = WebAnswer(url="https://cdn/x", data=b"", etag='"1"', last_modified="Sun, 29 Nov 2026 08:00:00 GMT")
    plain = origin_of("mine", table, Candidate(url=URL), NOW, answer)
    assert plain == Origin(
        feed="mine",
        url=URL,
        fetched_at="2026-11-29T08:33:05Z",
        dated_at="2026-11-29T08:00:00Z",
        credit="ours",
        licence="free",
        etag='"1"',
        last_modified="Sun, 29 Nov 2026 08:00:00 GMT",
    )
    told = Candidate(url=URL, dated_at="2026-11-28T00:00:00Z", credit="theirs", instrument="eye", licence="CC BY 4.0")
    own = origin_of("mine", table, told, NOW, answer)
    assert (own.dated_at, own.credit, own.instrument, own.licence) == (
        "2026-11-28T00:00:00Z",
        "theirs",
        "eye",
        "CC BY 4.0",
    )


def test_an_image_is_fetched_with_its_note_and_not_again_while_it_stays_the_same() -> None:
    table = table_of("http-directory", url="https://frames.example.org/raw/", claim="drop")
    feed = ServerFeed("mine", table, Replay({URL: b"abc"}), clock)
    fetched = feed.fetch(Candidate(url=URL))
    assert fetched is not None
    assert (fetched.name, fetched.data, fetched.origin.etag) == ("a.fits", b"abc", '"3"')
    assert feed.fetch(Candidate(url=URL), fetched.origin) is None


def test_a_wrong_document_is_told_with_feed_and_host() -> None:
    table = table_of("http-directory", url="https://frames.example.org/raw/", claim="drop")
    feed = ServerFeed("mine", table, Replay({URL: b"abc"}), clock)

    def read(_: WebAnswer) -> None:
        raise ValueError("it is none")

    with pytest.raises(FeedLies) as lie:
        feed.asked(read, URL)
    assert lie.value.data == {"feed": "mine", "host": "frames.example.org"}
    assert lie.value.message == "what frames.example.org sent as a listing is none: it is none"


def test_a_server_that_drips_each_of_its_listings_does_not_keep_the_others_waiting_for_hours() -> None:
    """Each document is within its time, and a look at ten days, or at ten observations, asks for dozens."""
    times = [NOW]

    def drip(_: Question) -> bytes:
        times[0] += timedelta(seconds=59)
        return b"abc"

    table = table_of("http-directory", url="https://frames.example.org/raw/", claim="drop")
    feed = ServerFeed("mine", table, Replay({URL: drip}), lambda: times[0])

    def documents() -> int:
        for count in range(100):
            try:
                feed.asked(lambda answer: answer, URL)
            except FeedUnavailable as error:
                assert "took 354 s for its listings, and others wait" in error.message  # noqa: PT017 - how far it came
                return count
            times[0] += timedelta(seconds=200)  # an image, which has a bound of its own
        return 100

    assert documents() == 6
    times[0] += timedelta(hours=1)
    assert documents() == 6, "another look has its own time"


def test_the_clock_of_a_feed_has_its_zone() -> None:
    table = table_of("http-directory", url="https://frames.example.org/raw/", claim="drop")
    now = ServerFeed("mine", table, Replay({})).clock()
    assert now.tzinfo is UTC
    assert abs((now - datetime.now(UTC)).total_seconds()) < 3600
