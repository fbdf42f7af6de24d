"""Every table becomes its kind, with its own reader and no more of the environment than it names."""

import os
from pathlib import Path

import pytest

from entropy_assets.recipe import STANDARD
from entropy_assets.sources.feeds.configuration import KINDS, Configuration, example, parsed, read_configuration
from entropy_assets.sources.feeds.interface import Candidate, Feed, FeedDenied, FeedLies, Reader
from entropy_assets.sources.feeds.kinds.aia import JsocAiaFeed
from entropy_assets.sources.feeds.kinds.apod import ApodFeed
from entropy_assets.sources.feeds.kinds.bucket import BucketFeed
from entropy_assets.sources.feeds.kinds.command import CommandFeed
from entropy_assets.sources.feeds.kinds.directory import DirectoryFeed
from entropy_assets.sources.feeds.kinds.epic import EpicFeed
from entropy_assets.sources.feeds.kinds.folder import FolderFeed
from entropy_assets.sources.feeds.kinds.mast import MastFeed
from entropy_assets.sources.feeds.kinds.nasa_images import NasaImagesFeed
from entropy_assets.sources.feeds.kinds.object_store import ObjectStoreFeed
from entropy_assets.sources.feeds.kinds.sdo import SdoLatestFeed
from entropy_assets.sources.feeds.kinds.simulated import SimulatedFeed
from entropy_assets.sources.feeds.making import DeniedFeed, Means, feed_of
from entropy_assets.sources.feeds.roster import opened_feeds
from entropy_assets.sources.feeds.tables.fields import WebTable
from entropy_assets_tests.sources.feeds.replaying import Replay, clock

ANSWER = b'{"date": "2026-11-29", "media_type": "image", "url": "https://apod.nasa.gov/a.jpg"}'
KIND_OF = {
    "sdo-latest": SdoLatestFeed,
    "jsoc-aia": JsocAiaFeed,
    "goes19-ccor1": BucketFeed,
    "goes19-suvi": BucketFeed,
    "public-bucket": BucketFeed,
    "epic": EpicFeed,
    "nasa-images": NasaImagesFeed,
    "apod": ApodFeed,
    "mast": MastFeed,
    "http-directory": DirectoryFeed,
    "object-store": ObjectStoreFeed,
    "folder": FolderFeed,
    "command": CommandFeed,
    "simulated": SimulatedFeed,
}


class Readers:
    def __init__(self) -> None:
        self.of: dict[str, tuple[WebTable, Replay]] = {}

    def __call__(self, name: str, table: WebTable) -> Reader:
        self.of[name] = (table, Replay({"https://api.nasa.gov/planetary/apod": ANSWER}))
        return self.of[name][1]


def feeds_of(configuration: Configuration, means: Means) -> dict[str, Feed]:
    return {name: feed_of(name, table, means) for name, table in configuration.feeds.items()}


def test_every_kind_is_made_and_has_its_name_and_a_host() -> None:
    configuration = parsed(example().encode(), STANDARD)
    readers = Readers()
    feeds = feeds_of(configuration, Means(readers, {"NASA_API_KEY": "a", "INDI_SERVER": "b"}, clock))
    assert KIND_OF.keys() == KINDS.keys()
    for name, table in configuration.feeds.items():
        assert type(feeds[name]) is KIND_OF[table.kind], name  # type: ignore[attr-defined]
        assert feeds[name].name == name
        assert feeds[name].host
        assert (name in readers.of) == isinstance(table, WebTable)


def test_a_feed_without_its_key_is_denied_and_stops_no_other() -> None:
    configuration = parsed(b"[feed.a]\nkind = 'apod'\nkey_env = 'A_KEY'\n[feed.b]\nkind = 'apod'\n", STANDARD)
    for variables in ({}, {"A_KEY": ""}):
        feeds = feeds_of(configuration, Means(Readers(), variables, clock))
        assert isinstance(feeds["a"], DeniedFeed)
        with pytest.raises(FeedDenied, match="A_KEY is not set: set it where feeds are asked"):
            feeds["a"].discover("")
        assert len(feeds["b"].discover("").candidates) == 1


@pytest.mark.parametrize("others", ["write to the file", "exchange it in its folder", "own it"])
def test_no_program_is_started_for_a_file_that_others_could_have_written(others: str, tmp_path: Path) -> None:
    """Whoever can write the file could start any program as this user. Feeds that start none go on."""
    file, proof = tmp_path / "etc" / "sources.toml", tmp_path / "proof"
    file.parent.mkdir()
    command = f'["/usr/bin/touch", "{proof}"]'
    file.write_text(
        f"[feed.a]\nkind = 'command'\ncommand = {command}\nframes = 'raw'\nclaim = 'drop'\n"
        "[feed.b]\nkind = 'simulated'\n"
    )
    if others == "own it":
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        os.chown(file, 12345, -1)
    else:
        place = file if others == "write to the file" else file.parent
        place.chmod(place.stat().st_mode | 0o002)
    feeds = {feed.name: feed for feed in opened_feeds(read_configuration(file, STANDARD), ["a", "b"], {})}
    for ask in (feeds["a"].discover, lambda _: feeds["a"].fetch(Candidate(url="camera:a/touch/1"))):
        with pytest.raises(FeedDenied, match=r"no program .* others could have chosen: /.*: ch(mod go-w|own) it$"):
            ask("")
    assert not proof.exists()
    assert len(feeds["b"].discover("").candidates) == 4
    os.chown(file, os.geteuid(), -1)
    for place in (file, file.parent):
        place.chmod(place.stat().st_mode & ~0o022)
    [feed] = opened_feeds(read_configuration(file, STANDARD), ["a"], {})
    with pytest.raises(FeedLies, match="it wrote nothing"):
        feed.fetch(feed.discover("").candidates[0])
    assert proof.exists()


def test_no_key_is_sent_for_a_file_that_others_could_have_written(tmp_path: Path) -> None:
    """Whoever can write the file could name any variable, and a server of their own."""
    file = tmp_path / "sources.toml"
    file.write_text("[feed.a]\nkind = 'apod'\nkey_env = 'A_KEY'\n")
    for mode in (0o622, 0o600):
        file.chmod(mode)
        configuration, readers = read_configuration(file, STANDARD), Readers()
        [feed] = feeds_of(
            configuration, Means(readers, {"A_KEY": "hunter2"}, clock, doubt=configuration.doubt)
        ).values()
        if mode == 0o600:
            feed.discover("")
            assert readers.of["a"][1].asked[0].secret == {"api_key": "hunter2"}
        else:
            with pytest.raises(FeedDenied, match=r"no key is sent as others could have chosen: .*chmod go-w it$"):
                feed.discover("")
            assert "a" not in readers.of


def test_a_key_reaches_the_feed_that_names_it_alone() -> None:
    configuration = parsed(b"[feed.a]\nkind = 'apod'\nkey_env = 'A_KEY'\n[feed.b]\nkind = 'apod'\n", STANDARD)
    readers = Readers()
    for feed in feeds_of(configuration, Means(readers, {"A_KEY": "hunter2"}, clock)).values():
        feed.discover("")
    assert readers.of["a"][1].asked[0].secret == {"api_key": "hunter2"}
    assert readers.of["b"][1].asked[0].secret == {"api_key": "DEMO_KEY"}
