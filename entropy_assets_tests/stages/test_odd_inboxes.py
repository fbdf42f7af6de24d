"""What is odd in one inbox is told, and keeps no other file waiting."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from entropy_assets.provenance.waiting import Waiting
from entropy_assets.recipe import DROP, STANDARD
from entropy_assets.stages.intake import finish_intakes, settle_assessed, take_batches
from entropy_assets.stores.inboxes.folder import DropFolder
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
