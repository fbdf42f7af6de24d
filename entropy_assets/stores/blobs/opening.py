"""The store at a place: a local folder, or the URL of an object store. Its client is loaded only for the second."""

from pathlib import Path

from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.blobs.interface import Blobs


def blobs_at(place: Path | str, folder: str) -> Blobs:
    """Return the store of the blobs in `folder` of `place`: a folder, or the URL of an object store.

    Nothing is asked of an object store before it is used.

    Raises
    ------
    StoreAddressInvalid
        If it is no address.
    ExtraMissing
        If what speaks to object stores is not installed.
    """
    if isinstance(place, Path):
        return FolderBlobs(place / folder)
    from entropy_assets.stores.blobs.objects import ObjectBlobs

    return ObjectBlobs(place, folder)


def refuse_unsafe(url: str) -> None:
    """Ask the object store at `url` whether it lets a name be created once; a process asks until it has its answer.

    Raises
    ------
    StoreError
        If it does not, refuses who asks, or does not answer.
    ExtraMissing
        If what speaks to object stores is not installed.
    """
    from entropy_assets.stores.blobs.objects import ObjectBlobs

    ObjectBlobs(url).probe()
