"""What a store of blobs can do, wherever it keeps them. All that is built on it races and dies safely by these alone.

Trusted for keeping bytes, and for giving each name to one creator; not for leaving the bytes alone: who reads them
computes their hashes again.
"""

import re
from dataclasses import dataclass
from typing import Final, Protocol

NAME_LIMIT: Final = 1024
"""Longest name with all its folders, bytes of UTF-8: that of S3."""
_NEVER: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""What no part of a name holds: the control characters of ASCII, and halves of characters, which are no text."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob as it was when somebody looked.

    Attributes
    ----------
    name
        Its name, with its folders.
    size
        Its length, bytes.
    modified_ns
        When it was kept, ns since 1970-01-01 UTC; an object store may tell whole seconds only.
    version
        What changes when its bytes do.
    """

    name: str
    size: int
    modified_ns: int
    version: str

    @property
    def last(self) -> str:
        """The name without its folders."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a folder, without what lies in folders inside it.

    Attributes
    ----------
    folders
        Names of the folders in it, without a path, sorted.
    blobs
        The blobs in it, sorted by name.
    changed_s
        When something in it last came or went, as far as the store knows, seconds since 1970; 0 if it is empty.
    """

    folders: tuple[str, ...] = ()
    blobs: tuple[Blob, ...] = ()
    changed_s: float = 0.0


class Blobs(Protocol):
    """Bytes under names like ``folder/name``. Every blob appears whole or not at all, and stays after a power cut.

    Every method raises `StoreError` or OSError where the store does not do its work, and ValueError for a name that is
    none. Those that only look raise `StoreError` alone: of a file that is there and can't be read `BlobUnreadable`.
    """

    def create(self, name: str, data: bytes) -> bool:
        """Keep `data` under `name` unless something is there; return whether this call did.

        Of several creators at once one wins, on all machines together.
        """

    def replace(self, name: str, data: bytes, *, unless: str | None = None) -> bool:
        """Keep `data` under `name`, whatever is there: readers see all of the old or all of the new.

        For what may be made again, as a stage of a batch is that was not published. Deleting and creating instead
        would leave nothing to who is killed between the two.

        If something is under the name `unless`, nothing is changed; return whether this call did. It is looked for as
        late as can be, but not in one step with the change: who keeps it in between is not seen.
        """

    def read(self, name: str) -> bytes:
        """Return what is under `name`.

        Raises
        ------
        BlobMissing
            If nothing is.
        """

    def read_listed(self, name: str, version: str, size: int) -> bytes | None:
        """Return what is under `name` if it still has the version and length that were told of it.

        None if it has not, or nothing is there. Never more than `size` bytes are read.
        """

    def list(self, folder: str = "") -> Listing:
        """Return what lies in `folder`; the empty name is the top. A folder that is not there is empty."""

    def find(self, name: str) -> Blob | None:
        """Return what is under `name` without reading it; None if nothing is."""

    def delete(self, name: str) -> None:
        """Let nothing be under `name`; so it may be already."""


def is_blob_part(part: str) -> bool:
    """Tell whether `part` may stand between the slashes of a name."""
    return part not in ("", ".", "..") and _NEVER.search(part) is None


def require_blob_name(name: str) -> str:
    """Return `name` if it is one that stays below the top of a store. It may hold what no terminal shows.

    Raises
    ------
    ValueError
        If a part of it is empty, leads elsewhere or holds control characters, or it is too long.
    """
    if not all(map(is_blob_part, name.split("/"))):
        raise ValueError(f"{name!r} is no name of a blob")
    if len(name.encode()) > NAME_LIMIT:
        raise ValueError(f"a name of {len(name)} characters is longer than {NAME_LIMIT} bytes")
    return name
