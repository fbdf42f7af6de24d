"""The inbox in an object store: a prefix into which people and programs put image files, from any machine.

The names are those of the drop folder, below the prefix of each source::

    NAME                                    dropped by others
    .taken/BATCH/NAME                       a note that NAME is being processed, and which version of it
    processed/BATCH/NAME                    credited
    rejected/BATCH/NAME, NAME.reason.json   refused, and why

An object store has no rename, so a file that is taken stays where it is, with a note beside it; it is moved when it is
settled: copied, and then removed, and its note last. Who is killed between two of these steps is repeated by the next
who settles. An object appears whole, so none is waited for. One process at a time takes files; any number may settle.
An object that is written over is another file, which is taken when the one before it is settled. Only who writes over
a name in the very moment in which it is removed loses a file, so give each file a name of its own.
"""

import errno
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from entropy_assets.errors import FileStillChanging
from entropy_assets.recipe import DROP
from entropy_assets.stores.blobs.interface import Blob, Blobs
from entropy_assets.stores.blobs.opening import blobs_at
from entropy_assets.stores.blobs.refusals import BlobMissing
from entropy_assets.stores.file_names import numbered, require_plain, safe_name, with_suffix
from entropy_assets.stores.inboxes.folder import (
    BATCH_KEY,
    DETAILS,
    OWN_FOLDERS,
    PROCESSED,
    REJECTED,
    TAKEN,
    DropFolder,
    PendingFile,
    PendingReason,
    ReadyFile,
    hindrance_of_name,
)
from entropy_assets.stores.inboxes.refusals import REASON_SUFFIX, refusal_note


@dataclass(frozen=True, slots=True)
class _Note:
    """What is noted of a file that is taken: its name in the store, and what it was when it was listed."""

    name: str
    size: int
    modified_ns: int
    version: str

    @classmethod
    def read(cls, data: bytes, note_name: str) -> Self | None:
        """Return the note in `data`; None if it is none, or not one of the file for which `note_name` stands."""
        try:
            name, size, modified_ns, version = json.loads(data)
        except (ValueError, TypeError):
            return None
        has_its_form = isinstance(name, str) and isinstance(version, str) and type(size) is type(modified_ns) is int
        # A note may have been laid there by whoever may put images: it must not lead out of the inbox.
        if not has_its_form or "/" in name or safe_name(name) != note_name.rpartition("/")[2]:
            return None
        return cls(name, size, modified_ns, version)

    def encoded(self) -> bytes:
        return json.dumps([self.name, self.size, self.modified_ns, self.version]).encode("ascii")

    def file(self) -> ReadyFile:
        return ReadyFile(safe_name(self.name), Path(self.name), self.size, self.modified_ns, self.version)


