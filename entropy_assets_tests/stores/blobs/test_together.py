"""Many questions at once: the answers come in order, and a folder is asked one by one."""

import threading
from pathlib import Path

from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.objects import ObjectBlobs
from entropy_assets.stores.blobs.together import AHEAD, AT_ONCE, delete_all, together

NAMES = [str(number) for number in range(10 * AHEAD)]


def test_answers_come_in_the_order_of_the_names(blobs: Blobs) -> None:
    assert list(together(blobs, lambda name: name * 2, NAMES)) == [name * 2 for name in NAMES]
    assert list(together(blobs, lambda name: name, [])) == []


def test_an_object_store_is_asked_several_at_once() -> None:
    """Each of them waits for the others."""
    everybody = threading.Barrier(AT_ONCE, timeout=60)
    asked = together(ObjectBlobs("s3://bucket/prefix"), lambda _: everybody.wait(), NAMES[:AT_ONCE])
    assert sorted(asked) == list(range(AT_ONCE))


def test_who_stops_early_asked_few(tmp_path: Path) -> None:
    for blobs, most in ((FolderBlobs(tmp_path), 1), (ObjectBlobs("s3://bucket/prefix"), AHEAD)):
        asked: list[str] = []
        next(together(blobs, asked.append, NAMES))
        assert 1 <= len(asked) <= most


def test_many_names_go_at_once_and_some_may_be_gone(blobs: Blobs) -> None:
    for name in ("a/1", "a/2", "b/1"):
        blobs.create(name, b"x")
    delete_all(blobs, ["a/1", "b/1", "c/1"])
    delete_all(blobs, [])
    assert [blob.name for folder in "abc" for blob in blobs.list(folder).blobs] == ["a/2"]
