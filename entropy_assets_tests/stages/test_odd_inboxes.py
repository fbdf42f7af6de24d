"""What is odd in one inbox is told, and keeps no other file waiting."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.provenance.waiting import Waiting
from entropy_assets.recipe import DROP, STANDARD
from entropy_assets.stages.intake import finish_intakes, settle_assessed, take_batches
from entropy_assets.stores.inboxes import folder as inbox_module
from entropy_assets.stores.inboxes.folder import DropFolder, ReadyFile
from entropy_assets_tests.stages.batches_made import LIMITS, Place

LATER_S = 10.0
Inboxes = dict[str, DropFolder]


@pytest.fixture
def inboxes(place: Place) -> Inboxes:
    """Give the inbox of nobody and that of a source, in the order in which they are looked at."""
    (place.inbox_folder / "raw-ccd").mkdir(parents=True)
    found = place.inboxes(("raw-ccd",), settle_seconds=0.0, max_file_bytes=LIMITS.max_file_bytes)
    return {source: inbox for source, inbox in found.items() if isinstance(inbox, DropFolder)}


@pytest.fixture
def tick(place: Place, inboxes: Inboxes) -> Callable[[], list[str]]:
    """Give what a look at the inboxes does: it returns what it warned of."""

    def look() -> list[str]:
        told: list[str] = []
        settle_assessed(place, inboxes, told.append)
        take_batches(inboxes, max_files=64, max_bytes=1 << 30, now=time.time() + LATER_S)
        fixed = finish_intakes(
            place, inboxes, recipe=STANDARD.name, limits=LIMITS, next_lane=lambda _source: "public", warn=told.append
        )
        list(fixed)
        return told

    return look


def told_to_people(place: Place) -> list[tuple[str, str]]:
    return Waiting(
        place, STANDARD.name, batch_files=64, max_file_bytes=LIMITS.max_file_bytes, settle_seconds=0.0
    ).doubts()


@pytest.mark.parametrize("how", ["file", "link"])
def test_what_is_in_the_way_of_settled_files_keeps_only_these_waiting(
    place: Place, inboxes: Inboxes, tick: Callable[[], list[str]], tmp_path: Path, how: str
) -> None:
    for inbox in inboxes.values():
        inbox.deposit("junk.fits", b"no image")
    in_the_way = place.inbox_folder / "rejected"
    (tmp_path / "elsewhere").mkdir()
    in_the_way.symlink_to(tmp_path / "elsewhere") if how == "link" else in_the_way.write_bytes(b"a list of them")
    assert tick() == []
    for batch in place.batches():
        place.finished(batch)
    [code, sentence] = told_to_people(place)[0]
    assert code == "inbox-left-alone"
    assert "rejected (the inbox needs a folder of this name" in sentence
    inboxes[DROP].deposit("next.fits", b"the next one")
    [warning] = tick()
    assert "wait to be settled" in warning
    assert inboxes["raw-ccd"].taken() == []
    assert len(inboxes[DROP].taken()) == 2, "the one that waits, and the next one"
    in_the_way.unlink()
    assert tick() == []
    assert len(inboxes[DROP].taken()) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_is_in_the_way_of_taken_files_keeps_only_its_inbox_waiting(
    place: Place, inboxes: Inboxes, tick: Callable[[], list[str]]
) -> None:
    for inbox in inboxes.values():
        inbox.deposit("junk.fits", b"no image")
    for place_of in (place.inbox_folder / ".taken", place.inbox_folder / "raw-ccd" / ".taken"):
        place_of.write_bytes(b"")
    tick()
    assert "2 entries of the inbox will not be taken: .taken" in told_to_people(place)[0][1]
    (place.inbox_folder / ".taken").unlink()
    tick()
    assert (len(inboxes[DROP].taken()), len(inboxes["raw-ccd"].taken())) == (1, 0)
    (place.inbox_folder / "raw-ccd" / ".taken").unlink()
    tick()
    assert (len(inboxes[DROP].taken()), len(inboxes["raw-ccd"].taken())) == (1, 1)


def take(inboxes: Inboxes) -> None:
    """Take all files, and be killed before their batches are fixed."""
    take_batches(inboxes, max_files=64, max_bytes=1 << 30, now=time.time() + LATER_S)


def files_in_batches(place: Place) -> list[str]:
    return sorted(file.file for batch in place.batches() for file in batch.intake.files)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("others", [[], ["good.fits"]])
def test_a_taken_file_that_can_not_be_opened_any_more_goes_back_and_is_told(
    place: Place,
    inboxes: Inboxes,
    tick: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    others: list[str],
) -> None:
    """Its owner closed it, its disk fails, or its server forgot it: the others and other inboxes go on."""
    for name in ("bad.fits", *others):
        inboxes[DROP].deposit(name, name.encode())
    inboxes["raw-ccd"].deposit("other.fits", b"other")
    take(inboxes)
    real = os.open

    def refuse(path: Any, *rest: Any, **more: Any) -> int:
        if Path(path).name == "bad.fits":
            raise OSError(number, os.strerror(number))
        return real(path, *rest, **more)

    monkeypatch.setattr(inbox_module.os, "open", refuse)
    [warning] = tick()
    assert "'bad.fits' was taken and can't be read" in warning
    for _ in range(2):
        assert tick() == []
    assert files_in_batches(place) == [*others, "other.fits"]
    assert (place.inbox_folder / "bad.fits").read_bytes() == b"bad.fits"
    assert "bad.fits (this process can't read it" in told_to_people(place)[0][1]


def test_a_taken_file_that_became_a_link_goes_back_and_is_told(
    place: Place, inboxes: Inboxes, tick: Callable[[], list[str]]
) -> None:
    inboxes[DROP].deposit("bad.fits", b"bad")
    inboxes["raw-ccd"].deposit("other.fits", b"other")
    take(inboxes)
    [path] = (place.inbox_folder / ".taken").glob("*/bad.fits")
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert len(tick()) == 1
    assert tick() == []
    assert files_in_batches(place) == ["other.fits"]
    assert "bad.fits (a folder, link" in told_to_people(place)[0][1]


@pytest.mark.parametrize("failure", ["disk", "writer"])
def test_of_a_group_in_which_nothing_can_be_read_no_batch_is_made_however_often_it_is_tried(
    place: Place, inboxes: Inboxes, tick: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    """It opens, so it is taken again each time; each of its batches would have a run, and say that nothing came."""
    inboxes[DROP].deposit("bad.fits", b"bad")
    read = DropFolder.read

    def fails(inbox: DropFolder, file: ReadyFile) -> bytes:
        if file.name == "bad.fits" and failure == "disk":
            raise OSError(errno.EIO, "a sector is gone")
        with file.path.open("ab") as writer:
            writer.write(b"more")
        return read(inbox, file)

    monkeypatch.setattr(DropFolder, "read", fails)
    assert [len(tick()) for _ in range(3)] == [failure == "disk"] * 3, "people are told each time"
    assert files_in_batches(place) == []
    assert list(place.batches()) == []
    assert (place.inbox_folder / "bad.fits").is_file()
    monkeypatch.setattr(DropFolder, "read", read)
    tick()
    assert files_in_batches(place) == ["bad.fits"]


def test_a_taken_file_that_its_owner_lets_grow_over_the_limit_goes_back_unread_and_is_told(
    place: Place, inboxes: Inboxes, tick: Callable[[], list[str]]
) -> None:
    """Who dropped it may have it open still. It is sparse here: a terabyte that takes no room."""
    inboxes[DROP].deposit("bad.fits", b"bad")
    inboxes[DROP].deposit("good.fits", b"good")
    with (place.inbox_folder / "bad.fits").open("ab") as owner:
        take(inboxes)
        owner.truncate(1 << 40)
        tick()
    assert files_in_batches(place) == ["good.fits"]
    assert tick() == []
    assert (place.inbox_folder / "bad.fits").stat().st_size == 1 << 40
    assert "bad.fits (larger than the limit" in told_to_people(place)[0][1]
