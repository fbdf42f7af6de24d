"""Image files under the hash of their bytes.

Trusted for keeping the files, not for leaving them alone: whoever can write to the store can lose an image, but an
altered one is noticed on the next read.
"""

import hashlib
import re
from pathlib import Path

from entropy_assets.errors import ImageAltered, ImageMissing
from entropy_assets.stores.durable import write_durably


class ImageStore:
    """Image files under the SHA-256 of their bytes: ``root/ab/ab12...``.

    Parameters
    ----------
    root
        Folder of the store; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Return where the image is or would be.

        Raises
        ------
        ImageMissing
            If `sha256` is not 64 lower-case hexadecimal digits.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", sha256, re.ASCII):
            raise ImageMissing(f"{sha256!r} is not a SHA-256 in lower-case hexadecimal digits", image_sha256=sha256)
        return self.root / sha256[:2] / sha256

    def __contains__(self, sha256: str) -> bool:
        """Tell whether a file of that name is there; only `get` tells whether it is intact."""
        return self.path(sha256).is_file()

    def put(self, data: bytes) -> str:
        """Keep `data` and return its SHA-256. Repeating it changes nothing, or repairs an altered file."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        try:
            self.get(sha256)
        except (ImageMissing, ImageAltered):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, data)
        return sha256

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
            data = self.path(sha256).read_bytes()
        except FileNotFoundError:
            raise ImageMissing(f"the store holds no image {sha256}", image_sha256=sha256) from None
        present = hashlib.sha256(data).hexdigest()
        if present != sha256:
            message = f"the image stored as {sha256} was altered: its SHA-256 is {present}; restore it from a copy"
            raise ImageAltered(message, image_sha256=sha256, found=present)
        return data
