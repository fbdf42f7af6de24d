"""The inbox in an object store: what `DropFolder` promises, over a store that has no rename."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.core.advice import advice_on
from entropy_assets.errors import FileStillChanging
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.opening import blobs_at
from entropy_assets.stores.file_names import safe_name
from entropy_assets.stores.inboxes.bucket import BucketInbox, prefixes
from entropy_assets.stores.inboxes.folder import PendingReason
from entropy_assets_tests.stores.blobs.servers import put_as_it_is

KEY = "drop-20260101T000000Z-00000000"
NOW = 0.0
CHANGES = ("create", "replace", "delete")


class KilledError(Exception):
    """Stands for the process being killed before this very change."""


class Mortal:
    """A store whose user is killed before its `step`-th change."""

    def __init__(self, blobs: Blobs, step: int) -> None:
        self._blobs = blobs
        self._left = step

    def __getattr__(self, name: str) -> Any:
        if name in CHANGES:
            if self._left == 0:
                raise KilledError
            self._left -= 1
        return getattr(self._blobs, name)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return blobs_at(tmp_path, "inbox")


@pytest.fixture
def inbox(blobs: Blobs) -> BucketInbox:
    return BucketInbox(blobs, others=["samples"])


def everything(blobs: Blobs, folder: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of all blobs, but of reasons and notes."""
    listing = blobs.list(folder)
    for blob in listing.blobs:
        if not blob.name.endswith(".reason.json") and not blob.name.startswith(".taken/"):
            yield blob.name, blobs.read(blob.name)
    for inside in listing.folders:
        yield from everything(blobs, f"{folder}/{inside}" if folder else inside)


def test_the_way_of_a_file(inbox: BucketInbox, blobs: Blobs) -> None:
    inbox.deposit("good.fits", b"good")
    inbox.deposit("bad.fits", b"bad")
    taken = inbox.take(inbox.ready(NOW), KEY)
    assert [(file.name, inbox.read(file)) for file in taken] == [("good.fits", b"good"), ("bad.fits", b"bad")]
    assert (inbox.ready(NOW), inbox.taken(), inbox.files_of(KEY)) == ([], [KEY], taken)
    assert (inbox.taken_since(0.0), inbox.taken_since(1e11)) == ([KEY], [])
    inbox.settle(KEY, "good.fits", accepted=True)
    inbox.settle(KEY, "bad.fits", accepted=False, reason="constant", detail="it is flat")
    assert dict(everything(blobs)) == {f"processed/{KEY}/good.fits": b"good", f"rejected/{KEY}/bad.fits": b"bad"}
    reason = json.loads(blobs.read(f"rejected/{KEY}/bad.fits.reason.json"))
    assert reason == {"name": "bad.fits", "reason": "constant", "detail": "it is flat", "advice": advice_on("constant")}
    assert (inbox.taken(), inbox.files_of(KEY), inbox.scan(NOW)) == ([], [], ([], []))


def test_settling_again_changes_nothing(inbox: BucketInbox, blobs: Blobs) -> None:
    inbox.deposit("a.fits", b"a")
    inbox.take(inbox.ready(NOW), KEY)
    target = inbox.settle(KEY, "a.fits", accepted=True)
    assert inbox.settle(KEY, "a.fits", accepted=True) == target
    assert dict(everything(blobs)) == {f"processed/{KEY}/a.fits": b"a"}
    with pytest.raises(FileNotFoundError):
        inbox.settle(KEY, "never.fits", accepted=True)


