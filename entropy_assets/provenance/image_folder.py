"""A folder of image files, found by what is in them."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

_PIECES: Final = 1 << 20


class ImageFolder(Mapping[str, bytes]):
    """The files under a folder by their SHA-256, hex, whatever they are called.

    All are read when the first one is asked for, and each again when it is.

    Parameters
    ----------
    folder
        Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[str, Path] = {}

    def __getitem__(self, image_sha256: str) -> bytes:
        return self._found()[image_sha256].read_bytes()

    def __contains__(self, image_sha256: object) -> bool:
        return image_sha256 in self._found()

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def _found(self) -> dict[str, Path]:
        if not self._paths:
            self._paths = {_digest(path): path for path in sorted(self._folder.rglob("*")) if path.is_file()}
        return self._paths


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECES):
            digest.update(piece)
    return digest.hexdigest()
