"""What every store of blobs promises: the same tests for a folder and for an S3 server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from entropy_assets.stores.blobs.interface import Blobs, require_blob_name
from entropy_assets.stores.blobs.refusals import BlobMissing

WRITERS = 24
UNSEEN = ("a\u00a0b", "a\u200bb", "a\u202fb", "a\u2028b", "a\u0085b")
"""Names that hold what no terminal shows. The third is of a screenshot of macOS, before its AM and PM."""
MULTIPART = 6 * 2**20
"""Longer than what clients send in several parts, bytes."""


def test_what_is_created_is_read_and_never_created_again(blobs: Blobs) -> None:
    assert blobs.create("a/b/one", b"first")
    assert not blobs.create("a/b/one", b"second")
    assert not blobs.create("a/b/one", b"first"), "the own bytes of somebody else are not the own success"
    assert blobs.read("a/b/one") == b"first"


@pytest.mark.parametrize("size", [0, 1, MULTIPART], ids=["empty", "one", "multipart"])
def test_blobs_of_any_length_are_created_once(blobs: Blobs, size: int) -> None:
    assert blobs.create("blob", b"\x01" * size)
    assert not blobs.create("blob", b"\x02" * size)
    assert blobs.read("blob") == b"\x01" * size


def test_nothing_is_replaced_beside_what_forbids_it(blobs: Blobs) -> None:
    assert blobs.replace("a/one", b"first", unless="a/end")
    blobs.create("a/end", b"")
    assert not blobs.replace("a/one", b"other", unless="a/end")
    assert not blobs.replace("a/two", b"other", unless="a/end")
    assert [blob.name for blob in blobs.list("a").blobs] == ["a/end", "a/one"]
    assert blobs.read("a/one") == b"first"


def test_a_replaced_blob_is_another_one(blobs: Blobs) -> None:
    blobs.replace("one", b"first")
    before = blobs.find("one")
    blobs.replace("one", b"other")
    after = blobs.find("one")
    assert before is not None
    assert after is not None
    assert before.version != after.version
    assert blobs.read("one") == b"other"


def test_what_was_listed_is_read_only_as_it_was_listed(blobs: Blobs) -> None:
    blobs.replace("a/one", b"first")
    [listed] = blobs.list("a").blobs
    assert blobs.read_listed("a/one", listed.version, listed.size) == b"first"
    blobs.replace("a/one", b"other")
    assert blobs.read_listed("a/one", listed.version, listed.size) is None
    [other] = blobs.list("a").blobs
    assert blobs.read_listed("a/one", other.version, listed.size - 1) is None
    blobs.delete("a/one")
    assert blobs.read_listed("a/one", other.version, other.size) is None


def test_what_is_not_there_is_missing(blobs: Blobs) -> None:
    with pytest.raises(BlobMissing):
        blobs.read("a/none")
    assert blobs.find("a/none") is None
    assert blobs.list("a").blobs == ()
    blobs.delete("a/none")


def test_a_deleted_name_may_be_created_again(blobs: Blobs) -> None:
    blobs.create("a/one", b"1")
    blobs.delete("a/one")
    assert blobs.find("a/one") is None
    assert blobs.create("a/one", b"2")


def test_a_listing_tells_folders_and_blobs_of_one_level(blobs: Blobs) -> None:
    for name in ("top-b", "top-a", "in/one", "in/deeper/two", "inner/three"):
        blobs.create(name, name.encode())
    top, inside = blobs.list(), blobs.list("in")
    assert top.folders == ("in", "inner")
    assert [(blob.name, blob.size) for blob in top.blobs] == [("top-a", 5), ("top-b", 5)]
    assert inside.folders == ("deeper",)
    assert [(blob.name, blob.last) for blob in inside.blobs] == [("in/one", "one")]
    assert inside.changed_s > 1e9
    assert blobs.list("nothing").changed_s == 0
    found, [listed] = blobs.find("in/one"), inside.blobs
    assert found is not None
    # Ceph tells parts of the second in a listing, and whole ones of a single object
    assert (found.name, found.size, found.version) == (listed.name, listed.size, listed.version)


def test_a_folder_is_no_blob(blobs: Blobs) -> None:
    blobs.create("a/b", b"1")
    assert blobs.find("a") is None
    assert blobs.find("a/b/c") is None


@pytest.mark.parametrize(
    "name", ["a b.fits", "a%20b.fits", "ü~x#y?z", "a+b&c=d", ".hidden", "a\\b", "é" * 120, *UNSEEN]
)
def test_odd_names_are_kept_as_they_are(blobs: Blobs, name: str) -> None:
    blobs.create(f"odd/{name}", b"1")
    assert [blob.last for blob in blobs.list("odd").blobs] == [name]
    assert blobs.read(f"odd/{name}") == b"1"


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\nb", "a\0b", "a\x7fb", "\udcff", "n" * 1025]
)
def test_what_is_no_name_never_becomes_a_path(blobs: Blobs, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        require_blob_name(name)
    with pytest.raises(ValueError, match="name"):
        blobs.create(name, b"1")


def race(blobs: Blobs, name: str) -> Iterator[bytes]:
    """Let all writers create `name` at once; yield what each winner wrote."""
    together = Barrier(WRITERS)

    def create(number: int) -> bytes | None:
        together.wait()
        data = b"%d" % number
        return data if blobs.create(name, data) else None

    with ThreadPoolExecutor(WRITERS) as writers:
        yield from (data for data in writers.map(create, range(WRITERS)) if data is not None)


def test_of_many_creators_at_once_one_wins(blobs: Blobs) -> None:
    [won] = race(blobs, "wanted")
    assert blobs.read("wanted") == won


@pytest.mark.slow
def test_of_many_creators_at_once_one_wins_every_time(blobs: Blobs) -> None:
    for number in range(10):
        [won] = race(blobs, f"wanted-{number}")
        assert blobs.read(f"wanted-{number}") == won