@pytest.mark.parametrize("step", range(16))
def test_kill_before_any_change_loses_nothing_and_a_rerun_finishes(blobs: Blobs, step: int) -> None:
    files = {f"{letter}.fits": letter.encode() for letter in "abc"}
    for name, data in files.items():
        blobs.create(name, data)
    was_killed = False
    for place in (Mortal(blobs, step), blobs):
        inbox = BucketInbox(place)
        try:
            inbox.take(inbox.ready(NOW), KEY)
            for file in inbox.files_of(KEY):
                inbox.settle(KEY, file.name, accepted=file.name != "b.fits", reason="constant")
        except KilledError:
            was_killed = True
        assert set(dict(everything(blobs)).values()) == set(files.values())
    assert was_killed is (step < 13), "three notes, and copy, removal and note of each file, and a reason"
    assert dict(everything(blobs)) == {
        f"processed/{KEY}/a.fits": b"a",
        f"rejected/{KEY}/b.fits": b"b",
        f"processed/{KEY}/c.fits": b"c",
    }
    assert blobs.find(f"rejected/{KEY}/b.fits.reason.json")
    assert inbox.taken() == []


def test_what_is_written_over_a_taken_file_is_another_file(inbox: BucketInbox, blobs: Blobs) -> None:
    inbox.deposit("a.fits", b"first")
    [file] = inbox.take(inbox.ready(NOW), KEY)
    blobs.replace("a.fits", b"its owner wrote on")
    with pytest.raises(FileStillChanging):
        inbox.read(file)
    assert inbox.ready(NOW) == []
    inbox.settle(KEY, "a.fits", accepted=True)
    assert dict(everything(blobs)) == {"a.fits": b"its owner wrote on"}
    assert [file.name for file in inbox.ready(NOW)] == ["a.fits"]


def test_a_file_that_changed_since_it_was_listed_is_not_taken(inbox: BucketInbox, blobs: Blobs) -> None:
    inbox.deposit("a.fits", b"first")
    inbox.deposit("b.fits", b"b")
    listed = inbox.ready(NOW)
    blobs.replace("a.fits", b"other")
    blobs.delete("b.fits")
    assert inbox.take(listed, KEY) == []


def test_a_file_that_is_put_back_is_ready_again(inbox: BucketInbox) -> None:
    inbox.deposit("a.fits", b"a")
    inbox.take(inbox.ready(NOW), KEY)
    inbox.put_back(KEY, "a.fits")
    assert (inbox.taken(), [file.name for file in inbox.ready(NOW)]) == ([], ["a.fits"])
    with pytest.raises(FileNotFoundError):
        inbox.put_back(KEY, "a.fits")


def test_what_is_left_alone_is_told_as_of_a_folder(blobs: Blobs) -> None:
    for name in ("a.fits.part", ".hidden", "x.reason.json", "large.fits", "smaples/a.fits", "samples/b.fits"):
        blobs.create(name, b"12345" if name == "large.fits" else b"1")
    ready, pending = BucketInbox(blobs, max_file_bytes=4, others=["samples"]).scan(NOW)
    assert ready == []
    assert {entry.name: entry.reason for entry in pending} == {
        ".hidden": PendingReason.HIDDEN,
        "a.fits.part": PendingReason.PARTIAL,
        "large.fits": PendingReason.TOO_LARGE,
        "smaples": PendingReason.UNKNOWN_SOURCE,
        "x.reason.json": PendingReason.RESERVED_NAME,
    }


def test_an_occupied_name_gets_a_number(inbox: BucketInbox, blobs: Blobs) -> None:
    for data in (b"1", b"2"):
        inbox.deposit("a.fits", data)
    assert dict(everything(blobs)) == {"a.fits": b"1", "a.fits~1": b"2"}
    blobs.create(f"processed/{KEY}/a.fits", b"of another one")
    inbox.take(inbox.ready(NOW), KEY)
    assert str(inbox.settle(KEY, "a.fits", accepted=True)) == f"processed/{KEY}/a.fits~1"


@pytest.mark.parametrize("name", ["", "..", "a/b", "/a"])
def test_what_is_a_path_is_refused(inbox: BucketInbox, name: str) -> None:
    for call in (
        lambda: inbox.deposit(name, b"1"),
        lambda: inbox.settle(KEY, name, True),
        lambda: inbox.take([], name),
    ):
        with pytest.raises(ValueError, match=r"name|key"):
            call()


