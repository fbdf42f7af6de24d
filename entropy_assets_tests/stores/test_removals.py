"""The notes of what was removed: they are read back, forget nothing, and damage is told."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.errors import BatchError
from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.removals import (
    REMOVED,
    BatchRemoved,
    Removal,
    RemovedFile,
    keep_removal,
    refuse_removed,
    removal_of,
    removed_keys,
)

KEY = "zoo-20260101T000000Z-01234567"
NOTE = Removal(
    key=KEY,
    source="zoo",
    recipe="ea-2026-2",
    lane="public",
    time_ns=10**18,
    manifest_sha256="ab" * 32,
    ledger_link=None,
    files=(
        RemovedFile(file="a", image_sha256="01" * 32, pixel_sha256="02" * 32, accepted=True, reason=None),
        RemovedFile(file="b", image_sha256="03" * 32, pixel_sha256=None, accepted=False, reason="constant"),
    ),
    removed_at_us=1_790_000_000_000_000,
    why="30 days are kept",
)


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path)


def test_a_note_is_read_as_it_was_made(blobs: FolderBlobs) -> None:
    assert (removal_of(blobs, KEY), removed_keys(blobs)) == (None, frozenset())
    refuse_removed(blobs, KEY)
    keep_removal(blobs, NOTE)
    assert removal_of(blobs, KEY) == NOTE
    assert removed_keys(blobs) == {KEY}
    assert NOTE.spent_images == {"01" * 32: "02" * 32}


def test_a_second_removal_tells_its_time_and_forgets_nothing_of_the_batch(blobs: FolderBlobs) -> None:
    """Who removes it at the same moment as another one may see less; by these facts a lost ledger burns it."""
    published = dataclasses.replace(NOTE, ledger_link="cd" * 32)
    keep_removal(blobs, NOTE)
    keep_removal(blobs, published)
    assert removal_of(blobs, KEY) == published, "it was put back and published in between"
    keep_removal(blobs, dataclasses.replace(NOTE, files=(), manifest_sha256=None, removed_at_us=5, why="again"))
    assert removal_of(blobs, KEY) == dataclasses.replace(published, removed_at_us=5, why="again")


def test_a_damaged_note_is_made_anew_when_its_batch_is_removed_again(blobs: FolderBlobs) -> None:
    blobs.replace(f"{REMOVED}/{KEY}.json", b"{")
    keep_removal(blobs, NOTE)
    assert removal_of(blobs, KEY) == NOTE


def test_a_removed_batch_is_refused_with_the_day_and_the_reason(blobs: FolderBlobs) -> None:
    keep_removal(blobs, NOTE)
    with pytest.raises(BatchRemoved) as caught:
        refuse_removed(blobs, KEY)
    assert caught.value.message == f"batch {KEY} was removed on 2026-09-21 by retention: 30 days are kept"
    assert caught.value.removal == NOTE


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"files": 1}', b"[" * 100_000])
def test_a_damaged_note_is_told_as_one(blobs: FolderBlobs, data: bytes) -> None:
    blobs.replace(f"{REMOVED}/{KEY}.json", data)
    with pytest.raises(BatchError, match="note of the removal"):
        removal_of(blobs, KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"removed_at_us": "1"},
        {"removed_at_us": 10**30},
        {"why": ["x"]},
        {"ledger_link": 1},
        {"lane": "all"},
        {"files": [{"file": 1, "image_sha256": "01" * 32, "pixel_sha256": None, "accepted": True, "reason": None}]},
        {"files": [{"file": "a", "image_sha256": ["01"], "pixel_sha256": None, "accepted": True, "reason": None}]},
        {"files": [{"file": "a", "image_sha256": "01" * 32, "pixel_sha256": 1, "accepted": True, "reason": None}]},
    ],
)
def test_a_note_whose_values_are_of_another_kind_is_told_as_damaged(blobs: FolderBlobs, change: Any) -> None:
    """Else whoever reads it fails in the middle of other batches."""
    blobs.replace(f"{REMOVED}/{KEY}.json", json.dumps(dataclasses.asdict(NOTE) | change).encode())
    with pytest.raises(BatchError, match="note of the removal") as caught:
        refuse_removed(blobs, KEY)
    assert not isinstance(caught.value, BatchRemoved)


def test_the_note_of_another_batch_is_none(blobs: FolderBlobs) -> None:
    blobs.replace(f"{REMOVED}/{KEY}.json", dataclasses.replace(NOTE, key="zoo").encoded())
    with pytest.raises(BatchError, match="is one of zoo"):
        removal_of(blobs, KEY)
