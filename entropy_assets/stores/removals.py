"""What is left of a batch that retention removed: a note that says what it was, when it went and why.

A note is made before anything of its batch is deleted, and stays for ever: so nobody takes what is half deleted for a
batch that stands still, and what the ledger has of its blocks is not called damaged. It holds no nonce and no seed.
Beside a batch that has its intake it says nothing: that one was put back, or nothing of it was deleted yet.

Trusted as the batches are: for nothing. Who can write a note can hide a batch, which he could delete as well; a batch
that the ledger has is published no second time, whatever the notes say.
"""

import dataclasses
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from entropy_assets.errors import BatchError
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.refusals import BlobMissing
from entropy_assets.stores.lanes import LANES, Lane

REMOVED: Final = ".removed"
"""Folder of the notes, beside the batches; no key begins with a dot."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedFile:
    """One file of a removed batch, and what became of it: ``reason`` says why it gave nothing."""

    file: str
    image_sha256: str
    pixel_sha256: str | None
    accepted: bool
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a removed batch was.

    Attributes
    ----------
    key, source, recipe, lane, time_ns
        As its intake had them.
    manifest_sha256
        Hash of its manifest, hex; None if it had none.
    ledger_link
        Link of its publication, hex; None if nothing of it was published.
    files
        What came, and what became of it.
    removed_at_us
        When it was removed, microseconds since 1970, UTC.
    why
        Why it was, in words.
    """

    key: str
    source: str
    recipe: str
    lane: Lane
    time_ns: int
    manifest_sha256: str | None
    ledger_link: str | None
    files: tuple[RemovedFile, ...]
    removed_at_us: int
    why: str

    @property
    def removed_at(self) -> str:
        """When it was removed, ISO 8601, UTC, to the second."""
        return datetime.fromtimestamp(self.removed_at_us // 10**6, UTC).isoformat(timespec="seconds")

    @property
    def sentence(self) -> str:
        """What to say of it."""
        return f"batch {self.key} was removed on {self.removed_at[:10]} by retention: {self.why}"

    @property
    def spent_images(self) -> dict[str, str | None]:
        """The hash of the pixels of each image that it spent, by that of its file."""
        return {file.image_sha256: file.pixel_sha256 for file in self.files if file.accepted}

    @classmethod
    def read(cls, data: bytes, key: str) -> Self:
        """Return the note in `data`.

        Raises
        ------
        BatchError
            If it is none, or not one of the batch `key`.
        """
        try:
            row = json.loads(data)
            note = cls(**{**row, "files": tuple(RemovedFile(**file) for file in row["files"])})
            _require_kinds(note)
        except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
            raise BatchError(f"the note of the removal of batch {key} is damaged: {error}", batch=key) from error
        if note.key != key:
            raise BatchError(f"the note of the removal of batch {key} is one of {note.key}", batch=key)
        return note

    def encoded(self) -> bytes:
        """Return the note as JSON that a person can read."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, indent=1).encode("ascii")


class BatchRemoved(BatchError):
    """A batch that retention removed; ``removal`` is its note, for who has the batches."""

    code = "batch-removed"

    def __init__(self, message: str, removal: Removal | None = None, **data: Any) -> None:
        super().__init__(message, **data)
        self.removal = removal


def keep_removal(batches: Blobs, removal: Removal) -> None:
    """Keep the note of a batch that is about to be deleted.

    Of one that is deleted again, since it was put back, the newest says when and why. What an earlier one tells of the
    batch stays: whoever deletes at the same moment may see less of it. One that is damaged is made anew.
    """
    if batches.create(_name(removal.key), removal.encoded()):
        return
    earlier = None
    with suppress(BatchError):
        earlier = removal_of(batches, removal.key)
    again = dataclasses.replace(
        earlier or removal,
        removed_at_us=removal.removed_at_us,
        why=removal.why,
        ledger_link=removal.ledger_link if earlier is None else earlier.ledger_link or removal.ledger_link,
    )
    batches.replace(_name(removal.key), again.encoded())


def removal_of(batches: Blobs, key: str) -> Removal | None:
    """Return the note of the removal of batch `key`; None if it was not removed.

    Raises
    ------
    BatchError
        If it is damaged.
    """
    try:
        return Removal.read(batches.read(_name(key)), key)
    except BlobMissing:
        return None


def refuse_removed(batches: Blobs, key: str) -> None:
    """Raise if batch `key` was removed.

    Raises
    ------
    BatchRemoved
        With its note.
    BatchError
        If that is damaged.
    """
    removal = removal_of(batches, key)
    if removal is not None:
        facts = {"batch": key, "removed_at": removal.removed_at, "why": removal.why}
        raise BatchRemoved(removal.sentence, removal, **facts)


def removed_keys(batches: Blobs) -> frozenset[str]:
    """Return the keys of all batches that were removed."""
    return frozenset(blob.last.removesuffix(".json") for blob in batches.list(REMOVED).blobs)


def _require_kinds(note: Removal) -> None:
    """Raise ValueError unless all values are what they are said to be: later readers are in the middle of others."""
    texts: list[object] = [note.key, note.source, note.recipe, note.why, *(file.file for file in note.files)]
    texts += [text for text in (note.manifest_sha256, note.ledger_link) if text is not None]
    texts += [file.reason for file in note.files if file.reason is not None]
    hashes: list[object] = [file.image_sha256 for file in note.files]
    hashes += [file.pixel_sha256 for file in note.files if file.pixel_sha256 is not None]
    numbers: list[object] = [note.time_ns, note.removed_at_us]
    answers: list[object] = [file.accepted for file in note.files]
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(isinstance(name, str) and _SHA256.fullmatch(name) for name in hashes)
        or not all(type(number) is int for number in numbers)
        or not all(isinstance(answer, bool) for answer in answers)
        or note.lane not in LANES
    ):
        raise ValueError("a value in it is of another kind")
    datetime.fromtimestamp(note.removed_at_us // 10**6, UTC)


def _name(key: str) -> str:
    return f"{REMOVED}/{key}.json"
