"""The NASA Image and Video Library: page by page, never led away by a link, and of each find the original."""

import json

import pytest

from entropy_assets.sources.feeds.interface import FeedLies
from entropy_assets.sources.feeds.kinds.nasa_images import NasaImagesFeed
from entropy_assets_tests.sources.feeds.replaying import Replay, clock, picture, served, table_of

API = "https://images-api.nasa.gov/"
ASSETS = "https://images-assets.nasa.gov/image/"
NEXT = f"{API}search?page=2&q=mars"


def search(*nasa_ids: str, following: str | None = None, **more: object) -> bytes:
    """Return a documented answer of /search, DATA.md 2."""
    links = [] if following is None else [{"rel": "next", "prompt": "Next", "href": following}]
    items = [
        {
            "href": f"{ASSETS}{nasa_id}/collection.json",
            "data": [
                {
                    "nasa_id": nasa_id,
                    "title": "...",
                    "media_type": "image",
                    "center": "JPL",
                    "date_created": f"2004-11-{30 - place:02}T21:29:24Z",
                    "secondary_creator": "NASA/JPL",
                    "keywords": [],
                }
                | more
            ],
            "links": [{"rel": "preview", "render": "image", "href": f"{ASSETS}{nasa_id}/{nasa_id}~thumb.jpg"}],
        }
        for place, nasa_id in enumerate(nasa_ids)
    ]
    told = {"collection": {"version": "1.0", "links": links, "metadata": {"total_hits": 1}, "items": items}}
    return json.dumps(told).encode()


def asset(*hrefs: str) -> bytes:
    """Return a documented answer of /asset/{nasa_id}: hrefs may be http:// and contain spaces (DATA.md 2)."""
    return json.dumps({"collection": {"items": [{"href": href} for href in hrefs]}}).encode()


def feed_of(answers, **fields) -> tuple[NasaImagesFeed, Replay]:
    reader = Replay(answers)
    return NasaImagesFeed("mine", table_of("nasa-images", query="mars", **fields), reader, clock), reader


def names(discovery) -> list[str]:
    return [candidate.url.removeprefix(f"{API}asset/") for candidate in discovery.candidates]


def test_a_look_reads_one_page_and_the_next_look_the_next() -> None:
    feed, reader = feed_of({f"{API}search": search("PIA07081", "PIA07082", following=NEXT)}, year_start=2004)
    found = feed.discover("")
    assert (names(found), found.cursor) == (["PIA07082", "PIA07081"], "2")
    assert found.candidates[1].dated_at == "2004-11-30T21:29:24Z"
    assert found.candidates[1].credit == "NASA/JPL"
    query = {"q": "mars", "media_type": "image", "page": "1", "page_size": "100", "year_start": "2004"}
    assert reader.asked[0].query == query


def test_after_the_last_page_it_begins_again() -> None:
    feed, reader = feed_of({f"{API}search": search("PIA07081")})
    assert feed.discover("7").cursor == "1"
    assert reader.asked[0].query["page"] == "7"
    assert feed_of({f"{API}search": search("a", following=NEXT.replace("=2", "=101"))})[0].discover("100").cursor == "1"


def test_the_first_look_takes_the_newest_of_its_page_alone() -> None:
    feed, _ = feed_of({f"{API}search": search("a", "b", "c", "d")}, max_files=2)
    assert names(feed.discover("")) == ["b", "a"]
    assert len(names(feed.discover("1"))) == 4


@pytest.mark.parametrize(
    "following, told",
    [
        ("https://elsewhere.example.org/search?page=2&q=mars", "leads to another host"),
        ("//elsewhere.example.org/search?page=2", "leads to another host"),
        ("search?page=2", "leads to another host"),
        (f"{API}search?page=1&q=mars", "behind page 1 of its search comes page 2"),
        (f"{API}search?q=mars", "behind page 1 of its search comes page 2"),
        ("https://[/", "is no address"),
        (f"{API}search?" + "page=2&" * 200, "is no address"),
    ],
)
def test_a_link_that_leads_away_or_in_a_circle_is_a_lie(following, told) -> None:
    feed, _ = feed_of({f"{API}search": search("a", following=following)})
    with pytest.raises(FeedLies, match=told):
        feed.discover("")


