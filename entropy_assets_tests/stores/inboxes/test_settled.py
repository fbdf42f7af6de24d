"""Settled files: counted and deleted batch by batch, and never what a link leads to."""

from pathlib import Path

import pytest

from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.inboxes.bucket import BucketInbox, Inbox
from entropy_assets.stores.inboxes.folder import DropFolder
from entropy_assets.stores.inboxes.settled import SettledBatch, delete_settled, settled_batches

KEY = "drop-20260101T000000Z-01234567"


@pytest.fixture(params=["folder", "bucket"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path) -> Inbox:
    """Give an inbox of each kind, with one file that was processed and one that was rejected."""
    folder = tmp_path / "inbox"
    inbox: Inbox = DropFolder(folder, settle_seconds=0)
    if request.param == "bucket":
        inbox = BucketInbox(FolderBlobs(folder))
    inbox.deposit("a.fits", b"good")
    inbox.deposit("b.fits", b"bad")
    inbox.take(inbox.ready(1e12), KEY)
    inbox.settle(KEY, "a.fits", True)
    inbox.settle(KEY, "b.fits", False, "constant")
    return inbox


def test_what_is_settled_is_told_and_goes_place_by_place(inbox: Inbox) -> None:
    processed, rejected = settled_batches(inbox)
    assert processed == SettledBatch("processed", KEY, 1, 4)
    assert (rejected.place, rejected.key, rejected.files) == ("rejected", KEY, 2)
    assert processed.taken_s == 1_767_225_600
    inbox.deposit("c.fits", b"waits")
    delete_settled(inbox, "processed", KEY)
    assert [batch.place for batch in settled_batches(inbox) if batch.files] == ["rejected"]
    delete_settled(inbox, "processed", KEY)
    delete_settled(inbox, "rejected", KEY)
    assert [batch for batch in settled_batches(inbox) if batch.files] == []
    assert [file.name for file in inbox.ready(1e12)] == ["c.fits"]


@pytest.mark.parametrize("place", ["processed", f"processed/{KEY}", f"processed/{KEY}/b.fits"])
def test_nothing_is_deleted_through_a_link(tmp_path: Path, place: str) -> None:
    """Whoever may drop images may lay a link; what it leads to is somebody else's."""
    archive = tmp_path / "archive"
    (archive / KEY).mkdir(parents=True)
    for file in (archive / "precious.fits", archive / KEY / "precious.fits"):
        file.write_bytes(b"precious")
    inbox = DropFolder(tmp_path / "inbox")
    link = inbox.inbox / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(archive / KEY / "precious.fits" if place.endswith(".fits") else archive)
    assert sum(batch.bytes for batch in settled_batches(inbox)) == 0
    delete_settled(inbox, "processed", KEY)
    assert sorted(path.name for path in archive.rglob("*.fits")) == ["precious.fits"] * 2


def test_a_name_that_tells_no_time_has_no_age() -> None:
    for key in ("drop", "drop-20261399T000000Z-01234567"):
        assert SettledBatch("processed", key, 1, 1).taken_s is None
