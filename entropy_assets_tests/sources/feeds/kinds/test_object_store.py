"""A prefix of an object store: objects in the order in which they were kept, read and never written."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from entropy_assets.recipe import STANDARD
from entropy_assets.sources.feeds.interface import FeedDenied, FeedError, FeedUnavailable
from entropy_assets.sources.feeds.kinds.object_store import ObjectStoreFeed
from entropy_assets.sources.feeds.roster import rounds_of
from entropy_assets.sources.feeds.rounds import Member
from entropy_assets.sources.feeds.turns import Terms
from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.blobs.interface import Listing
from entropy_assets.stores.blobs.opening import blobs_at
from entropy_assets.stores.blobs.refusals import BlobMissing, StoreDenied, StoreError, StoreUnavailable
from entropy_assets.stores.home import Home
from entropy_assets_tests.sources.feeds.replaying import clock, table_of
from entropy_assets_tests.stores.blobs.servers import put_as_it_is

URL = "s3://bucket/frames"


def feed_of(blobs, **fields) -> ObjectStoreFeed:
    table = table_of("object-store", **({"url": URL, "claim": "raw-ccd"} | fields))
    return ObjectStoreFeed("mine", table, blobs, a_minute_later)


def a_minute_later() -> datetime:
    """Tell a time at which all that was kept by now has settled."""
    return datetime.now(UTC) + timedelta(minutes=1)


def names(discovery) -> list[str]:
    return [candidate.url for candidate in discovery.candidates]


def test_objects_come_in_the_order_in_which_they_were_kept(tmp_path) -> None:
    blobs = FolderBlobs(tmp_path)
    for name in ("c d.fits", "a.fits", "notes.txt", "b.fits"):
        blobs.create(name, name.encode())
    feed = feed_of(blobs)
    found = feed.discover("")
    assert names(found) == [f"{URL}/c%20d.fits", f"{URL}/a.fits", f"{URL}/b.fits"]
    fetched = feed.fetch(found.candidates[0])
    assert fetched is not None
    assert (fetched.name, fetched.data) == ("c d.fits", b"c d.fits")
    assert fetched.origin.etag == found.candidates[0].version
    assert feed.fetch(found.candidates[0], fetched.origin) is None
    assert names(feed.discover(found.cursor)) == []


def test_an_object_that_appears_with_an_older_time_is_taken_all_the_same(tmp_path) -> None:
    """The time of an object that came to S3 in parts is that of its first part, and others came meanwhile."""
    blobs = FolderBlobs(tmp_path)
    blobs.create("a.fits", b"a")
    feed = feed_of(blobs)
    first = feed.discover("")
    assert names(first) == [f"{URL}/a.fits"]
    blobs.create("large.fits", b"large")
    os.utime(tmp_path / "large.fits", (1e9, 1e9))
    assert names(feed.discover(first.cursor)) == [f"{URL}/large.fits"]


def test_folders_by_day_are_walked(tmp_path) -> None:
    blobs = FolderBlobs(tmp_path)
    today = a_minute_later()
    yesterday, today = (f"{day:%Y/%m/%d}" for day in (today - timedelta(days=1), today))
    blobs.create(f"{yesterday}/a.fits", b"a")
    feed = feed_of(blobs, folder="{year}/{month}/{day}/")
    found = feed.discover("")
    assert names(found) == [f"{URL}/{yesterday}/a.fits"]
    blobs.create(f"{today}/b.fits", b"b")
    assert names(feed.discover(found.cursor)) == [f"{URL}/{today}/b.fits"]


def test_an_object_of_the_present_second_waits_for_others_of_it(tmp_path) -> None:
    """S3 tells whole seconds: of two in one second the later one may sort before the other."""
    blobs = FolderBlobs(tmp_path)
    blobs.create("b.fits", b"b")
    os.utime(tmp_path / "b.fits", (1_796_000_000, 1_796_000_000))
    feed = feed_of(blobs)
    feed.clock = lambda: datetime.fromtimestamp(1_796_000_003, UTC)
    first = feed.discover("")
    assert names(first) == []
    blobs.create("a.fits", b"a")
    os.utime(tmp_path / "a.fits", (1_796_000_000, 1_796_000_000))
    feed.clock = lambda: datetime.fromtimestamp(1_796_000_006, UTC)
    assert names(feed.discover(first.cursor)) == [f"{URL}/a.fits", f"{URL}/b.fits"]


def test_what_is_empty_or_too_long_is_left_out(tmp_path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.create("a.fits", b"")
    blobs.create("b.fits", b"12345")
    blobs.create("c.fits", b"1234")
    feed = feed_of(blobs, max_file_bytes=4)
    [candidate] = feed.discover("").candidates
    assert candidate.url == f"{URL}/c.fits"


@pytest.mark.parametrize(
    "later", [b"12345" * 10_000, b"12", b"abcd", None], ids=["longer", "shorter", "another", "gone"]
)
def test_what_was_replaced_since_it_was_listed_is_not_read_and_comes_the_next_time(tmp_path, later) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.create("c.fits", b"1234")
    feed = feed_of(blobs, max_file_bytes=4)
    found = feed.discover("")
    [candidate] = found.candidates
    blobs.delete("c.fits")
    if later is not None:
        blobs.create("c.fits", later)
    with pytest.raises(FeedError, match="is gone, or was replaced since it was listed") as failed:
        feed.fetch(candidate)
    assert (type(failed.value), feed.read_bytes) == (FeedError, 0)
    again = feed.discover(found.cursor).candidates
    assert [feed.fetch(each).data for each in again] == ([later] if later in (b"12", b"abcd") else [])  # type: ignore[union-attr]


def test_what_was_replaced_is_asked_for_in_the_next_round_and_is_in_no_trouble_then(tmp_path) -> None:
    class Replaced(FolderBlobs):
        def read_listed(self, name: str, version: str, size: int) -> bytes | None:
            if name == "a.fits" and not self.list("old").blobs:
                self.create("old/a.fits", self.read(name))
                self.replace(name, b"another")
            return super().read_listed(name, version, size)

    blobs = Replaced(tmp_path / "bucket")
    for name in ("a.fits", "b.fits"):
        blobs.create(name, name.encode())
    home, feed = Home(tmp_path / "home"), feed_of(blobs, from_the_oldest=True)
    rounds = rounds_of(home, STANDARD.sources, settle_seconds=0.0, max_file_bytes=2**20)
    member = Member(feed, Terms(claim="raw-ccd", cadence_s=60))
    words = [rounds.look_at(member, at_once=True).words for _ in range(3)]
    assert words[0].startswith("1 new image; an object (a.fits) is gone, or was replaced since it was listed")
    assert words[1:] == ["1 new image", "nothing new"]
    assert {file.read_bytes() for file in (home.inbox_folder / "raw-ccd").iterdir()} == {b"another", b"b.fits"}


def test_an_object_of_a_real_server_that_was_replaced_is_not_read(object_store) -> None:
    blobs = blobs_at(object_store, "")
    blobs.create("a.fits", b"1234")
    table = table_of("object-store", url=object_store, claim="raw-ccd", max_file_bytes=4)
    feed = ObjectStoreFeed("mine", table, blobs, a_minute_later)
    [candidate] = feed.discover("").candidates
    for later in (b"12345" * 10_000, b"abcd"):
        blobs.replace("a.fits", later)
        with pytest.raises(FeedError, match="was replaced since it was listed"):
            feed.fetch(candidate)
    assert feed.read_bytes == 0
    blobs.replace("a.fits", b"1234")
    fetched = feed.fetch(candidate)
    assert fetched is not None
    assert fetched.data == b"1234"


@pytest.mark.parametrize(
    "error, kind",
    [
        (StoreUnavailable("away", url=URL), FeedUnavailable),
        (StoreDenied("wrong key", url=URL), FeedDenied),
        (BlobMissing("nothing", url=URL), FeedError),
        (StoreError("odd", url=URL), FeedError),
        (PermissionError(13, "no"), FeedUnavailable),
    ],
)
def test_what_a_store_fails_at_is_what_a_feed_fails_at(tmp_path, error, kind) -> None:
    class Failing(FolderBlobs):
        def list(self, folder: str = "") -> Listing:
            raise error

    with pytest.raises(FeedError) as failed:
        feed_of(Failing(tmp_path)).discover("")
    assert type(failed.value) is kind
    assert failed.value.data == {"feed": "mine", "host": "bucket"}


def test_a_bucket_of_a_real_server_is_read_and_never_written_to(object_store, s3_address) -> None:
    """The server gives five objects a page, and a name is as other programs put it."""
    for n in range(7):
        put_as_it_is(s3_address, object_store, f"/2026/11/29/{n}.fits", b"frame %d" % n)
    put_as_it_is(s3_address, object_store, "/2026/11/29/a b&c.fits", b"spaced")
    table = table_of("object-store", url=object_store, folder="2026/11/29", claim="raw-ccd")
    blobs = blobs_at(object_store, "")
    feed = ObjectStoreFeed("mine", table, blobs, a_minute_later)
    before = blobs.list("2026/11/29")
    fetched = [feed.fetch(candidate) for candidate in feed.discover("").candidates]
    assert {image.data for image in fetched if image} == {*(b"frame %d" % n for n in range(7)), b"spaced"}
    assert {image.name for image in fetched if image} == {*(f"{n}.fits" for n in range(7)), "a b&c.fits"}
    assert blobs.list("2026/11/29") == before
    assert blobs.list("").folders == ("2026",)


def test_a_bucket_that_is_not_there_is_denied(object_store) -> None:
    table = table_of("object-store", url="s3://no-such-bucket-here/frames", claim="raw-ccd")
    with pytest.raises(FeedDenied):
        ObjectStoreFeed("mine", table, blobs_at(table.url, ""), clock).discover("")


def test_the_same_bucket_is_asked_by_one_feed_after_the_other(tmp_path) -> None:
    assert feed_of(FolderBlobs(tmp_path)).host == "bucket"


def test_an_object_of_this_moment_waits(tmp_path) -> None:
    """A store tells seconds, and another one of the same second may sort before it."""
    blobs = FolderBlobs(tmp_path)
    for name in ("a.fits", "notes.txt"):
        blobs.create(name, b"a")
    feed = ObjectStoreFeed("mine", table_of("object-store", url=URL, claim="raw-ccd"), blobs, lambda: datetime.now(UTC))
    found = feed.discover("")
    assert (names(found), found.waiting) == ([], 1)
