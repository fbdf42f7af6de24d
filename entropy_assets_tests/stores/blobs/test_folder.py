"""Blobs in a folder are plain files, where tools and people find them."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from entropy_assets.stores.blobs.folder import FolderBlobs, lies_in
from entropy_assets.stores.blobs.objects import ObjectBlobs
from entropy_assets.stores.blobs.refusals import BlobMissing, BlobUnreadable, StoreError


def test_a_blob_is_a_file_of_its_name_and_nothing_beside_it(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "root")
    blobs.create("a/one", b"1")
    blobs.replace("a/one", b"2")
    blobs.create("a/one", b"3")
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == [tmp_path / "root/a/one"]
    assert (tmp_path / "root/a/one").read_bytes() == b"2"
    assert (lies_in(blobs, "a/one"), lies_in(blobs)) == (tmp_path / "root/a/one", tmp_path / "root")


def test_what_is_still_being_written_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / ".abc.tmp").write_bytes(b"half")
    (tmp_path / ".abc").write_bytes(b"whole")
    assert [blob.name for blob in FolderBlobs(tmp_path).list().blobs] == [".abc"]


def test_what_has_no_name_of_a_blob_is_not_listed(tmp_path: Path) -> None:
    """Else who asks for each of a list would trip over what somebody put there."""
    (tmp_path / "a\nb").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe")
    assert FolderBlobs(tmp_path).list().blobs == FolderBlobs(tmp_path).list().folders == ()


def test_every_change_is_on_the_disk_before_the_call_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    blobs = FolderBlobs(tmp_path)
    for change in (lambda: blobs.create("in/a", b"1"), lambda: blobs.replace("in/a", b"2")):
        synced.clear()
        change()
        file, folder = synced
        assert (file.endswith(".tmp"), folder) == (True, "in")
    synced.clear()
    blobs.delete("in/a")
    assert synced == ["in"]


def test_objects_lie_in_no_folder() -> None:
    with pytest.raises(StoreError, match="lies in no folder"):
        lies_in(ObjectBlobs("s3://bucket/prefix"), "a")


LOOKS: list[Callable[[FolderBlobs], object]] = [
    lambda blobs: blobs.read("batch/noise.json"),
    lambda blobs: blobs.find("batch/noise.json"),
    lambda blobs: blobs.read_listed("batch/noise.json", "version", 1),
    lambda blobs: blobs.list("batch/noise.json"),
]


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_there_and_can_not_be_read_is_an_error_of_the_store(
    tmp_path: Path, look: Callable[[FolderBlobs], object]
) -> None:
    """Else nobody who is ready for a store that does its work no more is ready for this."""
    (tmp_path / "batch").mkdir()
    (tmp_path / "batch" / "noise.json").symlink_to("noise.json")
    with pytest.raises(BlobUnreadable) as caught:
        look(FolderBlobs(tmp_path))
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ELOOP
    assert str(caught.value) == caught.value.message
    assert str(tmp_path / "batch/noise.json") in caught.value.message
    assert caught.value.public_message.startswith("batch/noise.json can't be read (")


def test_what_is_not_there_is_missing_also_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    blobs = FolderBlobs(tmp_path)
    assert (blobs.find("file/below"), blobs.read_listed("file/below", "", 1)) == (None, None)
    with pytest.raises(BlobMissing):
        blobs.read("absent")


@pytest.mark.parametrize(
    "number, advice",
    [(errno.EACCES, r"\(chown\), with modes 600 and 700$"), (errno.EIO, r": look at its disk"), (errno.EMFILE, r"\)$")],
)
def test_who_can_not_read_something_hears_what_to_do(tmp_path: Path, number: int, advice: str) -> None:
    error = BlobUnreadable("batch/noise.json", tmp_path / "batch/noise.json", OSError(number, os.strerror(number)))
    assert f"({os.strerror(number)})" in error.message
    with pytest.raises(BlobUnreadable, match=advice):
        raise error


def test_the_top_of_a_store_is_named_without_the_folder_above_it(tmp_path: Path) -> None:
    (tmp_path / "batches").symlink_to("batches")
    with pytest.raises(BlobUnreadable) as caught:
        FolderBlobs(tmp_path / "batches").list()
    assert caught.value.public_message.startswith("batches can't be read (")