def test_an_old_link_of_its_own_host_counts() -> None:
    feed, reader = feed_of({f"{API}search": search("a", following=NEXT.replace("https", "http"))})
    assert feed.discover("").cursor == "2"
    assert reader.urls == [f"{API}search"]


def test_what_is_no_image_is_left_out_and_an_author_is_named() -> None:
    assert names(feed_of({f"{API}search": search("a", media_type="video")})[0].discover("")) == []
    credited = feed_of({f"{API}search": search("a", secondary_creator="", photographer="Jane Doe")})[0]
    assert credited.discover("").candidates[0].credit == "NASA: Jane Doe"
    assert credited.discover("").candidates[0].licence is None


def test_what_esa_had_a_part_in_says_so() -> None:
    """CC BY 4.0, whose credit line is obligatory (DATA.md 0)."""
    [candidate] = (
        feed_of({f"{API}search": search("a", secondary_creator="NASA, ESA, A. Nota")})[0].discover("").candidates
    )
    assert candidate.credit == "NASA, ESA, A. Nota"
    assert str(candidate.licence).startswith("ESA's part CC BY 4.0; else NASA")


@pytest.mark.parametrize(
    "hrefs, original",
    [
        (["http://images-assets.nasa.gov/image/A 1/A 1~orig.jpg"], f"{ASSETS}A%201/A%201~orig.jpg"),
        ([f"{ASSETS}a/a~orig.jpg", f"{ASSETS}a/a~orig.tif"], f"{ASSETS}a/a~orig.tif"),
        ([f"{ASSETS}a/a~large.jpg", f"{ASSETS}a/a~orig.png"], f"{ASSETS}a/a~orig.png"),
        ([f"{ASSETS}a%20b/a%20b~orig.jpg"], f"{ASSETS}a%20b/a%20b~orig.jpg"),
    ],
)
def test_the_original_is_fetched_quoted_and_by_https(hrefs, original) -> None:
    feed, reader = feed_of({f"{API}search": search("a"), f"{API}asset/a": asset(*hrefs), original: b"x"})
    fetched = feed.fetch(feed.discover("").candidates[0])
    assert fetched is not None
    assert reader.urls[-1] == original
    assert fetched.origin.url == original
    assert feed.fetch(feed.discover("").candidates[0], fetched.origin) is None


@pytest.mark.parametrize(
    "hrefs", [[], [f"{ASSETS}a/a~thumb.jpg"], [f"{ASSETS}a~orig.jpg/metadata.json"], [f"{ASSETS}a~orig.mp4"]]
)
def test_a_find_without_an_original_is_a_lie(hrefs) -> None:
    feed, _ = feed_of({f"{API}search": search("a"), f"{API}asset/a": asset(*hrefs)})
    with pytest.raises(FeedLies, match="no original"):
        feed.fetch(feed.discover("").candidates[0])


def test_an_id_with_signs_stays_one_part_of_an_address() -> None:
    feed, _ = feed_of({f"{API}search": search("../a b?c#d")})
    assert names(feed.discover("")) == ["..%2Fa%20b%3Fc%23d"]


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"reason": "Invalid search"}', b"<html></html>"])
def test_what_is_no_answer_of_it_is_a_lie(answer) -> None:
    with pytest.raises(FeedLies):
        feed_of({f"{API}search": answer})[0].discover("")


def test_over_http() -> None:
    table = table_of("nasa-images", query="mars")
    answers = {
        f"{API}search": search("A 1", following=NEXT),
        f"{API}asset/A%201": asset("http://images-assets.nasa.gov/image/A 1/A 1~orig.jpg"),
        f"{ASSETS}A%201/A%201~orig.jpg": picture("JPEG"),
    }
    with served(table, answers) as (reader, targets):
        feed = NasaImagesFeed("mine", table, reader, clock)
        fetched = feed.fetch(feed.discover("").candidates[0])
    assert fetched is not None
    assert (fetched.name, fetched.data) == ("A 1~orig.jpg", picture("JPEG"))
    assert targets[1:] == ["/asset/A%201", "/image/A%201/A%201~orig.jpg"]
