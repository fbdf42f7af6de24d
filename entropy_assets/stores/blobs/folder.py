"""Blobs as files of a local folder: what an installation on one machine keeps.

Every file and name is on the disk before a call returns.
"""

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from entropy_assets.stores.blobs.interface import Blob, Blobs, Listing, is_blob_part, require_blob_name
from entropy_assets.stores.blobs.refusals import BlobMissing, BlobUnreadable, StoreError
from entropy_assets.stores.durable import create_durably, sync_folder, write_durably

_ROOM_BYTES: Final = 2**16
"""What has to fit before something is promised: a small file, with what its folder takes for it."""


class FolderBlobs:
    """A file for each blob, and a folder for each of its folders.

    Parameters
    ----------
    root
        The top, a folder of a local file system; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Return where `name` is or would be."""
        return self.root / require_blob_name(name)

    def create(self, name: str, data: bytes) -> bool:
        """As `Blobs.create`: a hard link is made whole, and never over what is there."""
        path = self._made(name)
        return create_durably(path, data)

    def replace(self, name: str, data: bytes, *, unless: str | None = None) -> bool:
        """As `Blobs.replace`: one rename."""
        return write_durably(self._made(name), data, unless=None if unless is None else self.path(unless))

    def read(self, name: str) -> bytes:
        """As `Blobs.read`."""
        path = self.path(name)
        try:
            with _reading(name, path):
                return path.read_bytes()
        except FileNotFoundError:
            raise BlobMissing(f"there is no {name}", name=name) from None

    def read_listed(self, name: str, version: str, size: int) -> bytes | None:
        """As `Blobs.read_listed`: looked at before and after, since a file may be written to while it is read."""
        path = self.path(name)
        try:
            with _reading(name, path), path.open("rb") as file:
                before = _blob(name, os.fstat(file.fileno()))
                if (before.version, before.size) != (version, size):
                    return None
                data = file.read(size)
                return data if _blob(name, os.fstat(file.fileno())) == before else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, folder: str = "") -> Listing:
        """As `Blobs.list`; what is being written at the moment is not in it, nor what has no name of a blob."""
        place = self.path(folder) if folder else self.root
        folders: list[str] = []
        blobs: list[Blob] = []
        try:
            with _reading(folder, place):
                with os.scandir(place) as entries:
                    for entry in entries:
                        if not is_blob_part(entry.name) or _is_temporary(entry.name):
                            continue
                        if entry.is_dir():
                            folders.append(entry.name)
                        elif (blob := _seen(folder, entry)) is not None:
                            blobs.append(blob)
                changed_s = place.stat().st_mtime
        except FileNotFoundError:
            return Listing()
        return Listing(tuple(sorted(folders)), tuple(sorted(blobs, key=lambda blob: blob.name)), changed_s)

    def find(self, name: str) -> Blob | None:
        """As `Blobs.find`."""
        path = self.path(name)
        try:
            with _reading(name, path):
                state = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _blob(name, state) if stat.S_ISREG(state.st_mode) else None

    def delete(self, name: str) -> None:
        """As `Blobs.delete`; its folder stays."""
        path = self.path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)

    def _made(self, name: str) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@contextmanager
def _reading(name: str, path: Path) -> Iterator[None]:
    """Turn what the system says of a file that is there and can't be read into an error of the store."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):  # it is not there
        raise
    except OSError as error:
        raise BlobUnreadable(name, path, error) from error


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def _seen(folder: str, entry: "os.DirEntry[str]") -> Blob | None:
    """Return what an entry is; None if it vanished meanwhile or is neither file nor folder."""
    try:
        state = entry.stat()
    except FileNotFoundError:
        return None
    return _blob(f"{folder}/{entry.name}" if folder else entry.name, state) if stat.S_ISREG(state.st_mode) else None


def _blob(name: str, state: os.stat_result) -> Blob:
    return Blob(name, state.st_size, state.st_mtime_ns, f"{state.st_mtime_ns}-{state.st_size}")


def lies_in(blobs: Blobs, name: str = "") -> Path:
    """Return the file or folder of `name`, for who looks at an installation in a folder; the empty name is the top.

    Raises
    ------
    StoreError
        If the blobs lie in no folder.
    """
    if not isinstance(blobs, FolderBlobs):
        raise StoreError(f"{name or 'the store'} lies in no folder: read it through its store")
    return blobs.path(name) if name else blobs.root


def refuse_if_full(blobs: Blobs, folder: str) -> None:
    """Raise `OSError` unless the disk has room for one more small file in `folder`; an object store is not asked."""
    if isinstance(blobs, FolderBlobs):
        blobs.replace(f"{folder}/room.tmp", bytes(_ROOM_BYTES))
        blobs.delete(f"{folder}/room.tmp")


def drop_half_written(blobs: Blobs, name: str, before_s: float) -> None:
    """Delete what was being written in the folder `name` before a time, seconds since 1970: its writers were killed."""
    if not isinstance(blobs, FolderBlobs):
        return
    with suppress(FileNotFoundError), os.scandir(blobs.path(name)) as entries:
        for entry in entries:
            if _is_temporary(entry.name) and entry.stat(follow_symlinks=False).st_mtime < before_s:
                Path(entry.path).unlink(missing_ok=True)


def drop_folder(blobs: Blobs, name: str) -> None:
    """Remove the folder `name` if blobs lie in folders and no blob is in it; an object store has none of its own.

    Only for a folder in which nobody makes anything any more: who is about to would find it gone.
    """
    drop_half_written(blobs, name, math.inf)
    if isinstance(blobs, FolderBlobs):
        with suppress(OSError):
            blobs.path(name).rmdir()
