"""A folder that a web server lists: its images in the order of their times, and nothing else that a page shows."""

import socket
import threading
from datetime import datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from entropy_assets.recipe import STANDARD
from entropy_assets.sources.feeds.configuration import parsed
from entropy_assets.sources.feeds.interface import FeedError, FeedLies
from entropy_assets.sources.feeds.kinds.directory import DirectoryFeed
from entropy_assets.sources.feeds.roster import opened_feeds
from entropy_assets_tests.sources.feeds.replaying import Replay, at, clock, fits, served, table_of

URL = "https://frames.example.org/raw/"


def nginx(*rows: tuple[str, str]) -> bytes:
    """Return the page of a folder as nginx writes it."""
    lines = [f'<a href="{name}">{name}</a>              {time}             4299161' for name, time in rows]
    return "\n".join(["<h1>Index</h1><hr><pre>", '<a href="../">../</a>', *lines, "</pre>"]).encode()


def feed_of(answers, **fields) -> DirectoryFeed:
    table = table_of("http-directory", **({"url": URL, "claim": "raw-ccd"} | fields))
    return DirectoryFeed("mine", table, Replay(answers), clock)


def names(discovery) -> list[str]:
    return [candidate.url.rpartition("/")[2] for candidate in discovery.candidates]


def test_files_come_in_the_order_of_their_times() -> None:
    page = nginx(("a.fits", "29-Nov-2026 08:30"), ("c.fits", "29-Nov-2026 08:28"), ("b.FIT", "29-Nov-2026 08:29"))
    feed = feed_of({URL: page}, from_the_oldest=True)
    found = feed.discover("")
    assert names(found) == ["c.fits", "b.FIT", "a.fits"]
    assert (found.candidates[0].dated_at, found.candidates[0].size) == ("2026-11-29T08:28:00Z", 4299161)
    assert names(feed.discover(found.cursor)) == []


@pytest.mark.parametrize("zone", [0, 60, -300, 330, 345, 765])
def test_a_file_of_the_same_minute_waits_until_that_is_over(zone) -> None:
    """It is 08:33:05, or what that is in the server's zone: files of 08:33 wait until their minute is long over."""
    at_0833 = datetime(2026, 11, 29, 8, 33) + timedelta(minutes=zone)  # noqa: DTZ001 - the page tells no zone
    rows = [("b.fits", f"{at_0833:%d-%b-%Y %H:%M}"), ("0.fits", f"{at_0833 - timedelta(minutes=4):%d-%b-%Y %H:%M}")]
    first = feed_of({URL: nginx(*rows)}, from_the_oldest=True).discover("")
    assert (names(first), first.waiting) == (["0.fits"], 1)
    later = feed_of({URL: nginx(*rows, ("a.fits", rows[0][1]))}, from_the_oldest=True)
    later.clock = at("2026-11-29T08:36:00+00:00")
    assert names(later.discover(first.cursor)) == ["a.fits", "b.fits"]


def test_the_first_look_takes_the_newest_alone() -> None:
    page = nginx(*((f"{n}.fits", f"29-Nov-2026 08:{n}") for n in range(10, 30)))
    assert names(feed_of({URL: page}, max_files=3).discover("")) == ["27.fits", "28.fits", "29.fits"]


def test_without_times_files_come_in_the_order_of_their_names() -> None:
    page = b'<li><a href="b.fits">b.fits</a></li><li><a href="a.fits">a.fits</a></li>'
    found = feed_of({URL: page}).discover("")
    assert names(found) == ["a.fits", "b.fits"]
    assert found.candidates[0].dated_at is None


LATE_FILES = {
    "no dates": (
        [b'<a href="mer.fits">mer.fits</a>'],
        [b'<a href="aaa.fits">aaa.fits</a>', b'<a href="bias.fits">bias.fits</a>', b'<a href="z.fits">z.fits</a>'],
    ),
    "an old date": (
        [b'<a href="m.fits">m.fits</a> 29-Nov-2026 08:00 77'],
        [b'<a href="a.fits">a.fits</a> 01-Feb-2024 08:00 77', b'<a href="b.fits">b.fits</a> 29-Nov-2026 07:59 77'],
    ),
    "the same date": (
        [b'<a href="m.fits">m.fits</a> 29-Nov-2026 08:00 77'],
        [b'<a href="a.fits">a.fits</a> 29-Nov-2026 08:00 77'],
    ),
    "a date for some": (
        [b'<a href="m.fits">m.fits</a> 29-Nov-2026 08:00 77'],
        [b'<a href="z.fits">z.fits</a>'],
    ),
    "another length at the same date": (
        [b'<a href="m.fits">m.fits</a> 29-Nov-2026 08:00 77'],
        [b'<a href="m.fits">m.fits</a> 29-Nov-2026 08:00 99'],
    ),
}


