"""What a store of blobs refuses or fails at. No message holds a credential: an address has none."""

import errno
from pathlib import Path
from typing import Final

from entropy_assets.errors import EntropyAssetsError

_OF_ANOTHER_USER: Final = (errno.EACCES, errno.EPERM)
_OF_THE_DISK: Final = (errno.EIO, errno.ESTALE)


class StoreError(EntropyAssetsError):
    """Root of the errors of a store of blobs; ``data`` has the address, never a credential."""

    code = "store-error"

    @property
    def public_message(self) -> str:
        """The message for strangers: without the bucket."""
        return self.message.replace(f" {self.data['url']}", "") if "url" in self.data else self.message


class StoreAddressInvalid(StoreError):
    """An address that no store can have, or one that holds a credential. It is not repeated: it may hold one."""

    code = "store-address-invalid"


class StoreUnavailable(StoreError):
    """No answer from the store after all retries; later it may give one."""

    code = "store-unavailable"


class StoreDenied(StoreError):
    """The store refuses who asks, or has no such bucket: retries don't help."""

    code = "store-denied"


class BlobUnreadable(StoreDenied, OSError):
    """A file or folder of a store in a folder is there, and the system does not let it be read.

    It is of another user, as after a command under ``sudo``, or its disk is bad; ``data`` has ``name`` and ``path``.
    """

    def __init__(self, name: str, path: Path, cause: OSError) -> None:
        what = cause.strerror or type(cause).__name__
        super().__init__(f"{path} can't be read ({what}){_advice(cause.errno)}", name=name, path=str(path))
        self.errno, self.strerror = cause.errno, cause.strerror

    def __str__(self) -> str:
        return self.message

    @property
    def public_message(self) -> str:
        """The message for strangers: without the folder of the store."""
        path, name = str(self.data.get("path", "")), str(self.data.get("name", ""))
        return self.message.replace(path, name or path.rpartition("/")[2]) if path else self.message


def _advice(number: int | None) -> str:
    if number in _OF_ANOTHER_USER:
        return ": give it and the folder that it is in to the user that runs this (chown), with modes 600 and 700"
    return ": look at its disk, or put it back from a backup" if number in _OF_THE_DISK else ""


class StoreUnsafe(StoreError):
    """The store lets a name be created twice: what has to be fixed once is not."""

    code = "store-unsafe"


class BlobMissing(StoreError):
    """The store has nothing under this name."""

    code = "blob-missing"
