"""The manifest of a batch: what was seen in each file, and the hash that the chain starts from.

It loads no decoder of images, so whoever only reads a batch need not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, TypedDict

from entropy_assets.core.encoding import sha256_of_json
from entropy_assets.stores.batches import MANIFEST, Batch
from entropy_assets.stores.file_names import printable, safe_name
from entropy_assets.stores.inboxes.origins import Origin


class AsItCame(TypedDict):
    """What a row of the manifest has from the intake."""

    file: str
    image_sha256: str
    file_bytes: int
    origin: Origin | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """What was seen in one file, before its noise was looked at. One row of the manifest; its texts are printable.

    Of a file with several images, `parts` lie below each other in the height, and `selection` says what was taken. Its
    `origin` is that of the intake.
    """

    file: str
    image_sha256: str
    file_bytes: int
    accepted: bool
    reason: str | None = None
    detail: str | None = None
    source: str = ""
    pixel_sha256: str | None = None
    container: str | None = None
    lossy: bool | None = None
    width: int | None = None
    height: int | None = None
    channels: int | None = None
    bit_depth: int | None = None
    adc_step: int | None = None
    captured_at: str | None = None
    parts: int | None = None
    selection: str | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", safe_name(self.file))
        for name in ("detail", "captured_at", "selection"):
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, printable(text))

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """Return the row in what JSON gave; raises as its parts do."""
        origin = Origin.read(row["origin"]) if "origin" in row else None
        return cls(**{**row, "origin": origin})

    def told(self) -> dict[str, Any]:
        """Return it as JSON-able values; one without an origin says nothing of it."""
        row = asdict(self)
        del row["origin"]
        return row if self.origin is None else {**row, "origin": self.origin.told()}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows of a batch and the hash that its chain starts from.

    The hash covers which images came, which were read and with what pixels; neither names nor words, so that a file
    of another name or an error message of another release gives the same chain.
    """

    rows: tuple[ImageRow, ...]
    sha256: str

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Read the manifest of `batch`."""
        rows = tuple(ImageRow.read(row) for row in batch.read_json(MANIFEST)["rows"])
        return cls(rows, manifest_hash(map(hashed_row, rows)))


class HashedRow(TypedDict):
    """What the hash of a manifest covers of one file, in this order."""

    image_sha256: str
    accepted: bool
    pixel_sha256: str | None
    source: str


def hashed_row(row: ImageRow) -> HashedRow:
    """Return what the hash of a manifest covers of `row`."""
    return {
        "image_sha256": row.image_sha256,
        "accepted": row.accepted,
        "pixel_sha256": row.pixel_sha256,
        "source": row.source,
    }


def manifest_hash(rows: Iterable[HashedRow]) -> str:
    """Return the hash of a manifest, hex."""
    return sha256_of_json([[row["image_sha256"], row["accepted"], row["pixel_sha256"], row["source"]] for row in rows])


def binding_of(batch: Batch) -> str:
    """Return the hash of what the blocks of `batch` follow from beside their noise, hex: intake and manifest.

    It covers the intake as it is kept, so that a field of a later release changes no older batch, and all that it tells
    of where the images were fetched.
    """
    return sha256_of_json([batch.kept_intake, Manifest.of(batch).sha256])
