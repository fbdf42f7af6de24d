"""What the operator's file says of a feed is what it is asked by."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from entropy_assets.recipe import STANDARD
from entropy_assets.sources.feeds.configuration import Configuration, example, parsed
from entropy_assets.sources.feeds.interface import FeedUnavailable
from entropy_assets.sources.feeds.roster import members_of, opened_feeds, rounds_of, terms_of
from entropy_assets.sources.feeds.tables.fields import HERE
from entropy_assets.stores.home import Home
from entropy_assets_tests.sources.feeds.scripted import ScriptedFeed, frames, hashes

FILE = b"""
[feed.sun]
kind = "sdo-latest"
cadence_seconds = 1800
max_age_seconds = 7200
max_files = 3
max_bytes_per_day = 1000000

[feed.telescope]
kind = "folder"
path = "/frames"
claim = "raw-ccd"

[feed.archive]
kind = "object-store"
url = "s3://bucket/frames"
claim = "raw-ccd"
"""


@pytest.fixture
def configuration() -> Configuration:
    return parsed(FILE, STANDARD)


def test_the_table_says_on_what_terms_a_feed_is_asked(configuration: Configuration) -> None:
    terms = terms_of(configuration.feeds["sun"])
    assert (terms.claim, terms.cadence_s, terms.stale_after_s) == ("sdo-latest", 1800, 7200)
    assert (terms.images_per_turn, terms.bytes_per_day) == (3, 1_000_000)
    assert terms_of(configuration.feeds["telescope"]).stale_after_s is None


def test_feeds_of_one_claim_share_what_may_wait_in_its_inbox(configuration: Configuration) -> None:
    feeds = [ScriptedFeed(name) for name in configuration.feeds]
    sharing = {member.feed.name: member.terms.sharing for member in members_of(configuration, feeds)}
    assert sharing == {"sun": 1, "telescope": 2, "archive": 2}
    aside = parsed(FILE + b"enabled = false\n", STANDARD)
    sharing = {member.feed.name: member.terms.sharing for member in members_of(aside, feeds)}
    assert sharing == {"sun": 1, "telescope": 1, "archive": 2}, "who is asked all the same is one more"


def test_each_feed_has_a_host_or_is_here(configuration: Configuration) -> None:
    hosts = {name: table.host for name, table in configuration.feeds.items()}
    assert hosts == {"sun": "sdo.gsfc.nasa.gov", "telescope": HERE, "archive": "bucket"}
    assert all(table.host for table in parsed(example().encode(), STANDARD).feeds.values())


def test_images_go_into_the_inbox_of_what_is_claimed(configuration: Configuration, tmp_path: Path) -> None:
    """The folder of a source is made when its first image comes."""
    feed, home = ScriptedFeed("sun"), Home(tmp_path)
    feed.images = frames(2)
    rounds = rounds_of(home, STANDARD.sources, settle_seconds=0.0, max_file_bytes=100)
    [look] = rounds.ask(members_of(configuration, [feed]))
    assert look.words == "2 new images"
    assert hashes([file.read_bytes() for file in (home.inbox_folder / "sdo-latest").iterdir()]) == hashes(feed.images)
    assert rounds.ask(members_of(configuration, [feed]))[0].words == "asked again in 1800 s"


class Busy(BaseHTTPRequestHandler):
    """A server that wants to be left alone for an hour, whatever it is asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(429)
        self.send_header("Retry-After", "3600")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_host_that_wants_to_be_left_alone_is_left_alone_by_all_its_feeds(tmp_path: Path) -> None:
    """Each opening stands for another process: a step of a run, or a command."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        text = "".join(
            f"[feed.{name}]\nkind = 'http-directory'\nurl = 'http://127.0.0.1:{server.server_port}/{name}/'\n"
            "own_network = true\nclaim = 'raw-ccd'\n"
            for name in "ab"
        )
        read = parsed(text.encode(), STANDARD)
        for name in "aab":
            [feed] = opened_feeds(read, [name], {}, Home(tmp_path))
            with pytest.raises(FeedUnavailable) as failed:
                feed.discover("")
            assert 0 < failed.value.data["retry_after_s"] <= 3600
        server.shutdown()
    assert Busy.asked == ["/a/"]