def test_a_prefix_for_each_source_on_an_object_store(object_store: str) -> None:
    inboxes = prefixes(object_store, ["samples", "raw-ccd"], max_file_bytes=1 << 20)
    assert list(inboxes) == ["drop", "samples", "raw-ccd"]
    for source, inbox in inboxes.items():
        inbox.deposit("ü 1.fits", source.encode())
    for source, inbox in inboxes.items():
        [file] = inbox.take(inbox.ready(NOW), KEY)
        assert (file.name, inbox.read(file)) == ("ü 1.fits", source.encode())
        inbox.settle(KEY, file.name, accepted=True)
    assert dict(everything(blobs_at(object_store, ""))) == {
        f"processed/{KEY}/ü 1.fits": b"drop",
        f"samples/processed/{KEY}/ü 1.fits": b"samples",
        f"raw-ccd/processed/{KEY}/ü 1.fits": b"raw-ccd",
    }
    assert inboxes["drop"].scan(NOW) == ([], [])


def test_the_marker_of_a_folder_is_no_file(s3_address: str, object_store: str) -> None:
    """Consoles of object stores make one, an empty object whose key ends in a slash, for who asks for a folder."""
    for key in ("/", "/samples/", "/raw-ccd/", "/smaples/", f"/.taken/{KEY}/", "/samples/a.fits"):
        put_as_it_is(s3_address, object_store, key, b"1" if key.endswith("fits") else b"")
    inboxes = prefixes(object_store, ["samples", "raw-ccd"], max_file_bytes=1 << 20)
    assert {source: [file.name for file in inbox.ready(NOW)] for source, inbox in inboxes.items()} == {
        "drop": [],
        "samples": ["a.fits"],
        "raw-ccd": [],
    }
    assert [entry.name for entry in inboxes["drop"].pending(NOW)] == ["smaples"]
    assert inboxes["drop"].taken() == []


@pytest.mark.parametrize("name", ["Screenshot 9.41\u202fAM.png", "a\u00a0b.fits", "\u200ba.fits", "a\u0085b.fits"])
def test_a_file_whose_name_no_terminal_shows_goes_its_way(s3_address: str, object_store: str, name: str) -> None:
    put_as_it_is(s3_address, object_store, f"/{name}", b"1")
    inbox = prefixes(object_store, [], max_file_bytes=1 << 20)["drop"]
    [file] = inbox.take(inbox.ready(NOW), KEY)
    assert (file.name, inbox.read(file)) == (safe_name(name), b"1")
    inbox.settle(KEY, file.name, accepted=True)
    assert dict(everything(blobs_at(object_store, ""))) == {f"processed/{KEY}/{safe_name(name)}": b"1"}


@pytest.mark.parametrize(
    "forged",
    [
        "not json",
        "[]",
        "[1, 2, 3, 4]",
        '["../x.png", 1, 1, "v"]',
        '["b.png", 1, 1, "v"]',
        '["a.png", true, 1, "v"]',
        "{}",
    ],
)
def test_a_note_that_somebody_else_laid_there_ends_nothing_and_takes_nothing(
    inbox: BucketInbox, blobs: Blobs, forged: str
) -> None:
    """Whoever may put images may write below `.taken` too, where no policy of the store forbids it."""
    blobs.create(f".taken/{KEY}/a.png", forged.encode())
    inbox.deposit("good.png", b"data")
    assert [file.name for file in inbox.ready(NOW)] == ["good.png"]
    assert inbox.files_of(KEY) == []
    with pytest.raises(FileNotFoundError):
        inbox.settle(KEY, "a.png", accepted=True)


def test_a_file_over_the_limit_is_not_read_whatever_its_note_says(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit was lowered since, or somebody laid the note there."""
    inbox = BucketInbox(blobs, max_file_bytes=10)
    inbox.deposit("a.fits", b"a" * 10)
    [file] = inbox.take(inbox.ready(NOW), KEY)
    asked = []
    monkeypatch.setattr(type(blobs), "read", lambda _blobs, name: asked.append(name))
    inbox.max_file_bytes = 9
    for size in (file.size, 1):
        with pytest.raises(FileStillChanging):
            inbox.read(replace(file, size=size))
    assert asked == []
