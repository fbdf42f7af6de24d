"""The files of an inbox that are settled, batch by batch: the operator's own originals, which go only at his word.

Who may put files into an inbox may put links there too, so none is followed: what a link leads to is not the inbox's.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from entropy_assets.stores.inboxes.bucket import BucketInbox, Inbox
from entropy_assets.stores.inboxes.folder import BATCH_KEY, PROCESSED, REJECTED

PLACES: Final = (PROCESSED, REJECTED)
_STAMP: Final = re.compile(r"-(\d{8}T\d{6}Z)-[0-9a-f]{8}\Z", re.ASCII)
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class SettledBatch:
    """The settled files of one batch in one of `PLACES`: how many there are, and their bytes."""

    place: str
    key: str
    files: int
    bytes: int

    @property
    def taken_s(self) -> float | None:
        """When its batch was taken in, seconds since 1970; None if its name does not tell."""
        stamp = _STAMP.search(self.key)
        with suppress(ValueError):
            if stamp is not None:
                return datetime.strptime(stamp[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        return None


def settled_batches(inbox: Inbox) -> Iterator[SettledBatch]:
    """Yield what is settled in an inbox; what has no name of a batch, or is a link, is nobody's here."""
    for place in PLACES:
        if isinstance(inbox, BucketInbox):
            for key in filter(BATCH_KEY.fullmatch, inbox.blobs.list(place).folders):
                sizes = [blob.size for blob in inbox.blobs.list(f"{place}/{key}").blobs]
                yield SettledBatch(place, key, len(sizes), sum(sizes))
            continue
        for key in _keys(inbox.inbox, place):
            with ExitStack() as stack:
                folder = _opened(stack, inbox.inbox, place, key)
                sizes = [] if folder is None else [size for _, size in _regular_files(folder)]
                yield SettledBatch(place, key, len(sizes), sum(sizes))


def delete_settled(inbox: Inbox, place: str, key: str) -> None:
    """Delete the settled files of a batch in one of `PLACES`."""
    if isinstance(inbox, BucketInbox):
        for blob in inbox.blobs.list(f"{place}/{key}").blobs:
            inbox.blobs.delete(blob.name)
        return
    with ExitStack() as stack:
        above = _opened(stack, inbox.inbox, place)
        folder = _opened(stack, inbox.inbox, place, key)
        if above is None or folder is None:
            return
        for name, _ in _regular_files(folder):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
        with suppress(OSError):  # something else lies in it
            os.rmdir(key, dir_fd=above)


def _keys(inbox: Path, place: str) -> list[str]:
    with ExitStack() as stack:
        folder = _opened(stack, inbox, place)
        return [] if folder is None else list(filter(BATCH_KEY.fullmatch, _names(folder)))


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def _opened(stack: ExitStack, inbox: Path, *parts: str) -> int | None:
    """Return a descriptor of a folder of the inbox; None if it is gone, or a part of the way is a link."""
    folder = os.open(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, folder)
    for part in parts:
        try:
            folder = os.open(part, _FOLDER, dir_fd=folder)
        except OSError:
            return None
        stack.callback(os.close, folder)
    return folder


def _regular_files(folder: int) -> Iterator[tuple[str, int]]:
    for name in _names(folder):
        with suppress(FileNotFoundError):
            state = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(state.st_mode):
                yield name, state.st_size
