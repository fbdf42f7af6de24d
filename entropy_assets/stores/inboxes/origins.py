"""Where images were fetched: a note for each, under the SHA-256 of the file, so that it follows the bytes and no name.

The note is kept before the file enters an inbox. Whoever fixes a batch copies it into the intake, which the ledger
binds; afterwards nothing asks for the note itself. Trusted for nothing: what a note says is what a server and the
operator's own configuration said. It is shown to people, and decides no byte and no credit; but an image that has a
note counts as known to every feed, so whoever may write here can keep images out, by their hashes.
"""

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final, Self

from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.refusals import BlobMissing
from entropy_assets.stores.file_names import printable

LONGEST: Final = 2000
"""Longest text of a note, characters; what is longer is cut off."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an image was fetched, and what was told of it there. Its texts are printable, and none holds a secret.

    Attributes
    ----------
    feed
        Name of the feed in the operator's configuration.
    url
        Where its bytes can be had again, without a key; of a camera, the command's name and a time.
    fetched_at
        When they were, UTC: ``2026-11-29T08:33:00Z``.
    dated_at
        When the image was taken or published, as its server tells, UTC; None if it does not.
    instrument
        What took it.
    credit, licence
        The lines that must be shown with it.
    etag, last_modified
        What the server called this version of it, as it came.
    """

    feed: str
    url: str
    fetched_at: str
    dated_at: str | None = None
    instrument: str | None = None
    credit: str | None = None
    licence: str | None = None
    etag: str | None = None
    last_modified: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if (text := getattr(self, field.name)) is not None:
                object.__setattr__(self, field.name, printable(str(text))[:LONGEST])
        for name in ("fetched_at", "dated_at"):
            if (time := getattr(self, name)) is not None and _TIME.fullmatch(time) is None:
                raise ValueError(f"{name} is {time!r}, which is no time in UTC like 2026-11-29T08:33:00Z")

    @classmethod
    def read(cls, told: object) -> Self:
        """Return the origin in what JSON gave.

        Raises
        ------
        ValueError
            If it is none.
        """
        try:
            return cls(**told)  # type: ignore[arg-type]
        except TypeError as error:
            raise ValueError(f"no origin of an image: {error}") from None

    def told(self) -> dict[str, str]:
        """Return what it tells, without what it does not know."""
        return {name: text for name, text in asdict(self).items() if text is not None}


class OriginStore:
    """A note for each image that a feed fetched: ``ab/ab12....json``. The first that is kept stays.

    Parameters
    ----------
    place
        Where they are: a local folder, made when first written to, or the blobs of any store.
    """

    def __init__(self, place: Path | Blobs) -> None:
        self.blobs = FolderBlobs(place) if isinstance(place, Path) else place

    def keep(self, image_sha256: str, origin: Origin) -> bool:
        """Keep where an image came from, unless that is known already; return whether it was not."""
        return self.blobs.create(_name(image_sha256), json.dumps(origin.told(), sort_keys=True).encode("ascii"))

    def of(self, image_sha256: str) -> Origin | None:
        """Return where an image came from; None if no feed brought it, or its note is damaged."""
        try:
            return Origin.read(json.loads(self.blobs.read(_name(image_sha256))))
        except (BlobMissing, ValueError):
            return None


def _name(image_sha256: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", image_sha256, re.ASCII):
        raise ValueError(f"{image_sha256!r} is not a SHA-256 in lower-case hexadecimal digits")
    return f"{image_sha256[:2]}/{image_sha256}.json"