class BucketInbox:
    """A prefix of an object store and the way of a file through it: what `DropFolder` is for a folder.

    Every method that takes a name or a batch key raises ValueError if that is a path, and StoreError where the store
    does not answer.

    Parameters
    ----------
    blobs
        What lies below the prefix.
    max_file_bytes
        Larger files are left alone: a file is read into memory as a whole, bytes.
    others
        Prefixes inside that are inboxes of their own and no concern of this one; None if it can have none.
    """

    name = DROP

    def __init__(self, blobs: Blobs, max_file_bytes: int = 256 << 20, others: Collection[str] | None = None) -> None:
        self.blobs = blobs
        self.max_file_bytes = max_file_bytes
        self._others = None if others is None else frozenset(others)

    def scan(self, now: float) -> tuple[list[ReadyFile], list[PendingFile]]:
        """Return what is ready, oldest first and then by name, and what is left alone; as `DropFolder.scan`."""
        found, noted = self.blobs.list(), self._noted()
        ready: list[ReadyFile] = []
        pending = [
            PendingFile(
                safe_name(folder), self._hindrance_of_folder(folder), DETAILS[self._hindrance_of_folder(folder)]
            )
            for folder in found.folders
            if folder not in OWN_FOLDERS and folder not in (self._others or ())
        ]
        for blob in found.blobs:
            if safe_name(blob.last) in noted:
                continue
            if (reason := self._hindrance(blob)) is None:
                ready.append(_listed(blob))
            else:
                pending.append(PendingFile(safe_name(blob.last), reason, DETAILS[reason]))
        return sorted(ready, key=lambda file: (file.mtime_ns, file.name)), sorted(pending, key=lambda file: file.name)

    def ready(self, now: float) -> list[ReadyFile]:
        """Return the files that may be taken, oldest first."""
        return self.scan(now)[0]

    def pending(self, now: float) -> list[PendingFile]:
        """Return what is left alone, and why."""
        return self.scan(now)[1]

    def deposit(self, name: str, data: bytes) -> Path:
        """Put a file into the inbox and return its name; an occupied one gets a number."""
        require_plain(name)
        for free in numbered(Path(name)):
            if self.blobs.create(free.name, data):
                return free
        raise AssertionError("the numbers never end")

    def take(self, files: list[ReadyFile], batch_key: str) -> list[ReadyFile]:
        """Note that `files` are being processed and return everything that the batch holds, in order.

        Repeating it after a crash notes the rest. A file that is gone, or is no longer the one that was listed, is
        skipped.
        """
        for file in files:
            found = self.blobs.find(str(file.path))
            if found is not None and found.version == file.version:
                note = _Note(found.name, found.size, found.modified_ns, found.version)
                self.blobs.create(f"{_batch(TAKEN, batch_key)}/{file.name}", note.encoded())
        return self.files_of(batch_key)

    def taken(self) -> list[str]:
        """Return the keys of the batches that still hold files, sorted: what a restart has to look after."""
        return [key for key in self._keys() if self.blobs.list(_batch(TAKEN, key)).blobs]

    def taken_since(self, since_s: float) -> list[str]:
        """Return those of `taken` whose files were last noted after `since_s`, seconds since 1970."""
        noted = {key: self.blobs.list(_batch(TAKEN, key)) for key in self._keys()}
        return [key for key, listing in noted.items() if listing.blobs and listing.changed_s > since_s]

    def files_of(self, batch_key: str) -> list[ReadyFile]:
        """Return the files of a batch that are not settled yet, oldest first."""
        notes = [self._note(blob.name) for blob in self.blobs.list(_batch(TAKEN, batch_key)).blobs]
        files = [note.file() for note in notes if note is not None]
        return sorted(files, key=lambda file: (file.mtime_ns, file.name))

    def read(self, file: ReadyFile) -> bytes:
        """Return the bytes of a listed file.

        Raises
        ------
        FileStillChanging
            If it is not the file that was listed, changed while it was read, or is larger than the limit.
        """
        name = str(file.path)
        found = self.blobs.find(name)
        # by the store's own word: a note may have been laid there by whoever may put images
        is_small = found is not None and found.size <= self.max_file_bytes
        try:
            data = self.blobs.read(name) if is_small and self._is_still(name, file.version) else None
        except BlobMissing:
            data = None
        if data is None or len(data) != file.size or not self._is_still(name, file.version):
            message = f"{file.name!r} changed after it was listed; leave it and list it again"
            raise FileStillChanging(message, name=file.name)
        return data

    def settle(
        self, batch_key: str, name: str, accepted: bool, reason: str | None = None, detail: str | None = None
    ) -> Path:
        """As `DropFolder.settle`; the path is its name in the store."""
        require_plain(name)
        folder = _batch(PROCESSED if accepted else REJECTED, batch_key)
        note_name = f"{_batch(TAKEN, batch_key)}/{name}"
        note = self._note(note_name)
        if note is None:
            if self.blobs.find(f"{folder}/{name}") is None:
                raise FileNotFoundError(errno.ENOENT, f"batch {batch_key} holds no file {name!r}")
            return Path(folder, name)
        if not accepted:
            self.blobs.replace(f"{folder}/{with_suffix(name, REASON_SUFFIX)}", refusal_note(name, reason, detail))
        target = self._copied(note, Path(folder, name))
        if self._is_still(note.name, note.version):
            self.blobs.delete(note.name)
        self.blobs.delete(note_name)
        return target

    def put_back(self, batch_key: str, name: str) -> Path:
        """Let a taken file be ready again, for instance one that still changed, and return its name."""
        require_plain(name)
        note_name = f"{_batch(TAKEN, batch_key)}/{name}"
        note = self._note(note_name)
        if note is None:
            raise FileNotFoundError(errno.ENOENT, f"batch {batch_key} holds no file {name!r}")
        self.blobs.delete(note_name)
        return Path(note.name)

    def _copied(self, note: _Note, target: Path) -> Path:
        """Copy a noted file to the first free name for `target`, or to where it was copied before."""
        try:
            data = self.blobs.read(note.name) if self._is_still(note.name, note.version) else None
        except BlobMissing:
            data = None
        if data is None:  # copied and removed before, or written over by its owner: the images have it by its hash
            return target
        for free in numbered(target):
            if self.blobs.create(str(free), data) or self.blobs.read(str(free)) == data:
                return free
        raise AssertionError("the numbers never end")

    def _hindrance_of_folder(self, name: str) -> PendingReason:
        is_unknown = self._others is not None and not name.startswith(".")
        return PendingReason.UNKNOWN_SOURCE if is_unknown else PendingReason.NOT_A_REGULAR_FILE

    def _hindrance(self, blob: Blob) -> PendingReason | None:
        if (reason := hindrance_of_name(blob.last)) is not None:
            return reason
        return PendingReason.TOO_LARGE if blob.size > self.max_file_bytes else None

    def _is_still(self, name: str, version: str) -> bool:
        found = self.blobs.find(name)
        return found is not None and found.version == version

    def _keys(self) -> list[str]:
        return [key for key in self.blobs.list(TAKEN).folders if BATCH_KEY.fullmatch(key)]

    def _noted(self) -> set[str]:
        """Return the safe names of all files that are being processed."""
        return {blob.last for key in self._keys() for blob in self.blobs.list(_batch(TAKEN, key)).blobs}

    def _note(self, note_name: str) -> _Note | None:
        try:
            return _Note.read(self.blobs.read(note_name), note_name)
        except BlobMissing:
            return None


Inbox = DropFolder | BucketInbox
"""Where images are dropped, wherever it is."""


def prefixes(url: str, sources: Collection[str], max_file_bytes: int) -> Mapping[str, BucketInbox]:
    """Return the inbox at `url` as source ``drop``, and the prefix below it of each of `sources`.

    Who may write below a prefix declares where a file comes from, so let the store's policy say who may.
    """
    by_source = {DROP: BucketInbox(blobs_at(url, ""), max_file_bytes, others=sources)}
    return by_source | {source: BucketInbox(blobs_at(url, source), max_file_bytes) for source in sources}


def _batch(place: str, batch_key: str) -> str:
    if not BATCH_KEY.fullmatch(batch_key):
        raise ValueError(f"{batch_key!r} is no batch key: letters, digits, '_' and '-' only")
    return f"{place}/{batch_key}"


def _listed(blob: Blob) -> ReadyFile:
    return ReadyFile(safe_name(blob.last), Path(blob.last), blob.size, blob.modified_ns, blob.version)
