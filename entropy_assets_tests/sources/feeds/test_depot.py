"""Each image goes into an inbox once, under a name that is taken, whatever its server called it."""

from dataclasses import replace
from pathlib import Path

import pytest

from entropy_assets.sources.feeds.depot import Arrival, name_in_inbox
from entropy_assets.sources.feeds.interface import FetchedImage
from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.inboxes.bucket import BucketInbox
from entropy_assets.stores.inboxes.folder import hindrance_of_name
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets_tests.sources.feeds.scripted import NOON_S, Site, sha256

ORIGIN = Origin(feed="sky", url="https://sky.example/a.fits", fetched_at="2026-11-29T12:00:00Z", credit="Sky")


def image(name: str = "a.fits", data: bytes = b"frame") -> FetchedImage:
    return FetchedImage(name, data, ORIGIN)


@pytest.mark.parametrize(
    "name",
    ["a.fits", "..", ".hidden.fits", "a/../b.fits", "a.part", "x.reason.json", "a b\n.fits", "", "€" * 300, "a." * 200],
)
def test_whatever_its_name_its_file_is_taken_and_stays_in_the_inbox(name: str) -> None:
    named = name_in_inbox(image(name), "ab" * 32)
    assert hindrance_of_name(named) is None
    assert named.isascii()
    assert "/" not in named
    assert len(named) <= 255
    assert "abababababababab" in named


def test_the_name_tells_feed_and_image_and_keeps_the_ending() -> None:
    digits = "0123456789abcdef"
    assert name_in_inbox(image("latest_0171.jpg"), digits * 4) == f"sky_latest_0171-{digits}.jpg"
    assert name_in_inbox(image("a.2026.fits.fz"), digits * 4) == f"sky_a.2026-{digits}.fits.fz"


def test_who_comes_second_with_the_same_bytes_deposits_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    depot, data_sha256 = site.rounds.depot, sha256(b"frame")
    assert not depot.knows(data_sha256)
    assert depot.deposit(image(), data_sha256, "drop", was_begun=False, now_s=NOON_S) is Arrival.DEPOSITED
    assert depot.deposit(image("b.fits"), data_sha256, "drop", was_begun=False, now_s=NOON_S) is Arrival.DUPLICATE
    assert depot.knows(data_sha256)
    assert site.deposited() == [data_sha256]
    assert site.home.origins().of(data_sha256) == ORIGIN


@pytest.mark.parametrize("where", ["inbox", "taken", "images"])
def test_one_that_was_begun_is_found_wherever_it_went(where: str, tmp_path: Path) -> None:
    """A killed turn is repeated after seconds or days; by then the pipeline may have taken the file and settled it."""
    site = Site(tmp_path)
    depot, data_sha256 = site.rounds.depot, sha256(b"frame")
    depot.deposit(image(), data_sha256, "drop", was_begun=True, now_s=NOON_S)
    if where != "inbox":
        [file] = site.inbox.take(site.inbox.ready(2 * NOON_S), "batch")
        if where == "images":
            site.home.images().put(b"frame")
            site.inbox.settle("batch", file.name, accepted=True)
    before = len(list(tmp_path.rglob("sky_*")))
    depot.deposit(image(), data_sha256, "drop", was_begun=True, now_s=2 * NOON_S)
    assert len(list(tmp_path.rglob("sky_*"))) == before == 1


def test_one_that_was_dropped_by_hand_is_known(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.home.images().put(b"frame")
    assert site.rounds.depot.knows(sha256(b"frame"))


def test_an_inbox_in_an_object_store_is_served_the_same(tmp_path: Path) -> None:
    """Put there once, and found again when it is taken: a prefix has the way of a folder."""
    site, data_sha256 = Site(tmp_path / "home"), sha256(b"frame")
    inbox = BucketInbox(FolderBlobs(tmp_path / "bucket"))
    depot = replace(site.rounds.depot, inbox_of=lambda claim: inbox)
    assert depot.deposit(image(), data_sha256, "drop", was_begun=False, now_s=NOON_S) is Arrival.DEPOSITED
    for taken in (False, True):
        if taken:
            inbox.take(inbox.ready(NOON_S), "batch")
        depot.deposit(image(), data_sha256, "drop", was_begun=True, now_s=NOON_S)
        assert len([file for file in (tmp_path / "bucket").iterdir() if file.is_file()]) == 1
