"""Image files under the hash of their bytes, in a local folder or in an object store.

Trusted for keeping the files, not for leaving them alone: whoever can write to the store can lose an image, but an
altered one is noticed on the next read.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from entropy_assets.errors import ImageAltered, ImageMissing
from entropy_assets.stores.blobs.folder import FolderBlobs, lies_in
from entropy_assets.stores.blobs.interface import Blob, Blobs
from entropy_assets.stores.blobs.refusals import BlobMissing
from entropy_assets.stores.blobs.together import together

FRESH_NS: Final = 3600 * 10**9
"""Age up to which an image that is put again need not be written again, ns."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ImageStore:
    """Image files under the SHA-256 of their bytes: ``ab/ab12...``.

    Parameters
    ----------
    place
        Where they are: a local folder, made when first written to, or the blobs of any store.
    """

    def __init__(self, place: Path | Blobs) -> None:
        self.blobs = FolderBlobs(place) if isinstance(place, Path) else place

    @property
    def root(self) -> Path:
        """Folder of the images, if they lie in one."""
        return lies_in(self.blobs)

    def path(self, sha256: str) -> Path:
        """Return where the image is or would be, if the images lie in a folder."""
        return lies_in(self.blobs, _name(sha256))

    def __contains__(self, sha256: str) -> bool:
        """Tell whether a file of that name is there; only `get` tells whether it is intact."""
        return self.find(sha256) is not None

    def put(self, data: bytes) -> str:
        """Keep `data` and return its SHA-256. Repeating it repairs an altered file, and makes an old one young.

        Who else keeps the same image at the same time writes the same bytes, so nobody need be first. Retention leaves
        young images alone: they may be those of a batch that is being made.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            self.get(sha256)
            kept = self.find(sha256)
        except (ImageMissing, ImageAltered):
            kept = None
        if kept is None or abs(time.time_ns() - kept.modified_ns) > FRESH_NS:
            self.blobs.replace(_name(sha256), data)
        return sha256

    def all(self) -> Iterator[Blob]:
        """Yield all images; the last part of each name is a SHA-256."""
        folders = self.blobs.list().folders
        for listing in together(self.blobs, self.blobs.list, folders):
            yield from (blob for blob in listing.blobs if _SHA256.fullmatch(blob.last))

    def find(self, sha256: str) -> Blob | None:
        """Return what is kept of an image without reading it; None if nothing is."""
        return self.blobs.find(_name(sha256))

    def delete(self, sha256: str) -> None:
        """Keep the image no longer."""
        self.blobs.delete(_name(sha256))

    def get(self, sha256: str) -> bytes:
        """Return the image.

        Raises
        ------
        ImageMissing
            If it is not there.
        ImageAltered
            If its bytes no longer have that hash.
        """
        try:
            data = self.blobs.read(_name(sha256))
        except BlobMissing:
            raise ImageMissing(f"the store holds no image {sha256}", image_sha256=sha256) from None
        present = hashlib.sha256(data).hexdigest()
        if present != sha256:
            message = f"the image stored as {sha256} was altered: its SHA-256 is {present}; restore it from a copy"
            raise ImageAltered(message, image_sha256=sha256, found=present)
        return data


def _name(sha256: str) -> str:
    """Return the name of an image in its store.

    Raises
    ------
    ImageMissing
        If `sha256` is not 64 lower-case hexadecimal digits.
    """
    if not _SHA256.fullmatch(sha256):
        raise ImageMissing(f"{sha256!r} is not a SHA-256 in lower-case hexadecimal digits", image_sha256=sha256)
    return f"{sha256[:2]}/{sha256}"
