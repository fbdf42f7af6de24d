"""JSOC's synoptic frames: by hour, in the order of their times, or the newest one of each wavelength."""

import pytest

from entropy_assets.sources.feeds.interface import FeedError, FeedLies
from entropy_assets.sources.feeds.kinds.aia import JsocAiaFeed
from entropy_assets_tests.sources.feeds.replaying import Replay, at, clock, fits, served, table_of

BASE = "https://jsoc1.stanford.edu/data/aia/synoptic"  # documented, DATA.md 2
HOUR = f"{BASE}/nrt/2026/11/29/H0800/"


def index(*names: str) -> bytes:
    """Return the page of a folder as Apache writes it."""
    rows = [f'<img src="i.gif"> <a href="{name}">{name}</a> 2026-11-29 08:20  2.1M' for name in names]
    return "\n".join(['<pre><a href="../">Parent Directory</a>', *rows, "</pre>"]).encode()


# names as the README of the synoptic data has them, AIAYYYYMMDD_hhmmss_0193.fits in nrt/ (DATA.md 2)
FRAMES = index(
    *(f"AIA20261129_08{minute:02}00_{wavelength}.fits" for minute in (6, 0, 3) for wavelength in ("0193", "0094")),
    *("AIA20261129_089900_0193.fits", "AIA20261129_0800.jpg", "image_times"),
)


def names(discovery) -> list[str]:
    return [candidate.url.rpartition("/")[2] for candidate in discovery.candidates]


def test_the_frames_of_an_hour_come_in_the_order_of_their_times() -> None:
    feed = JsocAiaFeed("mine", table_of("jsoc-aia"), Replay({HOUR: FRAMES}), clock)
    found = feed.discover("")
    assert names(found) == [f"AIA20261129_08{minute}00_0193.fits" for minute in ("00", "03", "06")]
    assert found.candidates[0].dated_at == "2026-11-29T08:00:00Z"
    assert names(feed.discover(found.cursor)) == []


def test_the_hour_is_that_of_the_frames_and_an_hour_without_a_folder_is_empty() -> None:
    """Frames are some 15 minutes late; at 09:10 there is no folder of the hour yet."""
    reader = Replay({HOUR: FRAMES})
    feed = JsocAiaFeed("mine", table_of("jsoc-aia"), reader, at("2026-11-29T09:16:00+00:00"))
    assert len(names(feed.discover(""))) == 3
    assert [url.removeprefix(BASE) for url in reader.urls] == ["/nrt/2026/11/29/H0900/", "/nrt/2026/11/29/H0800/"]


def test_a_server_that_fails_is_no_hour_without_frames() -> None:
    feed = JsocAiaFeed("mine", table_of("jsoc-aia"), Replay({HOUR: FeedError("no", fault="refused")}), clock)
    with pytest.raises(FeedError, match="no"):
        feed.discover("")


def test_the_newest_of_each_wavelength_are_new_when_their_time_is() -> None:
    """``image_times.json`` as the program that writes it at JSOC does: the first and the last time."""
    told = b'{"first":"20100513_000000","last":"20261129_081500"}\n'
    table = table_of("jsoc-aia", folder="mostrecent", wavelengths=["0193", "0211"])
    feed = JsocAiaFeed("mine", table, Replay({f"{BASE}/mostrecent/image_times.json": told}), clock)
    candidates = feed.discover("").candidates
    assert names(feed.discover("")) == ["AIAsynoptic0193.fits", "AIAsynoptic0211.fits"]
    assert {candidate.version for candidate in candidates} == {"2026-11-29T08:15:00Z"}
    assert feed.has_fixed_names


@pytest.mark.parametrize("told", [b'{"last": "soon"}', b"{}", b"<html></html>", b""])
def test_times_that_are_none_are_a_lie(told) -> None:
    table = table_of("jsoc-aia", folder="mostrecent")
    feed = JsocAiaFeed("mine", table, Replay({f"{BASE}/mostrecent/image_times.json": told}), clock)
    with pytest.raises(FeedLies):
        feed.discover("")


def test_a_page_that_is_no_index_is_a_lie() -> None:
    feed = JsocAiaFeed("mine", table_of("jsoc-aia"), Replay({HOUR: b"Service Unavailable"}), clock)
    with pytest.raises(FeedLies, match="no page with links"):
        feed.discover("")


def test_over_http() -> None:
    table = table_of("jsoc-aia")
    frame = f"{HOUR}AIA20261129_080600_0193.fits"
    with served(table, {HOUR: FRAMES, frame: fits()}) as (reader, targets):
        feed = JsocAiaFeed("mine", table, reader, clock)
        fetched = feed.fetch(feed.discover("").candidates[-1])
    assert fetched is not None
    assert (fetched.name, fetched.data) == ("AIA20261129_080600_0193.fits", fits())
    assert len(targets) == 2
