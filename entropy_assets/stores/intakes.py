"""What comes in for a batch: the names and hashes of its files, where they were fetched, and what decides its bytes.

Trusted for nothing: the intake is kept in the folder of its batch, and the ledger binds it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from entropy_assets.core.encoding import sha256_of_json
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.stores.file_names import safe_name
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets.stores.lanes import Lane

_KEY_DIGEST_LEN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeFile:
    """One file as it came, under a name that is safe text, with where a feed fetched it, if one did.

    Its origin makes it no other file: who fixes the same batch at another time may know another one, or none.
    """

    file: str
    image_sha256: str
    file_bytes: int
    origin: Origin | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", safe_name(self.file))

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """Return the file in a row of an intake; raises as its parts do."""
        origin = Origin.read(row["origin"]) if "origin" in row else None
        return cls(**{**row, "origin": origin})

    def told(self) -> dict[str, Any]:
        """Return its row; one without an origin says nothing of it."""
        row = {"file": self.file, "image_sha256": self.image_sha256, "file_bytes": self.file_bytes}
        return row if self.origin is None else {**row, "origin": self.origin.told()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What a batch is made of. Fixed before anything is computed, so that every re-run gives the same bytes.

    Attributes
    ----------
    key
        Name of the batch, the Dagster partition: ``<source>-<UTC basic time>-<8 hex of the files' hash>``.
    source
        Where the files came from, e.g. ``drop`` or ``simulated``.
    files
        The files in the order of the batch.
    time_ns
        Time of intake, ns since 1970-01-01 UTC; stamps the records and enters the nonces.
    os_bytes
        32 bytes of the operating system's generator, hex, drawn after the files were fixed; enters the nonces.
        Empty in deterministic mode, in which the nonces come from the image hashes alone.
    recipe
        Name of the recipe.
    max_file_bytes, max_pixels
        Limits of one image, bytes of the file and pixels of one plane: they decide which files are refused.
    lane
        Which answers its blocks may serve. A batch of before there were lanes counts as private.
    """

    key: str
    source: str
    files: tuple[IntakeFile, ...]
    time_ns: int
    os_bytes: str
    recipe: str
    max_file_bytes: int
    max_pixels: int
    lane: Lane = "private"

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """Return the intake in what JSON gave; raises as its parts do."""
        return cls(**{**told, "files": tuple(map(IntakeFile.read, told["files"]))})

    def told(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {**asdict(self), "files": [file.told() for file in self.files]}

    @property
    def deterministic(self) -> bool:
        """Tell whether the same files always give the same blocks."""
        return not self.os_bytes

    @property
    def seed(self) -> bytes:
        """The system's bytes, of which the nonces are made; none for a deterministic batch."""
        return bytes.fromhex(self.os_bytes)

    @property
    def limits(self) -> DecodeLimits:
        """Limits under which the files are decoded."""
        return DecodeLimits(max_file_bytes=self.max_file_bytes, max_pixels=self.max_pixels)

    @property
    def timestamp_us(self) -> int:
        """Time that stamps the records, microseconds since 1970-01-01 UTC."""
        return self.time_ns // 1000


def batch_key(source: str, time_ns: int, files: Iterable[tuple[str, str, int]]) -> str:
    """Return the key of the batch of `files`: it sorts by time and holds nothing that any program reads as syntax.

    Parameters
    ----------
    source
        Letters, digits and dashes.
    time_ns
        Time that the key tells to the second, ns since 1970-01-01 UTC.
    files
        Name, SHA-256 and size of each file; of an inbox, whose files are not read yet, the time of change instead.
    """
    digest = sha256_of_json(sorted(files))
    stamp = datetime.fromtimestamp(time_ns // 10**9, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{source}-{stamp}-{digest[:_KEY_DIGEST_LEN]}"