@pytest.mark.parametrize("from_the_oldest", [False, True])
@pytest.mark.parametrize("before, more", LATE_FILES.values(), ids=LATE_FILES)
def test_a_file_that_appears_before_others_is_taken_all_the_same(before, more, from_the_oldest) -> None:
    """Of a telescope, ``bias_1.fits`` comes after ``light_1.fits``; a copy keeps its date; and most pages tell none."""
    first = feed_of({URL: b"\n".join(before)}, from_the_oldest=from_the_oldest).discover("")
    assert len(first.candidates) == 1
    named = {row.split(b'"')[1]: row for row in [*before, *more]}
    feed = feed_of({URL: b"\n".join(named.values())}, from_the_oldest=from_the_oldest)
    second = feed.discover(first.cursor)
    assert sorted(each.url for each in second.candidates) == sorted({URL + row.split(b'"')[1].decode() for row in more})
    assert names(feed.discover(second.cursor)) == []


def test_a_page_that_lacks_files_for_a_while_makes_none_of_them_new() -> None:
    rows = [(f"{n}.fits", f"29-Nov-2026 07:{n}") for n in range(10, 40)]
    first = feed_of({URL: nginx(*rows)}, max_files=3).discover("")
    gone = feed_of({URL: nginx(rows[0])}).discover(first.cursor)
    assert names(feed_of({URL: nginx(*rows)}).discover(gone.cursor)) == []


def test_only_images_by_the_pattern_and_whole_files_are_taken() -> None:
    page = nginx(*((name, "29-Nov-2026 08:30") for name in ("a.fits", "a.fits.part", "a.jpg", ".b.fits", "c.fits.tmp")))
    found = feed_of({URL: page}).discover("")
    assert (names(found), found.left_out) == (["a.fits"], 4)
    assert names(feed_of({URL: page}, pattern="*.jpg").discover("")) == ["a.jpg"]


def test_a_file_that_grew_is_another_version() -> None:
    page = nginx(("a.fits", "29-Nov-2026 08:30"))
    before, after = (feed_of({URL: each}).discover("") for each in (page, page.replace(b"4299161", b"5299161")))
    assert before.candidates[0].version != after.candidates[0].version


def test_a_folder_by_day_may_not_be_there_yet() -> None:
    dated = "https://frames.example.org/{year}/{month}/{day}/"
    page = nginx(("a.fits", "28-Nov-2026 08:30"))
    feed = feed_of({"https://frames.example.org/2026/11/28/": page}, url=dated)
    assert names(feed.discover("")) == ["a.fits"]


def test_a_folder_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FeedError, match="there is nothing"):
        feed_of({}).discover("")


def test_a_page_that_is_no_index_is_a_lie() -> None:
    with pytest.raises(FeedLies, match="no page with links"):
        feed_of({URL: b"<html>log in</html>"}).discover("")


def test_a_long_page_is_taken_in_bounded_steps() -> None:
    page = nginx(*((f"{n:05}.fits", "29-Nov-2026 08:30") for n in range(3000)))
    feed = feed_of({URL: page}, from_the_oldest=True, max_files=1000)
    found = feed.discover("")
    assert (len(found.candidates), found.is_whole) == (1000, False)
    assert names(feed.discover(found.cursor))[0] == "01000.fits"


def test_a_server_of_the_own_network_may_be_plain() -> None:
    table = table_of("http-directory", url="http://telescope.local:8080/", claim="raw-ccd", own_network=True)
    page = b'<a href="a.fits">a.fits</a>'
    feed = DirectoryFeed("mine", table, Replay({"http://telescope.local:8080/": page}), at("2026-11-29T08:00:00+00:00"))
    assert feed.discover("").candidates[0].url == "http://telescope.local:8080/a.fits"
    assert table.allowed_hosts == {"telescope.local"}


def test_over_http() -> None:
    table = table_of("http-directory", url=URL, claim="raw-ccd")
    page = nginx(("a%20b.fits", "29-Nov-2026 08:30"))
    with served(table, {URL: page, f"{URL}a%20b.fits": fits()}) as (reader, targets):
        feed = DirectoryFeed("mine", table, reader, clock)
        fetched = feed.fetch(feed.discover("").candidates[0])
    assert fetched is not None
    assert (fetched.name, fetched.data) == ("a b.fits", fits())
    assert targets == ["/raw/", "/raw/a%20b.fits"]


class OverIPv6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_server_of_the_own_network_may_have_an_address_of_version_6(tmp_path) -> None:
    (tmp_path / "a.fits").write_bytes(fits())
    try:
        server = OverIPv6(("::1", 0), partial(Quiet, directory=tmp_path))
    except OSError as error:
        pytest.skip(f"needs IPv6 on this machine: {error}")
    with server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://[::1]:{server.server_address[1]}/"
        text = f"[feed.mine]\nkind = 'http-directory'\nurl = '{url}'\nown_network = true\nclaim = 'raw-ccd'\n"
        [feed] = opened_feeds(parsed(text.encode(), STANDARD), ["mine"], {})
        assert [each.url for each in feed.discover("").candidates] == [f"{url}a.fits"]
        server.shutdown()
